package ams

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// What the image server has is read again and again, and the rows follow it.

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
	if err == nil {
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
		release, err := e.m.imageRelease(c)
		if err != nil {
			return err
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

// runsVMs reports whether some node runs virtual machines.
func (c *change) runsVMs() (bool, error) {
	nodes, err := c.Nodes().List(NodeFilter{}, Page{})
	return slices.ContainsFunc(nodes, func(n Node) bool { return n.VMs }), err
}
