package ams

import (
	"archive/tar"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/openams/ams/internal/apk"
	"github.com/openams/ams/internal/archive"
)

// OpenPackage opens an application package for Applications.Create: a zip or
// tar.bz2 file as it is, and a directory as a zip that is made while it is read.
// The caller closes it.
func OpenPackage(name string) (io.ReadCloser, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, fmt.Errorf("cannot read the package: %w", err)
	}
	if !info.IsDir() {
		return os.Open(name)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r, w := io.Pipe()
	go func() { w.CloseWithError(archive.PackDir(ctx, w, name)) }()
	return &packed{r, cancel}, nil
}

// packed is a directory being packed; closing it ends the packing.
type packed struct {
	*io.PipeReader
	cancel context.CancelFunc
}

func (p *packed) Close() error {
	p.cancel()
	return p.PipeReader.Close()
}

// parcel is a package that was taken in and found good.
type parcel struct {
	blob     BlobInfo
	manifest *Manifest
	apk      APKInfo
}

// The hooks of a package.
var packageHooks = []string{"pre-start", "post-start", "post-stop"}

const maxHookSize = int64(Megabyte)

// takePackage stores a package and checks everything that can be checked without
// the store: the archive, the manifest, the APK, hooks and extra data.
func (m *Manager) takePackage(ctx context.Context, r io.Reader, digest string) (*parcel, error) {
	blob, err := m.upload(ctx, r, m.cfg.MaxPackage, digest, "application package")
	if err != nil {
		return nil, err
	}
	p := &parcel{blob: blob}
	var members []archive.Entry
	look := func(e archive.Entry) (func(io.Reader) error, error) {
		members = append(members, archive.Entry{Name: e.Name, Dir: e.Dir})
		switch {
		case e.Dir:
		case e.Name == "manifest.yaml":
			return p.readManifest, nil
		case e.Name == "app.apk":
			return func(content io.Reader) (err error) {
				p.apk, err = m.readAPK(ctx, content, e.Size)
				return err
			}, nil
		}
		return nil, hookFault(e, packageHooks)
	}
	err = m.openPackage(ctx, blob, func(a *archive.Archive) error { return a.Check(ctx, look) })
	if err != nil {
		return nil, err
	}
	return p, p.check(members)
}

func (p *parcel) readManifest(content io.Reader) error {
	data, err := io.ReadAll(io.LimitReader(content, maxYAMLSize+1))
	if err == nil {
		p.manifest, err = ParseManifest(data)
	}
	return err
}

// check is for what concerns several members of the package.
func (p *parcel) check(members []archive.Entry) error {
	if p.manifest == nil {
		for _, e := range members {
			if path.Base(e.Name) == "manifest.yaml" {
				return Errorf(ErrInvalid, "manifest.yaml is missing from the package: found %s; it must be at the top level", e.Name)
			}
		}
		return Errorf(ErrInvalid, "manifest.yaml is missing from the package")
	}
	for name := range p.manifest.ExtraData {
		at := "extra-data/" + name
		if !slices.ContainsFunc(members, func(e archive.Entry) bool { return e.Name == at || strings.HasPrefix(e.Name, at+"/") }) {
			return Errorf(ErrInvalid, "extra-data %s: file %s is missing from the package", quote(name), at)
		}
	}
	return p.manifest.CheckPackage(p.apk.Package)
}

// hookFault refuses a hook that could not run.
func hookFault(e archive.Entry, hooks []string) error {
	below, ok := strings.CutPrefix(e.Name, "hooks/")
	hook, _, inside := strings.Cut(below, "/")
	if !ok || !slices.Contains(hooks, hook) {
		return nil
	}
	switch {
	case e.Dir || inside:
		return Errorf(ErrInvalid, "hooks/%s is a directory, not an executable file", hook)
	case e.Mode&0o111 == 0:
		return Errorf(ErrInvalid, "%s is not executable (mode %04o)", e.Name, e.Mode.Perm())
	case e.Size > maxHookSize:
		return Errorf(ErrTooLarge, "%s is %d bytes (maximum %d)", e.Name, e.Size, maxHookSize)
	}
	return nil
}

