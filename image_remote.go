package ams

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/openams/ams/internal/xid"
)

// imageSource is where the image server is, by the settings.
func (m *Manager) imageSource(ctx context.Context) (ImageSource, error) {
	var from ImageSource
	err := m.view(ctx, func(tx Tx) (err error) {
		if from.URL, err = m.Settings.text(tx, "images.url"); err != nil {
			return err
		}
		if from.Auth, err = m.Settings.text(tx, "images.auth"); err != nil {
			return err
		}
		if from.Proxy, err = m.proxyFor(tx, from.URL); err != nil {
			return err
		}
		from.AllowInsecure, err = m.Settings.flag(tx, "images.allow_insecure")
		return err
	})
	return from, err
}

// passImageList takes over what the image server has. When it does not answer,
// what is here stays as it is.
func (e *engine) passImageList(ctx context.Context) {
	m := e.m
	if m.cfg.ImageServer == nil {
		return
	}
	var interval time.Duration
	err := m.view(ctx, func(tx Tx) (err error) {
		interval, err = m.Settings.duration(tx, "images.update_interval")
		return err
	})
	var from ImageSource
	if err == nil {
		from, err = m.imageSource(ctx)
	}
	if err == nil && from.URL != "" {
		err = e.listImages(ctx, from)
	}
	wait := interval
	if err != nil && ctx.Err() == nil {
		wait = min(interval, backoff(e.imageListTries+3))
		e.imageListTries++
		m.log.Warn("the image server cannot be read", "url", from.URL, "error", err)
	} else {
		e.imageListTries = 0
	}
	e.wakeAfter(wakeImageList, max(wait, time.Second))
}

func (e *engine) listImages(ctx context.Context, from ImageSource) error {
	list, err := e.m.remoteImages(ctx, from)
	if err != nil {
		return err
	}
	return e.m.update(ctx, func(c *change) error {
		lockstep, err := e.m.Settings.flag(c, "images.version_lockstep")
		if err != nil {
			return err
		}
		release := ""
		if lockstep {
			release = e.m.cfg.Release
		}
		return c.takeOver(e.m, list, release)
	})
}

// remoteImages reads the image server.
func (m *Manager) remoteImages(ctx context.Context, from ImageSource) ([]RemoteImage, error) {
	var list []RemoteImage
	err := m.call(ctx, "list images of the server", &Instance{}, m.cfg.CallTimeout, func(ctx context.Context) (err error) {
		list, err = m.cfg.ImageServer.Images(ctx, from)
		return err
	})
	return list, err
}

// takeOver makes the rows say what the image server has.
func (c *change) takeOver(m *Manager, list []RemoteImage, release string) error {
	rows, err := c.Images().List(ImageFilter{}, Page{})
	if err != nil {
		return err
	}
	vms, err := c.runsVMs()
	if err != nil {
		return err
	}
	offered := map[string]bool{}
	for i := range list {
		remote := &list[i]
		v := remote.choose(release, "")
		key := fmt.Sprint(remote.VM, " ", remote.Name)
		if v == nil || remote.VM && !vms || offered[key] {
			continue
		}
		offered[key] = true
		listed := false
		for k := range rows {
			row := &rows[k]
			listed = listed || row.VM == remote.VM && row.Name == remote.Name
			if row.Remote != remote.Name || row.VM != remote.VM || row.Status == ImageDeleted {
				continue
			}
			next := v
			if row.Pin != "" {
				next = remote.choose("", row.Pin)
			}
			if next == nil {
				continue
			}
			if err := c.follow(row, remote, next); err != nil {
				return err
			}
		}
		if !listed {
			image := Image{ID: m.ids.New(c.now), Name: remote.Name, Remote: remote.Name, Immutable: true}
			image.describe(remote)
			if err := c.newImage(&image, v.available(), false); err != nil {
				return err
			}
		}
	}
	for k := range rows {
		row := &rows[k]
		if row.Remote != "" && !offered[fmt.Sprint(row.VM, " ", row.Remote)] {
			if err := c.withdrawn(row); err != nil {
				return err
			}
		}
	}
	return nil
}

