package ams

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/openams/ams/internal/xid"
)

// Delete deletes an image. Applications that were built on it keep working, and
// so do instances; with such applications it needs force, and so does an image of
// the image server, which is listed again as long as the server has it. The
// default image can be deleted only when it is the last of its kind. An import
// under way is broken off, and what waits for the image fails. The operation ends
// when the backend has deleted it.
//
// Errors: ErrNotFound; ErrInUse; ErrState (the default; from the image server);
// ErrConflict when it is being deleted already.
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
		case image.Immutable && !force:
			return &Error{Code: ErrState, Kind: "image", ID: image.Name, Err: errors.New("is immutable: it comes from the image server; use force")}
		case len(users) > 0 && !force:
			return &Error{Code: ErrInUse, Kind: "image", ID: image.Name, Err: fmt.Errorf("application %q is built on it; use force", users[0].Name)}
		}
		if err := c.finish(image.Operation, Errorf(ErrCancelled, "the image was deleted")); err != nil {
			return err
		}
		if err := c.newOperation(opID, "delete image", false, map[string][]string{"image": {image.ID}}); err != nil {
			return err
		}
		return c.dropImage(&image, opID)
	})
	if err != nil {
		return Operation{}, err
	}
	return s.m.Operations.Get(ctx, opID)
}

func (c *change) dropImage(image *Image, opID string) error {
	image.Status, image.Operation, image.Default = ImageDeleted, opID, false
	c.lifecycle("image", image.ID, string(ImageDeleted), "")
	c.stop = append(c.stop, wakeImage(image.ID).key)
	c.wake = append(c.wake, wakePlace)
	return c.putImage(image)
}

// DeleteVersion deletes one version of an image. The operation ends when the
// backend has deleted it.
//
// Errors: ErrNotFound; ErrState for the only version, and for an image of the
// image server; ErrInUse while something that is being made waits for it;
// ErrConflict when it or the image is being deleted.
func (s *Images) DeleteVersion(ctx context.Context, idOrName string, number int) (Operation, error) {
	opID := xid.UUID(s.m.now())
	err := s.m.update(ctx, func(c *change) error {
		image, err := findImage(c, idOrName)
		if err != nil {
			return err
		}
		v := image.version(number)
		left := slices.DeleteFunc(slices.Clone(image.Versions), func(v ImageVersion) bool { return v.Status == ImageDeleted })
		waits, werr := c.Instances().List(InstanceFilter{Status: []InstanceStatus{InstanceCreated}, ImageID: image.ID, ImageVersion: &number}, Page{})
		switch {
		case werr != nil:
			return werr
		case v == nil:
			return &Error{Code: ErrNotFound, Kind: "image", ID: image.Name, Err: fmt.Errorf("has no version %d", number)}
		case image.Status == ImageDeleted || v.Status == ImageDeleted:
			return &Error{Code: ErrConflict, Kind: "image", ID: image.Name, Err: errors.New("is being deleted already")}
		case image.Immutable:
			return &Error{Code: ErrState, Kind: "image", ID: image.Name, Err: errors.New("is immutable: it comes from the image server")}
		case len(left) == 1:
			return &Error{Code: ErrState, Kind: "image", ID: image.Name, Err: fmt.Errorf("version %d is the only one left; delete the image instead", number)}
		case len(waits) > 0:
			return &Error{Code: ErrInUse, Kind: "image", ID: image.Name, Err: fmt.Errorf("instance %q waits for version %d", waits[0].Name, number)}
		}
		if v.Status == ImageInitializing || v.Status == ImageQueued { // its operation is the image's
			if err := c.finish(image.Operation, Errorf(ErrCancelled, "the image version was deleted")); err != nil {
				return err
			}
			image.Operation = ""
			c.stop = append(c.stop, wakeImage(image.ID).key)
		}
		v.Status, v.DeleteOperation = ImageDeleted, opID
		if err := c.putImage(&image); err != nil {
			return err
		}
		return c.newOperation(opID, "delete image version", false, map[string][]string{"image": {image.ID}})
	})
	if err != nil {
		return Operation{}, err
	}
	return s.m.Operations.Get(ctx, opID)
}

// imageWaiters are the instances that wait for a version of an image.
func imageWaiters(tx Tx, id string, number int) ([]Instance, error) {
	waiting, err := tx.Instances().List(InstanceFilter{Status: []InstanceStatus{InstanceCreated}, ImageID: id, ImageVersion: &number}, Page{})
	return slices.DeleteFunc(waiting, func(in Instance) bool {
		return in.Fingerprint != "" || in.Want == WantDeleted || in.Failure != ""
	}), err
}

// deleteImage removes the image from the backend, and then its row.
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
		for _, v := range image.Versions {
			if err := c.finish(v.DeleteOperation, nil); err != nil {
				return err
			}
		}
		c.lifecycle("image", image.ID, "gone", "")
		return c.finish(image.Operation, nil)
	})
}

// deleteImageVersion removes one version from the backend, and then from the row.
func (e *engine) deleteImageVersion(ctx context.Context, image *Image, number int) error {
	if err := e.dropImage(ctx, imageAlias(image.ID, number)); err != nil {
		return err
	}
	return e.m.update(ctx, func(c *change) error {
		row, err := c.Images().Get(image.ID)
		if err != nil {
			return ignoreNotFound(err)
		}
		v := row.version(number)
		if v == nil || v.Status != ImageDeleted {
			return nil
		}
		op := v.DeleteOperation
		row.Versions = slices.DeleteFunc(row.Versions, func(v ImageVersion) bool { return v.Number == number })
		return errors.Join(c.finish(op, nil), c.putImage(&row))
	})
}