// readAPK reads what an APK says of itself. An APK is read from its end: where it
// lies in the package as it is, and otherwise in the blob store, where it is only
// meanwhile. There an id follows it, so that nobody else has the same blob.
func (m *Manager) readAPK(ctx context.Context, content io.Reader, size int64) (APKInfo, error) {
	if at, ok := content.(io.ReaderAt); ok {
		if _, err := io.Copy(io.Discard, content); err != nil { // for its checksum
			return APKInfo{}, err
		}
		return apkInfo(at, size)
	}
	blob, err := m.blobs.Write(ctx, io.MultiReader(content, strings.NewReader(m.ids.New(m.now()))))
	if err != nil {
		return APKInfo{}, err
	}
	defer func() { _ = m.blobs.Delete(context.WithoutCancel(ctx), blob.Digest) }() // else the sweep does
	file, err := m.blobs.Open(ctx, blob.Digest)
	if err != nil {
		return APKInfo{}, err
	}
	defer file.Close()
	return apkInfo(file, size)
}

func apkInfo(r io.ReaderAt, size int64) (APKInfo, error) {
	info, err := apk.Read(r, size)
	if err != nil {
		return APKInfo{}, Errorf(ErrInvalid, "app.apk: %w", err)
	}
	return APKInfo{
		Package: info.Package, MainActivity: info.MainActivity, VersionName: info.VersionName,
		VersionCode: info.VersionCode, Permissions: info.Permissions, ABIs: info.ABIs,
	}, nil
}

// writePackage writes those members of a stored package to tw that keep accepts,
// all if it is nil.
func (m *Manager) writePackage(ctx context.Context, blob BlobInfo, tw *tar.Writer, prefix string, keep func(archive.Entry) bool) error {
	return m.openPackage(ctx, blob, func(a *archive.Archive) error { return archive.AppendTar(ctx, tw, a, prefix, keep) })
}

// writeApplication writes an application's package with the manifest that its
// version is built with.
func (m *Manager) writeApplication(ctx context.Context, blob BlobInfo, manifest []byte, tw *tar.Writer, prefix string) error {
	const name = "manifest.yaml"
	err := m.writePackage(ctx, blob, tw, prefix, func(e archive.Entry) bool { return e.Name != name })
	if err == nil {
		err = tw.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: prefix + name, Mode: 0o644, Size: int64(len(manifest)), ModTime: time.Unix(0, 0)})
	}
	if err == nil {
		_, err = tw.Write(manifest)
	}
	return err
}

func (m *Manager) openPackage(ctx context.Context, blob BlobInfo, fn func(*archive.Archive) error) error {
	file, err := m.blobs.Open(ctx, blob.Digest)
	if err != nil {
		return err
	}
	defer file.Close()
	a, err := archive.Open(file, file.Size(), archive.Limits{Bytes: int64(m.cfg.MaxPackage)})
	if err == nil {
		err = fn(a)
	}
	var fault *archive.Error
	if errors.As(err, &fault) {
		code := ErrInvalid
		if fault.Kind == archive.TooLarge {
			code = ErrTooLarge
		}
		return &Error{Code: code, Err: fault}
	}
	return err
}

// upload stores what a caller sends, bounded and checked.
func (m *Manager) upload(ctx context.Context, r io.Reader, most Size, digest, what string) (BlobInfo, error) {
	if b, err := hex.DecodeString(digest); digest != "" && (err != nil || len(b) != 32) {
		return BlobInfo{}, Errorf(ErrInvalid, "checksum %s is not a SHA-256 in hexadecimal", quote(digest))
	}
	blob, err := m.blobs.Write(ctx, io.MultiReader(io.LimitReader(r, int64(most)), &end{r, what, most}))
	if err != nil {
		return BlobInfo{}, err
	}
	if digest != "" && !strings.EqualFold(digest, blob.Digest) {
		return BlobInfo{}, Errorf(ErrInvalid, "checksum mismatch: got %s, expected %s", blob.Digest, strings.ToLower(digest))
	}
	return blob, nil
}

// end is where a bounded upload must have ended.
type end struct {
	r    io.Reader
	what string
	most Size
}

func (e *end) Read([]byte) (int, error) {
	var one [1]byte
	n, err := io.ReadFull(e.r, one[:])
	if n > 0 {
		return 0, Errorf(ErrTooLarge, "%s is larger than %s", e.what, e.most)
	}
	return 0, err
}

// holdBlobs keeps the sweep away until release is called: from before a blob is
// written until the row that refers to it is committed.
func (m *Manager) holdBlobs() (release func()) {
	m.sweeping.RLock()
	return m.sweeping.RUnlock
}
