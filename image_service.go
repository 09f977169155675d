package ams

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/openams/ams/internal/xid"
)

// Images is the service for images.
type Images struct{ m *Manager }

// ImageOptions are what can be said about a new image beside its file.
type ImageOptions struct {
	VM      bool   // it is the image of a virtual machine
	Default bool   // make it the default of its kind once it is active; the first one is anyway
	Digest  string // the expected SHA-256 of the file in hexadecimal; empty is not checked

	// Rootfs is the root file system of a split image, a squashfs or a tarball.
	// The file is then the metadata tarball.
	Rootfs       io.Reader
	RootfsDigest string
}

// Add makes an image from a file that the backend understands; for LXD that is a
// unified image tarball, plain or compressed with gzip, xz, bzip2 or zstd, or the
// two files of a split image. It reads the files to their end, keeps them, and
// returns when the image is committed; the operation ends when the backend has
// taken it and it is active. Cancelling the operation deletes the image.
//
// The files may be Config.MaxImage long. When ctx ends during the upload nothing
// is left behind.
//
// Errors: ErrInvalid (name, digest); ErrTooLarge; ErrNoSpace; ErrExists (name);
// ErrUnsupported. A file that is no image fails the operation.
func (s *Images) Add(ctx context.Context, name string, file io.Reader, opts ImageOptions) (Operation, error) {
	if err := s.addable(ctx, name, opts.VM); err != nil {
		return Operation{}, err
	}
	m := s.m
	release := m.holdBlobs()
	defer release()
	v, err := m.uploadImage(ctx, file, &opts)
	if err != nil {
		return Operation{}, err
	}
	opID := xid.UUID(m.now())
	err = m.update(ctx, func(c *change) error {
		image := Image{ID: m.ids.New(c.now), Name: name, VM: opts.VM, Operation: opID}
		if err := c.newImage(&image, v, opts.Default); err != nil {
			return err
		}
		return c.newOperation(opID, "add image", true, map[string][]string{"image": {image.ID}})
	})
	if err != nil {
		return Operation{}, wrapName(err, "image", name)
	}
	return m.Operations.Get(ctx, opID)
}

// addable refuses a name before anything is uploaded for it.
func (s *Images) addable(ctx context.Context, name string, vm bool) error {
	faults := newManifestFaults()
	if faults.name("name", name, true); faults.err() != nil {
		return faults.err()
	}
	if _, ok := BackendAs[ImageKeeper](s.m.backend); !ok {
		return Errorf(ErrUnsupported, "the backend takes no images")
	}
	return s.m.view(ctx, func(tx Tx) error { return imageNameFree(tx, name, vm) })
}

func imageNameFree(tx Tx, name string, vm bool) error {
	taken, err := tx.Images().Count(ImageFilter{Name: name, VM: &vm})
	if err == nil && taken > 0 {
		err = &Error{Code: ErrExists, Kind: "image", ID: name}
	}
	return err
}

// uploadImage stores the files of an image.
func (m *Manager) uploadImage(ctx context.Context, file io.Reader, opts *ImageOptions) (ImageVersion, error) {
	blob, err := m.upload(ctx, file, m.cfg.MaxImage, opts.Digest, "image")
	if err != nil {
		return ImageVersion{}, err
	}
	v := ImageVersion{Status: ImageInitializing, Upload: blob.Digest, Size: blob.Size}
	if opts.Rootfs != nil {
		rootfs, err := m.upload(ctx, opts.Rootfs, m.cfg.MaxImage, opts.RootfsDigest, "root file system")
		if err != nil {
			return ImageVersion{}, err
		}
		v.Rootfs = rootfs.Digest
		v.Size += rootfs.Size
	}
	return v, nil
}

// newImage adds an image with its first version.
func (c *change) newImage(image *Image, v ImageVersion, wantDefault bool) error {
	if err := imageNameFree(c, image.Name, image.VM); err != nil {
		return err
	}
	image.CreatedAt = c.now
	c.lifecycle("image", image.ID, "created", image.Name)
	v.WantDefault = wantDefault
	c.addImageVersion(image, v)
	image.Status, image.UpdatedAt = v.Status, c.now
	c.wake = append(c.wake, image.wake())
	return c.Images().Put(*image)
}

// addImageVersion gives the image another version.
func (c *change) addImageVersion(image *Image, v ImageVersion) {
	v.Number, v.CreatedAt = image.NextVersion, c.now
	image.NextVersion++
	image.Versions = append(image.Versions, v)
}

// putImage stores an image, with the status that follows from its versions, and
// has it looked at.
func (c *change) putImage(image *Image) error {
	status, reason := image.Status, ""
	for _, v := range image.Versions {
		if v.Status != ImageDeleted && image.Status != ImageDeleted {
			status, reason = v.Status, v.ErrorMessage
		}
	}
	switch {
	case status != image.Status:
		image.Status = status
		c.lifecycle("image", image.ID, string(status), reason)
	case status != ImageDeleted:
		c.lifecycle("image", image.ID, "updated", "")
	}
	image.UpdatedAt = c.now
	c.wake = append(c.wake, image.wake())
	return c.Images().Put(*image)
}

