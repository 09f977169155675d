package ams

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/openams/ams/internal/xid"
)

// AddRemote makes an image of one that the image server has, under a name of its
// own, and fetches it. The remote is its name there, which gives the newest version
// and follows it; or "name@version", with the whole version or the part before its
// first hyphen, which stays at that. It reads the server's list before it returns;
// the operation ends when the image is active. Cancelling it ends the fetch; the
// image stays, and is fetched when it is used.
//
// Errors: ErrInvalid (name); ErrExists; ErrNotFound (the image or version on the
// server); ErrUnsupported without an image server; ErrUnavailable, ErrDenied.
func (s *Images) AddRemote(ctx context.Context, name, remote string, opts ImageOptions) (Operation, error) {
	m := s.m
	if err := s.addable(ctx, name, opts.VM); err != nil {
		return Operation{}, err
	}
	if m.cfg.ImageServer == nil {
		return Operation{}, Errorf(ErrUnsupported, "there is no image server")
	}
	from, err := m.imageSource(ctx)
	if err != nil {
		return Operation{}, err
	}
	list, err := m.remoteImages(ctx, from)
	if err != nil {
		return Operation{}, err
	}
	theirs, pin, pinned := strings.Cut(remote, "@")
	if pinned && pin == "" {
		return Operation{}, Errorf(ErrInvalid, "image %s: a version must follow the @", quote(remote))
	}
	i := slices.IndexFunc(list, func(r RemoteImage) bool { return r.Name == theirs && r.VM == opts.VM })
	if i < 0 {
		return Operation{}, &Error{Code: ErrNotFound, Kind: "image", ID: theirs, Err: errors.New("the image server does not have it")}
	}
	opID := xid.UUID(m.now())
	err = m.update(ctx, func(c *change) error {
		release, err := m.imageRelease(c)
		if err != nil {
			return err
		}
		v := list[i].choose(release, pin)
		if v == nil {
			return &Error{Code: ErrNotFound, Kind: "image", ID: remote, Err: errors.New("the image server has no such version that this release may use")}
		}
		image := Image{ID: m.ids.New(c.now), Name: name, Remote: theirs, Immutable: true, Operation: opID}
		if pin != "" {
			image.Pin = v.ID
		}
		image.describe(&list[i])
		first := v.available()
		first.Status, first.Sync = ImageQueued, true
		if err := c.newImage(&image, first, opts.Default); err != nil {
			return err
		}
		return c.newOperation(opID, "add image", true, map[string][]string{"image": {image.ID}})
	})
	if err != nil {
		return Operation{}, wrapName(err, "image", name)
	}
	return m.Operations.Get(ctx, opID)
}

// Sync fetches the newest version of an image of the image server now, and not
// when it is first used; one that could not be fetched is tried again. The
// operation ends when it is active, and has succeeded already if it is. Cancelling
// it ends the fetch, unless something else waits for it.
//
// Errors: ErrNotFound; ErrState for an image that is not from the image server;
// ErrConflict when it is being deleted, or fetched by request already.
func (s *Images) Sync(ctx context.Context, idOrName string) (Operation, error) {
	opID := xid.UUID(s.m.now())
	err := s.m.update(ctx, func(c *change) error {
		image, err := findImage(c, idOrName)
		switch {
		case err != nil:
			return err
		case image.Status == ImageDeleted:
			return &Error{Code: ErrConflict, Kind: "image", ID: image.Name, Err: errors.New("is being deleted")}
		case image.Remote == "":
			return &Error{Code: ErrState, Kind: "image", ID: image.Name, Err: errors.New("is not from the image server")}
		case image.Operation != "":
			return &Error{Code: ErrConflict, Kind: "image", ID: image.Name, Err: errors.New("is being fetched already")}
		}
		resources := map[string][]string{"image": {image.ID}}
		v := &image.Versions[len(image.Versions)-1]
		if v.Status == ImageActive || v.Status == ImageDeleted {
			return c.doneOperation(opID, "sync image", resources)
		}
		v.Status, v.Sync, v.ErrorMessage, v.Attempts, v.Wrong, v.RetryAt = ImageQueued, true, "", 0, 0, time.Time{}
		image.Operation = opID
		if err := c.putImage(&image); err != nil {
			return err
		}
		return c.newOperation(opID, "sync image", true, resources)
	})
	if err != nil {
		return Operation{}, err
	}
	return s.m.Operations.Get(ctx, opID)
}
