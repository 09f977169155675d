package ams

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/openams/ams/internal/xid"
)

// Images is the service for images.
type Images struct{ m *Manager }

// ImageOptions are what can be said about a new image beside its file.
type ImageOptions struct {
	VM      bool   // it is the image of a virtual machine
	Default bool   // make it the default of its kind; the first one is anyway
	Digest  string // the expected SHA-256 of the file in hexadecimal; empty is not checked
}

// Add makes an image from a file that the backend understands; for LXD that is a
// unified image tarball. It reads the file to its end, keeps it, and returns
// when the image is committed; the operation ends when the backend has taken it
// and it is active. Cancelling the operation deletes the image.
//
// The file may be Config.MaxImage long. When ctx ends during the upload nothing
// is left behind.
//
// Errors: ErrInvalid (name, digest); ErrTooLarge; ErrNoSpace; ErrExists (name);
// ErrUnsupported. A file that is no image fails the operation.
func (s *Images) Add(ctx context.Context, name string, file io.Reader, opts ImageOptions) (Operation, error) {
	m := s.m
	faults := newManifestFaults()
	if faults.name("name", name, true); faults.err() != nil {
		return Operation{}, faults.err()
	}
	if _, ok := BackendAs[ImageKeeper](m.backend); !ok {
		return Operation{}, Errorf(ErrUnsupported, "the backend takes no images")
	}
	if _, err := s.Get(ctx, name); err == nil {
		return Operation{}, &Error{Code: ErrExists, Kind: "image", ID: name}
	}
	release := m.holdBlobs()
	defer release()
	blob, err := m.upload(ctx, file, m.cfg.MaxImage, opts.Digest, "image")
	if err != nil {
		return Operation{}, err
	}
	opID := xid.UUID(m.now())
	err = m.update(ctx, func(c *change) error {
		taken, err := c.Images().Count(ImageFilter{Name: name, VM: &opts.VM})
		if err != nil {
			return err
		}
		if taken > 0 {
			return &Error{Code: ErrExists, Kind: "image", ID: name}
		}
		image := Image{
			ID: m.ids.New(c.now), Name: name, VM: opts.VM, Status: ImageInitializing, Operation: opID,
			Versions:  []ImageVersion{{Status: ImageInitializing, Upload: blob.Digest, Size: blob.Size, CreatedAt: c.now}},
			CreatedAt: c.now, UpdatedAt: c.now,
		}
		if image.Default, err = c.newDefault(opts.VM, opts.Default); err != nil {
			return err
		}
		c.lifecycle("image", image.ID, "created", name)
		c.wake = append(c.wake, wakeImage(image.ID))
		if err := c.Images().Put(image); err != nil {
			return err
		}
		return c.newOperation(opID, "add image", true, map[string][]string{"image": {image.ID}})
	})
	if err != nil {
		return Operation{}, wrapName(err, "image", name)
	}
	return m.Operations.Get(ctx, opID)
}

// newDefault says whether a new image is the default of its kind, and takes that
// from the one before.
func (c *change) newDefault(vm, wanted bool) (bool, error) {
	yes := true
	before, err := c.Images().List(ImageFilter{VM: &vm, Default: &yes}, Page{})
	if err != nil || len(before) == 0 || !wanted {
		return len(before) == 0, err
	}
	for _, image := range before {
		image.Default, image.UpdatedAt = false, c.now
		if err := c.Images().Put(image); err != nil {
			return false, err
		}
	}
	return true, nil
}

// Get returns the image with the id or name, or ErrNotFound.
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

// Delete deletes an image. Applications that were built on it keep working, and
// so do instances; with such applications it needs force. The default image can
// be deleted only when it is the last of its kind. An import under way is broken
// off. The operation ends when the backend has deleted it.
//
// Errors: ErrNotFound; ErrInUse; ErrState (the default); ErrConflict when it is
// being deleted already.
func (s *Images) Delete(ctx context.Context, idOrName string, force bool) (Operation, error) {
	opID := xid.UUID(s.m.now())
	err := s.m.update(ctx, func(c *change) error {
		image, err := findImage(c, idOrName)
		if err != nil {
			return err
		}
		others, err := c.Images().Count(ImageFilter{VM: &image.VM})
		if err != nil {
			return err
		}
		users, err := c.Applications().List(ApplicationFilter{Image: image.ID}, Page{Limit: 1})
		switch {
		case err != nil:
			return err
		case image.Status == ImageDeleted:
			return &Error{Code: ErrConflict, Kind: "image", ID: image.Name, Err: errors.New("is being deleted already")}
		case image.Default && others > 1:
			return &Error{Code: ErrState, Kind: "image", ID: image.Name, Err: errors.New("is the default image")}
		case len(users) > 0 && !force:
			return &Error{Code: ErrInUse, Kind: "image", ID: image.Name, Err: fmt.Errorf("application %q is built on it; use force", users[0].Name)}
		}
		if err := c.finish(image.Operation, Errorf(ErrCancelled, "the image was deleted")); err != nil {
			return err
		}
		if err := c.newOperation(opID, "delete image", false, map[string][]string{"image": {image.ID}}); err != nil {
			return err
		}
		return c.dropImage(image, opID)
	})
	if err != nil {
		return Operation{}, err
	}
	return s.m.Operations.Get(ctx, opID)
}

func (c *change) dropImage(image Image, opID string) error {
	image.Status, image.Operation, image.UpdatedAt = ImageDeleted, opID, c.now
	c.lifecycle("image", image.ID, string(ImageDeleted), "")
	c.wake = append(c.wake, wakeImage(image.ID))
	c.stop = append(c.stop, wakeImage(image.ID).key)
	return c.Images().Put(image)
}

