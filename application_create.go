package ams

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/openams/ams/internal/xid"
)

// Applications is the service for applications and their versions.
type Applications struct{ m *Manager }

// CreateOptions are what can be said about a new application beside its package.
type CreateOptions struct {
	// VM makes it run as virtual machines. Fixed for ever.
	VM bool
	// Digest is the expected SHA-256 of the package in hexadecimal; empty is not
	// checked.
	Digest string
}

// Create makes an application from a package: a zip or tar.bz2 stream, as from
// OpenPackage. It reads the package to its end, keeps it, checks all of it, and
// returns when application and version 0 are committed. The operation ends when
// the version is active and its base instance is gone, and fails with the reason
// that is then also the version's ErrorMessage. Cancelling it drops the build;
// the application stays, in status error.
//
// The package may be Config.MaxPackage long, packed and unpacked. When ctx ends
// during the upload nothing is left behind.
//
// Errors: ErrInvalid (package, manifest with all its problems, APK, digest);
// ErrTooLarge; ErrNoSpace; ErrExists (name); ErrNotFound (image); ErrState (image
// not usable); ErrNoCapacity (no node could hold it even when empty);
// ErrUnsupported (the backend is no Publisher).
func (s *Applications) Create(ctx context.Context, pkg io.Reader, opts CreateOptions) (Operation, error) {
	m := s.m
	if _, ok := BackendAs[Publisher](m.backend); !ok {
		return Operation{}, Errorf(ErrUnsupported, "the backend cannot publish instances as images")
	}
	release := m.holdBlobs()
	defer release()
	p, err := m.takePackage(ctx, pkg, opts.Digest)
	if err != nil {
		return Operation{}, err
	}
	opID := xid.UUID(m.now())
	err = m.update(ctx, func(c *change) error {
		app := Application{
			ID: m.ids.New(c.now), Name: p.manifest.Name, VM: opts.VM,
			Manifest: *p.manifest, Package: p.blob, APK: p.apk,
			Status: ApplicationInitializing, CreatedAt: c.now,
		}
		in, err := c.inputs(m, &app)
		if err != nil {
			return err
		}
		c.lifecycle("application", app.ID, "created", app.Name)
		return c.build(m, &app, &in, opID, "create application")
	})
	if err != nil {
		return Operation{}, wrapName(err, "application", p.manifest.Name)
	}
	return m.Operations.Get(ctx, opID)
}

// Update makes a new version of an application from a package with the same name
// in its manifest. What belongs to a version comes from that manifest alone: boot
// package and activity, permissions, services, features, watchdog, encoder, hooks,
// extra data. What belongs to the application keeps its value where the manifest
// does not say: image, instance type, resources, addons, tags, node selector.
// Everything else is as for Create.
//
// Errors: those of Create; ErrNotFound; ErrConflict when a version of it is being
// built or it is being deleted; ErrState when it is immutable.
func (s *Applications) Update(ctx context.Context, idOrName string, pkg io.Reader, opts CreateOptions) (Operation, error) {
	m := s.m
	app, err := s.Get(ctx, idOrName)
	if err != nil {
		return Operation{}, err
	}
	if err := app.updatable(); err != nil {
		return Operation{}, err
	}
	release := m.holdBlobs()
	defer release()
	p, err := m.takePackage(ctx, pkg, opts.Digest)
	if err != nil {
		return Operation{}, err
	}
	if p.manifest.Name != app.Name {
		return Operation{}, Errorf(ErrInvalid, "name %s differs from the application's %s, which is fixed", quote(p.manifest.Name), quote(app.Name))
	}
	opID := xid.UUID(m.now())
	err = m.update(ctx, func(c *change) error {
		app, err := c.application(app.ID)
		if err != nil {
			return err
		}
		if err := app.updatable(); err != nil {
			return err
		}
		app.Manifest, app.Package, app.APK = app.Manifest.updated(p.manifest), p.blob, p.apk
		in, err := c.inputs(m, &app)
		if err != nil {
			return err
		}
		return c.build(m, &app, &in, opID, "update application")
	})
	if err != nil {
		return Operation{}, err
	}
	return m.Operations.Get(ctx, opID)
}

func (a *Application) updatable() error {
	switch {
	case a.Status == ApplicationDeleted:
		return &Error{Code: ErrConflict, Kind: "application", ID: a.Name, Err: errors.New("is being deleted")}
	case a.Status == ApplicationInitializing:
		return &Error{Code: ErrConflict, Kind: "application", ID: a.Name, Err: errors.New("a version of it is being built")}
	case a.Immutable:
		return &Error{Code: ErrState, Kind: "application", ID: a.Name, Err: errors.New("is immutable: it comes from a registry")}
	}
	return nil
}

// application finds an application by id or name; one that is being deleted is
// found by its id only.
func (c *change) application(idOrName string) (Application, error) {
	return findApplication(c, idOrName)
}

func findApplication(tx Tx, idOrName string) (Application, error) {
	if app, err := tx.Applications().Get(idOrName); CodeOf(err) != ErrNotFound {
		return app, err
	}
	named, err := tx.Applications().List(ApplicationFilter{Name: idOrName}, Page{Limit: 1})
	if err != nil || len(named) == 1 && idOrName != "" {
		return first(named), err
	}
	return Application{}, notFound("application", idOrName)
}

// updated is what becomes of an application's manifest with a new package.
func (m *Manifest) updated(by *Manifest) Manifest {
	out := *by
	out.Image = cmp.Or(by.Image, m.Image)
	out.InstanceType = cmp.Or(by.InstanceType, m.InstanceType)
	out.Resources = overlay(m.Resources, by.Resources)
	keep := func(to *[]string, from []string) {
		if *to == nil {
			*to = from
		}
	}
	keep(&out.Addons, m.Addons)
	keep(&out.Tags, m.Tags)
	keep(&out.NodeSelector, m.NodeSelector)
	return out
}

// wrongNumber is the error for a version that an application does not have.
func wrongNumber(app *Application, number int) error {
	return &Error{Code: ErrNotFound, Kind: "application", ID: app.Name, Err: fmt.Errorf("has no version %d", number)}
}
