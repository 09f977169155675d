package ams

import (
	"context"
	"errors"
	"time"
)

// passImage brings an image to the backend, or away from it.
func (e *engine) passImage(ctx context.Context, id string) {
	var image Image
	err := e.m.view(ctx, func(tx Tx) (err error) {
		image, err = tx.Images().Get(id)
		return err
	})
	if w := image.wake(); err == nil && e.queue.Lane(w.key) != w.lane {
		e.queue.Add(w.key, w.lane) // it was woken before it became what it is
		return
	}
	if err == nil && !e.draining() {
		err = e.workOnImage(ctx, &image)
	}
	if ignoreNotFound(err) != nil && ctx.Err() == nil {
		e.m.log.Warn("work on an image failed and will be tried again", "image", id, "error", err)
		e.wakeAfter(image.wake(), backoff(5))
	}
}

func (e *engine) wakeAfter(w wake, d time.Duration) { e.queue.AddAfter(w.key, w.lane, d) }

// workOnImage does what the first version that needs something needs. What it
// commits wakes the image again, for the next.
func (e *engine) workOnImage(ctx context.Context, image *Image) error {
	if image.Status == ImageDeleted {
		return e.deleteImage(ctx, image)
	}
	for i := range image.Versions {
		v := &image.Versions[i]
		switch {
		case v.Status == ImageDeleted:
			return e.deleteImageVersion(ctx, image, v.Number)
		case v.Status == ImageInitializing && v.Instance != "":
			return e.publishImage(ctx, image, v)
		case v.Status == ImageInitializing:
			return e.importImage(ctx, image, v)
		case v.Status == ImageQueued:
			return e.fetchImage(ctx, image, v)
		}
	}
	return nil
}

// importImage imports a version whose files are here. What trying again cannot
// help is the version's error, and not ours.
func (e *engine) importImage(ctx context.Context, image *Image, v *ImageVersion) error {
	keeper, ok := BackendAs[ImageKeeper](e.m.backend)
	if !ok {
		return e.imageDone(ctx, image, v.Number, BackendImage{}, Errorf(ErrUnsupported, "the backend takes no images"))
	}
	var made BackendImage
	err := e.m.call(ctx, "import image", &Instance{}, time.Hour, func(ctx context.Context) error {
		file, err := e.m.blobs.Open(ctx, v.Upload)
		if err != nil {
			return err
		}
		defer file.Close()
		files := ImageFiles{Meta: file}
		if v.Rootfs != "" {
			rootfs, err := e.m.blobs.Open(ctx, v.Rootfs)
			if err != nil {
				return err
			}
			defer rootfs.Close()
			files.Rootfs = rootfs
		}
		made, err = keeper.ImportImage(ctx, e.mark, imageAlias(image.ID, v.Number), files)
		return err
	})
	if err != nil && (ctx.Err() != nil || errors.Is(err, ErrUnavailable)) {
		return err
	}
	if err := e.imageDone(ctx, image, v.Number, made, err); err != nil {
		return err
	}
	return e.m.dropBlobs(ctx, v.Upload, v.Rootfs)
}

// imageDone commits that a version has become active, or why it has not. An
// earlier try may have gone further than we were told: then it is removed.
func (e *engine) imageDone(ctx context.Context, image *Image, number int, made BackendImage, failure error) error {
	if failure != nil {
		if err := e.undoImport(ctx, image.ID, number); err != nil {
			return err
		}
	}
	err := e.m.update(context.WithoutCancel(ctx), func(c *change) error {
		row, err := c.Images().Get(image.ID)
		if err != nil || row.Status == ImageDeleted {
			return ignoreNotFound(err)
		}
		v := row.version(number)
		if v == nil || v.Status != ImageInitializing && v.Status != ImageQueued {
			return nil
		}
		if failure == nil {
			wantDefault := v.WantDefault
			*v = ImageVersion{
				Number: number, Status: ImageActive, Fingerprint: made.Fingerprint, Size: made.Size,
				CreatedAt: v.CreatedAt, RemoteID: v.RemoteID,
			}
			row.Architecture = made.Architecture
			if err := c.newDefault(&row, wantDefault); err != nil {
				return err
			}
		} else {
			v.Status, v.StatusMessage, v.ErrorMessage, v.Sync = ImageError, "", failure.Error(), false
			v.Upload, v.Rootfs, v.Instance = "", "", ""
		}
		op := row.Operation
		row.Operation = ""
		c.wake = append(c.wake, wakePlace, wakeUpdates)
		return errors.Join(c.putImage(&row), c.finish(op, failure))
	})
	if err != nil {
		return commitError{err} // says nothing about the image
	}
	return nil
}

// undoImport removes from the backend what an import that is given up may have
// left there. A version that is active all the same is none of that: the store may
// have made a commit that it told us had failed.
func (e *engine) undoImport(ctx context.Context, id string, number int) error {
	var v *ImageVersion
	err := e.m.view(ctx, func(tx Tx) error {
		image, err := tx.Images().Get(id)
		v = image.version(number)
		return ignoreNotFound(err)
	})
	if err != nil {
		return commitError{err}
	}
	if v == nil || v.Status == ImageActive {
		return nil
	}
	return e.dropImage(ctx, imageAlias(id, number))
}

// cancelImage takes back what an operation wants of an image: one that is being
// added is dropped, one that is being fetched is left where it is.
func (c *change) cancelImage(id, opID string) error {
	image, err := c.Images().Get(id)
	if err != nil || image.Operation != opID || image.Status == ImageDeleted {
		return ignoreNotFound(err)
	}
	left := 0
	for _, v := range image.Versions {
		if v.Status != ImageDeleted {
			left++
		}
	}
	for i := range image.Versions {
		v := &image.Versions[i]
		switch {
		case v.Status == ImageInitializing && left == 1:
			return c.dropImage(&image, opID)
		case v.Status == ImageInitializing:
			v.Status, v.DeleteOperation = ImageDeleted, opID
			c.stop = append(c.stop, wakeImage(id).key)
		case v.Status == ImageQueued && v.Sync:
			v.Sync = false
			if err := c.finish(opID, nil); err != nil { // as cancelled
				return err
			}
		}
	}
	image.Operation = ""
	return c.putImage(&image)
}