// cancelImage drops an image that is being added.
func (c *change) cancelImage(id, opID string) error {
	image, err := c.Images().Get(id)
	if err != nil || image.Operation != opID || image.Status != ImageInitializing {
		return ignoreNotFound(err)
	}
	return c.dropImage(image, opID)
}

// resolveImage finds the image to use, the default of its kind where none is
// named, and its version, the newest active one where none is given.
func (c *change) resolveImage(idOrName string, number *int, vm bool) (Image, *ImageVersion, error) {
	var image Image
	var err error
	if idOrName != "" {
		image, err = findImage(c, idOrName)
	} else {
		yes := true
		var found []Image
		found, err = c.Images().List(ImageFilter{VM: &vm, Default: &yes}, Page{Limit: 1})
		if image = first(found); err == nil && len(found) == 0 {
			err = &Error{Code: ErrNotFound, Kind: "image", Err: errors.New("none is named, and there is no default image")}
		}
	}
	if err != nil {
		return image, nil, err
	}
	i := -1
	for k, v := range image.Versions {
		if number != nil && v.Number == *number || number == nil && v.Status == ImageActive {
			i = k
		}
	}
	switch {
	case i < 0 && number != nil:
		return image, nil, &Error{Code: ErrNotFound, Kind: "image", ID: image.Name, Err: fmt.Errorf("has no version %d", *number)}
	case i < 0 || image.Versions[i].Status != ImageActive || image.Status == ImageDeleted:
		return image, nil, &Error{Code: ErrState, Kind: "image", ID: image.Name, Err: fmt.Errorf("is not ready (status: %s)", image.Status)}
	}
	return image, &image.Versions[i], nil
}

func findImage(tx Tx, idOrName string) (Image, error) {
	if image, err := tx.Images().Get(idOrName); CodeOf(err) != ErrNotFound {
		return image, err
	}
	named, err := tx.Images().List(ImageFilter{Name: idOrName}, Page{Limit: 1})
	if err != nil || len(named) == 1 && idOrName != "" {
		return first(named), err
	}
	return Image{}, notFound("image", idOrName)
}

// passImage brings an image to the backend, or away from it.
func (e *engine) passImage(ctx context.Context, id string) {
	var image Image
	err := e.m.view(ctx, func(tx Tx) (err error) {
		image, err = tx.Images().Get(id)
		return err
	})
	keeper, ok := BackendAs[ImageKeeper](e.m.backend)
	switch {
	case err != nil || e.draining():
		err = ignoreNotFound(err)
	case !ok:
	case image.Status == ImageDeleted:
		err = e.deleteImage(ctx, &image)
	case image.Status == ImageInitializing:
		err = e.importImage(ctx, keeper, &image)
	}
	if err != nil && ctx.Err() == nil {
		e.m.log.Warn("work on an image failed and will be tried again", "image", id, "error", err)
		w := wakeImage(id)
		e.queue.AddAfter(w.key, w.lane, backoff(5))
	}
}

// importImage imports the versions that are not in the backend yet. What trying
// again cannot help is the version's error, and not ours.
func (e *engine) importImage(ctx context.Context, keeper ImageKeeper, image *Image) error {
	i := slices.IndexFunc(image.Versions, func(v ImageVersion) bool { return v.Status == ImageInitializing })
	if i < 0 {
		return nil
	}
	var made BackendImage
	err := e.m.call(ctx, "import image", &Instance{}, time.Hour, func(ctx context.Context) error {
		file, err := e.m.blobs.Open(ctx, image.Versions[i].Upload)
		if err != nil {
			return err
		}
		defer file.Close()
		made, err = keeper.ImportImage(ctx, e.mark, imageAlias(image.ID, image.Versions[i].Number), ImageFiles{Meta: file})
		return err
	})
	if err != nil && (ctx.Err() != nil || errors.Is(err, ErrUnavailable)) {
		return err
	}
	if err != nil { // an earlier try may have gone further than we were told
		if err := e.dropImage(ctx, imageAlias(image.ID, image.Versions[i].Number)); err != nil {
			return err
		}
	}
	return e.m.update(context.WithoutCancel(ctx), func(c *change) error {
		row, gerr := c.Images().Get(image.ID)
		if gerr != nil || row.Status != ImageInitializing {
			return ignoreNotFound(gerr)
		}
		v := &row.Versions[i]
		v.Status, v.Fingerprint, v.Upload = ImageActive, made.Fingerprint, ""
		if err != nil {
			v.Status, v.ErrorMessage = ImageError, err.Error()
		} else {
			v.Size, row.Architecture = made.Size, made.Architecture
		}
		row.Status, row.UpdatedAt = v.Status, c.now
		c.lifecycle("image", row.ID, string(row.Status), v.ErrorMessage)
		ferr := c.finish(row.Operation, err)
		row.Operation = ""
		return errors.Join(ferr, c.Images().Put(row))
	})
}

func (e *engine) deleteImage(ctx context.Context, image *Image) error {
	for _, v := range image.Versions {
		if err := e.dropImage(ctx, imageAlias(image.ID, v.Number)); err != nil {
			return err
		}
	}
	return e.m.update(ctx, func(c *change) error {
		if err := c.Images().Delete(image.ID); err != nil {
			return ignoreNotFound(err)
		}
		c.lifecycle("image", image.ID, "gone", "")
		return c.finish(image.Operation, nil)
	})
}
