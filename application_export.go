package ams

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
)

// ImageExport is the image of a version as a file; the caller closes it.
type ImageExport struct {
	io.ReadCloser
	Name   string // for a file: "<application>-<version>.tar"
	Size   int64  // bytes
	Digest string // SHA-256 of the content in hexadecimal
}

// Export opens the image of an active version as a unified image tarball, which
// Images.Add takes, here or elsewhere. It is read from the backend while the
// caller reads, and nothing is kept. Whoever reads checks the digest.
//
// Errors: ErrNotFound; ErrState when the version is not active; ErrUnsupported.
func (s *Applications) Export(ctx context.Context, idOrName string, number int) (*ImageExport, error) {
	exporter, ok := BackendAs[ImageExporter](s.m.backend)
	if !ok {
		return nil, Errorf(ErrUnsupported, "the backend gives out no images")
	}
	var app Application
	var v Version
	err := s.m.view(ctx, func(tx Tx) (err error) {
		app, v, err = findVersion(tx, idOrName, number)
		return err
	})
	if err != nil {
		return nil, err
	}
	if v.Status != VersionActive {
		return nil, versionState(&app, &v, "is not active")
	}
	mark, err := s.m.cluster(ctx)
	if err != nil {
		return nil, err
	}
	file, err := exporter.OpenImage(ctx, mark, imageAlias(app.ID, number))
	if errors.Is(err, ErrNotFound) {
		err = versionState(&app, &v, "has lost its image")
	}
	if err != nil {
		return nil, err
	}
	return &ImageExport{ReadCloser: file, Name: versionFile(&app, number), Size: v.ImageSize, Digest: v.Fingerprint}, nil
}

func versionFile(app *Application, number int) string {
	return versionID(app.Name, number) + ".tar"
}

// ManifestYAML returns the manifest that a version was built with, as a
// manifest.yaml with everything it was built from: also what Set changed since the
// package was made, the image and the ABI. The digest is its SHA-256 in
// hexadecimal.
//
// Errors: ErrNotFound.
func (s *Applications) ManifestYAML(ctx context.Context, idOrName string, number int) (data []byte, digest string, err error) {
	err = s.m.view(ctx, func(tx Tx) error {
		_, v, err := findVersion(tx, idOrName, number)
		if err != nil {
			return err
		}
		if data, err = v.manifestYAML(tx); err != nil {
			return err
		}
		sum := sha256.Sum256(data)
		digest = hex.EncodeToString(sum[:])
		return nil
	})
	return data, digest, err
}

// manifestYAML prints what the version was built with.
func (v *Version) manifestYAML(tx Tx) ([]byte, error) {
	m := v.Manifest
	m.ABI = v.ABI
	if m.BootPackage == "" {
		m.BootPackage = v.APK.Package
	}
	image, err := tx.Images().Get(v.ImageID)
	if err == nil {
		m.Image = image.Name
	}
	if err := ignoreNotFound(err); err != nil {
		return nil, err
	}
	m.Addons = nil
	for _, use := range v.Addons {
		m.Addons = append(m.Addons, use.Name)
	}
	return m.YAML()
}
