package ams

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/openams/ams/internal/xid"
)

// inputs are what a version is built from beside its package.
type inputs struct {
	image  Image
	parent *ImageVersion
	addons []AddonUse
}

// inputs finds what the application would be built from now. The image is the
// one its manifest names, or else the one it has, or else the default.
func (c *change) inputs(m *Manager, app *Application) (inputs, error) {
	var in inputs
	var err error
	if in.image, in.parent, err = c.resolveImage(cmp.Or(app.Manifest.Image, app.Image), nil, app.VM); err != nil {
		return in, err
	}
	if in.image.VM != app.VM {
		return in, Errorf(ErrInvalid, "image %q is for %s, the application for %s", in.image.Name, kindOf(in.image.VM), kindOf(app.VM))
	}
	in.addons, err = c.resolveAddons(m, app.Manifest.Addons)
	return in, err
}

func kindOf(vm bool) string {
	if vm {
		return "virtual machines"
	}
	return "containers"
}

// outdated reports whether an application was built from something else the last
// time. A version that was deleted since is not built again: it was not wanted.
func (in *inputs) outdated(app *Application, newest *Version) bool {
	v := app.Built
	if v == nil {
		v = &Built{newest.ImageID, newest.ImageVersion, newest.Addons}
	}
	return v.ImageID != in.image.ID || v.ImageVersion < in.parent.Number ||
		!slices.EqualFunc(v.Addons, in.addons, func(a, b AddonUse) bool { return a.Name == b.Name && a.Version == b.Version })
}

// build adds the next version to an application, new or not, with the base
// instance that builds it and the operation that waits for it. The manifest, the
// package and the APK of app say what it is to be.
func (c *change) build(m *Manager, app *Application, in *inputs, opID, what string) error {
	abi, err := c.abi(m, app, in)
	if err != nil {
		return err
	}
	app.derive()
	app.Resources.hold(in.parent, app.VM)
	app.ABI, app.Image = abi, in.image.ID
	app.Built = &Built{in.image.ID, in.parent.Number, in.addons}
	app.Status, app.UpdatedAt = ApplicationInitializing, c.now
	v := Version{
		ID: versionID(app.ID, app.NextVersion), ApplicationID: app.ID, Number: app.NextVersion,
		Manifest: app.Manifest, APK: app.APK, Package: app.Package, ABI: abi,
		ImageID: in.image.ID, ImageVersion: in.parent.Number, Architecture: in.image.Architecture, Addons: in.addons,
		Operation: opID, CreatedAt: c.now,
	}
	app.NextVersion++
	if err := c.newBase(m, app, &v, in.parent, opID); err != nil {
		return err
	}
	if err := c.fitsSomewhere(app, &v); err != nil {
		return err
	}
	if err := c.Applications().Put(*app); err != nil {
		return err
	}
	if err := c.moveVersion(&v, VersionInitializing, ""); err != nil {
		return err
	}
	return c.newOperation(opID, what, true, map[string][]string{"application": {app.ID}, "version": {v.ID}})
}

// hold makes the disk of a virtual machine hold its image.
func (r *Resources) hold(v *ImageVersion, vm bool) {
	if vm {
		r.DiskSize = max(r.DiskSize, Size(v.Size))
	}
}

// derive sets what follows from the manifest and the APK.
func (a *Application) derive() {
	a.Resources = a.Manifest.Requirements(a.VM)
	a.BootPackage = cmp.Or(a.Manifest.BootPackage, a.APK.Package)
}

// fitsSomewhere refuses what no node could hold even when empty. Where no node
// is known yet, that cannot be told.
func (c *change) fitsSomewhere(app *Application, v *Version) error {
	nodes, err := c.Nodes().List(NodeFilter{}, Page{})
	if err != nil || len(nodes) == 0 {
		return err
	}
	d := Demand{Charge: app.Resources.running(), Architecture: v.Architecture, VM: app.VM, GPUType: app.Resources.GPUType}
	if v.Manifest.Encoder(app.VM) == EncoderGPU {
		d.EncoderSlots = 1
	}
	return possible(nodes, &d)
}

