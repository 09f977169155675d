package ams

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

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
// not usable); ErrNoCapacity (no node could hold it even when empty).
func (s *Applications) Create(ctx context.Context, pkg io.Reader, opts CreateOptions) (Operation, error) {
	m := s.m
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
			Status: ApplicationInitializing, CreatedAt: c.now,
		}
		c.lifecycle("application", app.ID, "created", app.Name)
		return c.addVersion(m, &app, p, opID, "create application")
	})
	if err != nil {
		return Operation{}, wrapName(err, "application", p.manifest.Name)
	}
	return m.Operations.Get(ctx, opID)
}

// Update makes a new version of an application from a package with the same name
// in its manifest. Everything else is as for Create.
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
		return c.addVersion(m, &app, p, opID, "update application")
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

// addVersion adds the next version to an application, new or not, with the base
// instance that builds it.
func (c *change) addVersion(m *Manager, app *Application, p *parcel, opID, what string) error {
	image, parent, err := c.resolveImage(p.manifest.Image, nil, app.VM)
	if err != nil {
		return err
	}
	if err := p.runsOn(&image); err != nil {
		return err
	}
	mf := p.manifest
	app.Manifest, app.Package, app.APK, app.Resources = *mf, p.blob, p.apk, mf.Requirements(app.VM)
	app.BootPackage = p.bootPackage()
	app.ABI = p.abi(image.Architecture)
	app.Image = image.ID
	app.Status, app.UpdatedAt = ApplicationInitializing, c.now
	v := Version{
		ID: versionID(app.ID, app.NextVersion), ApplicationID: app.ID, Number: app.NextVersion,
		Manifest: *mf, APK: p.apk, Package: p.blob,
		ImageID: image.ID, ImageVersion: parent.Number, Architecture: image.Architecture,
		Operation: opID, CreatedAt: c.now,
	}
	app.NextVersion++
	if err := c.newBase(m, app, &v, parent, opID); err != nil {
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

// fitsSomewhere refuses what no node could hold even when empty. Where no node
// is known yet, that cannot be told.
func (c *change) fitsSomewhere(app *Application, v *Version) error {
	nodes, err := c.Nodes().List(NodeFilter{}, Page{})
	if err != nil || len(nodes) == 0 {
		return err
	}
	d := Demand{Charge: app.Resources.running(), Architecture: v.Architecture, VM: app.VM}
	return possible(nodes, &d)
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

// bootPackage is the Android package to start: the manifest's, or the APK's.
func (p *parcel) bootPackage() string {
	if p.manifest.BootPackage != "" {
		return p.manifest.BootPackage
	}
	return p.apk.Package
}

// nativeABIs are the ABIs that a machine of an architecture executes, the
// preferred one first.
func nativeABIs(architecture string) []string {
	switch architecture {
	case "x86_64", "amd64":
		return []string{"x86_64", "x86"}
	case "aarch64", "arm64":
		return []string{"arm64-v8a", "armeabi-v7a", "armeabi"}
	case "armv7l", "armhf":
		return []string{"armeabi-v7a", "armeabi"}
	}
	return nil
}

// abi is the ABI the application runs with on an architecture: the best that
// both have, or the machine's own when the APK has no native code.
func (p *parcel) abi(architecture string) string {
	native := nativeABIs(architecture)
	for _, abi := range native {
		if slices.Contains(p.apk.ABIs, abi) {
			return abi
		}
	}
	return first(native)
}

// runsOn refuses an APK whose native code the image cannot execute.
func (p *parcel) runsOn(image *Image) error {
	if len(p.apk.ABIs) == 0 {
		return nil
	}
	for _, abi := range nativeABIs(image.Architecture) {
		if slices.Contains(p.apk.ABIs, abi) {
			return nil
		}
	}
	return Errorf(ErrInvalid, "app.apk supports %v; image %q is %s", p.apk.ABIs, image.Name, image.Architecture)
}

// wrongNumber is the error for a version that an application does not have.
func wrongNumber(app *Application, number int) error {
	return &Error{Code: ErrNotFound, Kind: "application", ID: app.Name, Err: fmt.Errorf("has no version %d", number)}
}
