package ams

import (
	"context"
	"errors"
	"time"

	"github.com/openams/ams/internal/xid"
)

// PublishOptions say what image an instance becomes.
type PublishOptions struct {
	Name    string // empty: the image has only its id
	Default bool   // make it the default of its kind
	Force   bool   // stop the instance first if it runs; it stays stopped
}

// Publish makes an image of a stopped instance, which stays as it is. The
// operation ends when the image is active. Cancelling it deletes the image.
//
// Errors: ErrInvalid (name); ErrExists (name); ErrNotFound (instance); ErrState when
// the instance is not stopped, and force is not set or cannot help;
// ErrConflict when another operation on it is under way; ErrUnsupported.
func (s *Images) Publish(ctx context.Context, instance string, opts PublishOptions) (Operation, error) {
	m := s.m
	if _, ok := BackendAs[Publisher](m.backend); !ok {
		return Operation{}, Errorf(ErrUnsupported, "the backend cannot publish instances as images")
	}
	faults := newManifestFaults()
	if opts.Name != "" {
		faults.name("name", opts.Name, true)
	}
	if err := faults.err(); err != nil {
		return Operation{}, err
	}
	opID := xid.UUID(m.now())
	err := m.update(ctx, func(c *change) error {
		in, err := findInstance(c, instance)
		switch {
		case err != nil:
			return err
		case in.Base:
			return instanceState(&in, "is a base instance")
		case in.Operation != "" || !in.Resting:
			return &Error{Code: ErrConflict, Kind: "instance", ID: in.Name, Err: errors.New("another operation on it is under way")}
		case in.Status == InstanceRunning && opts.Force:
			if err := c.supersede(&in, WantStopped, false); err != nil {
				return err
			}
			in.Resting, in.Attempts, in.RetryAt = false, 0, time.Time{}
			if err := c.putInstance(in); err != nil {
				return err
			}
		case in.Status != InstanceStopped:
			return instanceState(&in, "must be stopped")
		}
		image := Image{ID: m.ids.New(c.now), Name: opts.Name, VM: in.VM, Architecture: in.Architecture, Operation: opID}
		if image.Name == "" {
			image.Name = image.ID
		}
		if image.Variant, err = c.variantOf(&in); err != nil {
			return err
		}
		if err := c.newImage(&image, ImageVersion{Status: ImageInitializing, Instance: in.ID}, opts.Default); err != nil {
			return err
		}
		return c.newOperation(opID, "publish instance", true, map[string][]string{"image": {image.ID}, "instance": {in.ID}})
	})
	if err != nil {
		return Operation{}, wrapName(err, "image", opts.Name)
	}
	return m.Operations.Get(ctx, opID)
}

// variantOf is the variant of the image that an instance comes from.
func (c *change) variantOf(in *Instance) (string, error) {
	id := in.ImageID
	if in.ApplicationID != "" {
		v, err := c.Versions().Get(versionID(in.ApplicationID, in.Version))
		if err != nil {
			return "", ignoreNotFound(err)
		}
		id = v.ImageID
	}
	image, err := c.Images().Get(id)
	return image.Variant, ignoreNotFound(err)
}

// publishImage publishes the instance once it is stopped.
func (e *engine) publishImage(ctx context.Context, image *Image, v *ImageVersion) error {
	var in Instance
	err := e.m.view(ctx, func(tx Tx) (err error) {
		in, err = tx.Instances().Get(v.Instance)
		return err
	})
	switch {
	case errors.Is(err, ErrNotFound) || err == nil && in.Want == WantDeleted:
		return e.imageDone(ctx, image, v.Number, BackendImage{}, Errorf(ErrNotFound, "the instance was deleted"))
	case err != nil:
		return err
	case !in.Resting && in.Want == WantStopped: // by request
		e.wakeAfter(wakeImage(image.ID), time.Second)
		return nil
	case in.Status != InstanceStopped:
		return e.imageDone(ctx, image, v.Number, BackendImage{}, instanceState(&in, "is not stopped"))
	}
	publisher, _ := BackendAs[Publisher](e.m.backend)
	var made BackendImage
	err = e.m.call(ctx, "publish", &in, time.Hour, func(ctx context.Context) (err error) {
		made, err = publisher.Publish(ctx, e.ref(&in), imageAlias(image.ID, v.Number))
		return err
	})
	if err != nil && (ctx.Err() != nil || errors.Is(err, ErrUnavailable)) {
		return err
	}
	return e.imageDone(ctx, image, v.Number, made, err)
}