// follow gives a row the version that the server has now.
func (c *change) follow(row *Image, remote *RemoteImage, v *RemoteVersion) error {
	before := len(row.Versions)
	row.Versions = slices.DeleteFunc(slices.Clone(row.Versions), func(have ImageVersion) bool {
		return have.Status == ImageAvailable && have.RemoteID != v.ID // withdrawn, or not for this release
	})
	i := slices.IndexFunc(row.Versions, func(have ImageVersion) bool { return have.RemoteID == v.ID })
	if i < 0 {
		row.describe(remote)
		c.addImageVersion(row, v.available())
		c.wake = append(c.wake, wakeUpdates)
		return c.putImage(row)
	}
	have := &row.Versions[i]
	corrected := !slices.Equal(have.Files, v.Files) && (have.Status == ImageAvailable || have.Status == ImageError)
	answersAgain := have.Status == ImageAvailable && have.Attempts > 0 // as it just has
	if corrected || answersAgain {
		have.Status, have.ErrorMessage, have.Attempts, have.Wrong = ImageAvailable, "", 0, 0
		have.Files, have.Size = v.Files, v.Size()
		c.wake = append(c.wake, wakeUpdates)
	}
	if corrected || answersAgain || len(row.Versions) < before {
		return c.putImage(row)
	}
	return nil
}

// withdrawn forgets the versions that the server no longer has and that are not
// here. What is here stays.
func (c *change) withdrawn(row *Image) error {
	gone := func(v ImageVersion) bool { return v.Status == ImageAvailable && !v.Sync }
	if row.Pin != "" || row.Status == ImageDeleted || !slices.ContainsFunc(row.Versions, gone) {
		return nil
	}
	left := slices.DeleteFunc(slices.Clone(row.Versions), gone)
	if len(left) > 0 {
		row.Versions = left
		return c.putImage(row)
	}
	users, err := c.Applications().Count(ApplicationFilter{Image: row.ID})
	if err != nil || users > 0 {
		return err
	}
	c.lifecycle("image", row.ID, "gone", "the image server no longer has it")
	if err := c.Images().Delete(row.ID); err != nil || !row.Default {
		return err
	}
	here, err := c.Images().List(ImageFilter{VM: &row.VM, Status: []ImageStatus{ImageActive}}, Page{Limit: 1})
	if err != nil || len(here) == 0 {
		return err
	}
	here[0].Default, here[0].UpdatedAt = true, c.now
	return c.Images().Put(here[0])
}

func (i *Image) describe(remote *RemoteImage) {
	i.Architecture, i.Variant, i.VM = remote.Architecture, remote.Variant, remote.VM
}

func (v *RemoteVersion) available() ImageVersion {
	return ImageVersion{Status: ImageAvailable, RemoteID: v.ID, Files: v.Files, Size: v.Size()}
}

// choose returns the newest version for a release, any if that is empty: or the
// one that is pinned, by its whole name or the part before the first hyphen.
func (r *RemoteImage) choose(release, pin string) *RemoteVersion {
	for i := len(r.Versions) - 1; i >= 0; i-- {
		v := &r.Versions[i]
		switch {
		case pin != "":
			if (v.ID == pin || strings.HasPrefix(v.ID, pin+"-")) && (release == "" || !newerRelease(v.ID, release)) {
				return v
			}
		case release == "" || !newerRelease(v.ID, release):
			return v
		}
	}
	return nil
}

// newerRelease reports whether a version, "1.31.0-…", is for a newer release than
// the one given, "1.30". A version that does not begin with a release is for any.
func newerRelease(version, release string) bool {
	a, ok := releaseOf(version)
	b, _ := releaseOf(release)
	return ok && (a[0] > b[0] || a[0] == b[0] && a[1] > b[1])
}

func releaseOf(version string) (r [2]int, ok bool) {
	head, _, _ := strings.Cut(version, "-")
	parts := strings.Split(head, ".")
	if len(parts) < 2 {
		return r, false
	}
	for i := range r {
		n, err := strconv.Atoi(parts[i])
		if err != nil || n < 0 {
			return r, false
		}
		r[i] = n
	}
	return r, true
}

// runsVMs reports whether some node runs virtual machines.
func (c *change) runsVMs() (bool, error) {
	nodes, err := c.Nodes().List(NodeFilter{}, Page{})
	return slices.ContainsFunc(nodes, func(n Node) bool { return n.VMs }), err
}

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
		release := ""
		if on, err := m.Settings.flag(c, "images.version_lockstep"); err != nil {
			return err
		} else if on {
			release = m.cfg.Release
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