// newestVersion returns the version with the highest number that is not being
// deleted.
func newestVersion(tx Tx, id string) (Version, error) {
	all, err := tx.Versions().List(VersionFilter{ApplicationID: id, Status: []VersionStatus{VersionInitializing, VersionActive, VersionError}}, Page{})
	if err != nil || len(all) == 0 {
		return Version{Number: -1}, err
	}
	return slices.MaxFunc(all, func(a, b Version) int { return a.Number - b.Number }), nil
}

// Refresh makes a new version of an application if it would be built from
// something newer than its newest version was: another version of its image or
// of an addon, or other addons by the setting application.addons. It does so also
// if the newest version failed, and where automatic updates are off. With nothing
// to do the operation has succeeded already, without a version among its resources.
//
// Errors: ErrNotFound; ErrConflict when a version of it is being built or it is
// being deleted; ErrState when it is immutable; those of Create for the image and
// the addons.
func (s *Applications) Refresh(ctx context.Context, idOrName string) (Operation, error) {
	opID := xid.UUID(s.m.now())
	err := s.m.update(ctx, func(c *change) error {
		app, err := c.application(idOrName)
		if err != nil {
			return err
		}
		if err := app.updatable(); err != nil {
			return err
		}
		newest, err := newestVersion(c, app.ID)
		if err != nil {
			return err
		}
		in, err := c.inputs(s.m, &app)
		if err != nil {
			return err
		}
		if !in.outdated(&app, &newest) && newest.Status != VersionError {
			return c.doneOperation(opID, "update application", map[string][]string{"application": {app.ID}})
		}
		return c.build(s.m, &app, &in, opID, "update application")
	})
	if err != nil {
		return Operation{}, err
	}
	return s.m.Operations.Get(ctx, opID)
}

// passUpdates rebuilds the applications that are not built from the newest of
// what they depend on, in the order they were made in.
func (e *engine) passUpdates(ctx context.Context) {
	var ids []string
	err := e.m.view(ctx, func(tx Tx) error {
		ids = nil
		if on, err := e.m.Settings.flag(tx, "application.auto_update"); err != nil || !on {
			return err
		}
		no := false
		apps, err := tx.Applications().List(ApplicationFilter{
			Status: []ApplicationStatus{ApplicationReady, ApplicationError}, Immutable: &no,
		}, Page{})
		for i := range apps {
			if !apps[i].InhibitAutoUpdates {
				ids = append(ids, apps[i].ID)
			}
		}
		return err
	})
	for _, id := range ids {
		if e.draining() || ctx.Err() != nil {
			return
		}
		err = errors.Join(err, e.refresh(ctx, id))
	}
	if err != nil && ctx.Err() == nil {
		e.m.log.Error("updating applications failed and will be tried again", "error", err)
		e.queue.AddAfter(wakeUpdates.key, wakeUpdates.lane, backoff(8))
	}
}

// refresh rebuilds one application if that is due. That it cannot be rebuilt, as
// its image is gone for instance, is logged and no error.
func (e *engine) refresh(ctx context.Context, id string) error {
	opID := xid.UUID(e.m.now())
	refused := false
	err := e.m.update(ctx, func(c *change) error {
		refused = false
		app, err := c.Applications().Get(id)
		if err != nil {
			return ignoreNotFound(err)
		}
		on, err := e.m.Settings.flag(c, "application.auto_update")
		if err != nil || !on || app.InhibitAutoUpdates || app.updatable() != nil {
			return err
		}
		newest, err := newestVersion(c, id)
		if err != nil || newest.Number < 0 {
			return err
		}
		refused = true
		in, err := c.inputs(e.m, &app)
		if err != nil || !in.outdated(&app, &newest) {
			return err
		}
		if in.parent.Status != ImageActive {
			// First it is fetched; what is here is not given up for what may never come.
			return c.queueImage(&in.image, in.parent)
		}
		return c.build(e.m, &app, &in, opID, "update application")
	})
	switch CodeOf(err) {
	case ErrNotFound, ErrState, ErrInvalid, ErrNoCapacity:
		if refused {
			e.m.log.Warn("an application cannot be updated", "application", id, "error", err)
			return nil
		}
	}
	return err
}
