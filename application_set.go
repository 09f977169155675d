package ams

import (
	"context"
	"reflect"

	"github.com/openams/ams/internal/xid"
)

// ApplicationPatch is a change of an application. A nil field is left as it is; a
// list that is empty but not nil, and the zero value, take what was set back.
type ApplicationPatch struct {
	// These belong to the application and make no new version by themselves.
	InstanceType       *string
	Tags               []string
	NodeSelector       []string
	Resources          ResourcesPatch
	InhibitAutoUpdates *bool
	// These make one when the newest version was built from something else.
	Image  *string // by id or name; empty keeps the one it has
	Addons []string

	// These belong to a version and make a new one.
	Version             *string
	BootActivity        *string
	RequiredPermissions []string
	VideoEncoder        *VideoEncoder
	Watchdog            *Watchdog
	Services            []Service
	Features            []string
	Hooks               *Hooks
	Bootstrap           *Bootstrap
}

// ResourcesPatch is a change of resources. A nil field is left as it is; 0 makes
// the instance type or the preset count again; for slots that is -1.
type ResourcesPatch struct {
	CPUs          *int
	Memory        *Size
	DiskSize      *Size
	GPUSlots      *int
	VPUSlots      *int
	GPUType       *string
	NoDiskReserve *bool
}

// Set changes an application. However much of it changes at once, there is one
// new version at the most, and none where nothing that concerns a version changed:
// then the operation has succeeded already. Instances that exist stay as they are.
//
// Errors: ErrNotFound (application, image, addon); ErrInvalid with all problems at
// once; ErrState when it is immutable; ErrConflict when it is being deleted, or
// needs a new version while one is being built; those of Create for a build.
func (s *Applications) Set(ctx context.Context, idOrName string, p ApplicationPatch) (Operation, error) {
	opID := xid.UUID(s.m.now())
	err := s.m.update(ctx, func(c *change) error {
		app, err := c.application(idOrName)
		if err != nil {
			return err
		}
		p, before := p, app.Manifest
		if p.Image != nil && *p.Image != "" {
			// By its id: an image of that name may come from elsewhere one day.
			image, err := findImageOf(c, *p.Image, app.VM)
			if err != nil {
				return err
			}
			p.Image = &image.ID
		}
		app.Manifest = p.apply(before)
		set(&app.InhibitAutoUpdates, p.InhibitAutoUpdates)
		if err := app.settable(); err != nil {
			return err
		}
		needed, in, err := c.needsVersion(s.m, &app, &before)
		if err != nil {
			return err
		}
		if needed {
			if err := app.updatable(); err != nil {
				return err
			}
			return c.build(s.m, &app, &in, opID, "update application")
		}
		disk := app.Resources.DiskSize
		app.derive()
		if app.VM && p.Resources.DiskSize == nil { // it holds the image
			app.Resources.DiskSize = max(disk, app.Resources.DiskSize)
		}
		app.UpdatedAt = c.now
		c.lifecycle("application", app.ID, "updated", "")
		if p.InhibitAutoUpdates != nil && !*p.InhibitAutoUpdates {
			c.wake = append(c.wake, wakeUpdate(app.ID))
		}
		if err := c.Applications().Put(app); err != nil {
			return err
		}
		return c.doneOperation(opID, "update application", map[string][]string{"application": {app.ID}})
	})
	if err != nil {
		return Operation{}, err
	}
	return s.m.Operations.Get(ctx, opID)
}

// settable checks that an application may be changed, and is valid after it.
func (a *Application) settable() error {
	if err := a.updatable(); err != nil && a.Status != ApplicationInitializing {
		return err
	}
	faults := newManifestFaults()
	a.Manifest.check(faults)
	if err := faults.err(); err != nil {
		return err
	}
	return a.Manifest.CheckPackage(a.APK.Package)
}

// needsVersion reports whether a change of the manifest makes a new version, and
// what that is built from.
func (c *change) needsVersion(m *Manager, app *Application, before *Manifest) (bool, inputs, error) {
	changed := !reflect.DeepEqual(app.Manifest.ofVersion(), before.ofVersion())
	depends := app.Manifest.Image != before.Image || !reflect.DeepEqual(app.Manifest.Addons, before.Addons)
	if !changed && !depends {
		return false, inputs{}, nil
	}
	in, err := c.inputs(m, app)
	if err != nil || changed {
		return changed, in, err
	}
	newest, err := newestVersion(c, app.ID)
	return err == nil && in.outdated(app, &newest), in, err
}

// ofVersion is the part of a manifest that belongs to a version.
func (m *Manifest) ofVersion() Manifest {
	v := *m
	v.Image, v.InstanceType, v.Resources = "", "", Resources{}
	v.Addons, v.Tags, v.NodeSelector = nil, nil, nil
	return v
}

// apply returns the manifest after the change.
func (p *ApplicationPatch) apply(m Manifest) Manifest {
	set(&m.InstanceType, p.InstanceType)
	if p.Image != nil {
		m.Image = *p.Image
	}
	p.Resources.apply(&m.Resources)
	setList(&m.Tags, p.Tags)
	setList(&m.NodeSelector, p.NodeSelector)
	setList(&m.Addons, p.Addons)
	set(&m.Version, p.Version)
	set(&m.BootActivity, p.BootActivity)
	setList(&m.RequiredPermissions, p.RequiredPermissions)
	set(&m.VideoEncoder, p.VideoEncoder)
	set(&m.Watchdog, p.Watchdog)
	setList(&m.Services, p.Services)
	setList(&m.Features, p.Features)
	set(&m.Hooks, p.Hooks)
	set(&m.Bootstrap, p.Bootstrap)
	setList(&m.Watchdog.AllowedPackages, m.Watchdog.AllowedPackages) // empty is none
	setList(&m.Bootstrap.Keep, m.Bootstrap.Keep)
	return m
}

func (p *ResourcesPatch) apply(r *Resources) {
	set(&r.CPUs, p.CPUs)
	set(&r.Memory, p.Memory)
	set(&r.DiskSize, p.DiskSize)
	setSlots(&r.GPUSlots, p.GPUSlots)
	setSlots(&r.VPUSlots, p.VPUSlots)
	set(&r.GPUType, p.GPUType)
	set(&r.NoDiskReserve, p.NoDiskReserve)
}

// setSlots sets a number of slots; -1 is none said.
func setSlots(to **int, from *int) {
	switch {
	case from == nil:
	case *from == -1:
		*to = nil
	default:
		*to = new(int)
		**to = *from
	}
}

// setList sets a list; an empty one is no list.
func setList[T any](to *[]T, from []T) {
	if from == nil {
		return
	}
	*to = nil
	if len(from) > 0 {
		*to = from
	}
}