// newDefault makes an image the default of its kind if that is wanted or there is
// none, and takes it from the one before.
func (c *change) newDefault(image *Image, wanted bool) error {
	yes := true
	before, err := c.Images().List(ImageFilter{VM: &image.VM, Default: &yes}, Page{})
	if err != nil || len(before) > 0 && !wanted {
		return err
	}
	for _, old := range before {
		if old.ID == image.ID {
			continue
		}
		old.Default, old.UpdatedAt = false, c.now
		if err := c.Images().Put(old); err != nil {
			return err
		}
	}
	image.Default = true
	return nil
}

// Update adds a version to an image from a file, as Add makes an image from one.
// Applications that are built on it get a new version, unless their updates are
// inhibited. A file that is the newest version already makes none: the operation
// has succeeded then. opts.VM and opts.Default are ignored.
//
// Errors: those of Add; ErrNotFound; ErrState when it is from the image server;
// ErrConflict when it is being deleted, or another version is being taken in.
func (s *Images) Update(ctx context.Context, idOrName string, file io.Reader, opts ImageOptions) (Operation, error) {
	image, err := s.Get(ctx, idOrName)
	if err != nil {
		return Operation{}, err
	}
	if err := image.updatable(); err != nil {
		return Operation{}, err
	}
	m := s.m
	release := m.holdBlobs()
	defer release()
	v, err := m.uploadImage(ctx, file, &opts)
	if err != nil {
		return Operation{}, err
	}
	opID := xid.UUID(m.now())
	err = m.update(ctx, func(c *change) error {
		image, err := c.Images().Get(image.ID)
		if err != nil {
			return err
		}
		if err := image.updatable(); err != nil {
			return err
		}
		resources := map[string][]string{"image": {image.ID}}
		if n := len(image.Versions); n > 0 && v.Rootfs == "" && image.Versions[n-1].Status == ImageActive && image.Versions[n-1].Fingerprint == v.Upload {
			return c.doneOperation(opID, "update image", resources)
		}
		c.addImageVersion(&image, v)
		image.Operation = opID
		if err := c.putImage(&image); err != nil {
			return err
		}
		return c.newOperation(opID, "update image", true, resources)
	})
	if err != nil {
		return Operation{}, wrapName(err, "image", idOrName)
	}
	return m.Operations.Get(ctx, opID)
}

func (i *Image) updatable() error {
	switch {
	case i.Status == ImageDeleted:
		return &Error{Code: ErrConflict, Kind: "image", ID: i.Name, Err: errors.New("is being deleted")}
	case i.Remote != "":
		return &Error{Code: ErrState, Kind: "image", ID: i.Name, Err: errors.New("is immutable: it comes from the image server")}
	case slices.ContainsFunc(i.Versions, func(v ImageVersion) bool { return v.Status == ImageInitializing }):
		return &Error{Code: ErrConflict, Kind: "image", ID: i.Name, Err: errors.New("a version of it is being taken in")}
	}
	return nil
}

// SetDefault makes an image the default of its kind, containers or virtual
// machines. Applications stay with the image they have.
//
// Errors: ErrNotFound; ErrState when it cannot be used.
func (s *Images) SetDefault(ctx context.Context, idOrName string) error {
	return s.m.update(ctx, func(c *change) error {
		image, err := findImage(c, idOrName)
		switch {
		case err != nil:
			return err
		case image.Default:
			return nil
		case image.Status == ImageDeleted || image.newest(nil) == nil || !image.newest(nil).usable():
			return &Error{Code: ErrState, Kind: "image", ID: image.Name, Err: fmt.Errorf("cannot be used (status: %s)", image.Status)}
		}
		if err := c.newDefault(&image, true); err != nil {
			return err
		}
		c.lifecycle("image", image.ID, "updated", "default")
		image.UpdatedAt = c.now
		return c.Images().Put(image)
	})
}

// Get returns the image with the id or name, or ErrNotFound. Of a container and
// a virtual machine image of the same name it returns the former.
func (s *Images) Get(ctx context.Context, idOrName string) (Image, error) {
	var image Image
	err := s.m.view(ctx, func(tx Tx) (err error) {
		image, err = findImage(tx, idOrName)
		return err
	})
	return image, err
}

// List returns the images that match the filter, ordered by id and so by age,
// cut to the page, and how many match in all.
func (s *Images) List(ctx context.Context, filter ImageFilter, page Page) ([]Image, int, error) {
	var list []Image
	var total int
	err := s.m.view(ctx, func(tx Tx) (err error) {
		list, total, err = listPage(tx.Images(), filter, page)
		return err
	})
	return list, total, err
}

// UsedBy returns the ids of the applications that are built on an image, oldest
// first, or ErrNotFound.
func (s *Images) UsedBy(ctx context.Context, idOrName string) ([]string, error) {
	var ids []string
	err := s.m.view(ctx, func(tx Tx) error {
		image, err := findImage(tx, idOrName)
		if err != nil {
			return err
		}
		users, err := tx.Applications().List(ApplicationFilter{Image: image.ID}, Page{})
		ids = nil
		for i := range users {
			ids = append(ids, users[i].ID)
		}
		return err
	})
	return ids, err
}
