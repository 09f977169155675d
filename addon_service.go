package ams

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/openams/ams/internal/xid"
)

// Addons is the service for addons.
type Addons struct{ m *Manager }

// AddonOptions are what can be said about an addon beside its package.
type AddonOptions struct {
	// Digest is the expected SHA-256 of the package in hexadecimal; empty is not
	// checked.
	Digest string
}

// Add makes an addon from a package: a zip or tar.bz2 stream, as from OpenPackage,
// with a manifest.yaml that has the same name and at least one executable hook. It
// reads the package to its end, checks all of it and keeps it; the operation it
// returns has succeeded already.
//
// The package may be Config.MaxPackage long, packed and unpacked. When ctx ends
// during the upload nothing is left behind.
//
// Errors: ErrInvalid (package, manifest with all its problems, hooks, digest);
// ErrTooLarge; ErrNoSpace; ErrExists (name).
func (s *Addons) Add(ctx context.Context, name string, pkg io.Reader, opts AddonOptions) (Operation, error) {
	m := s.m
	faults := newManifestFaults()
	if faults.name("name", name, false); faults.err() != nil {
		return Operation{}, faults.err()
	}
	if _, err := s.Get(ctx, name); err == nil {
		return Operation{}, &Error{Code: ErrExists, Kind: "addon", ID: name}
	}
	release := m.holdBlobs()
	defer release()
	v, err := m.takeAddon(ctx, name, pkg, opts.Digest)
	if err != nil {
		return Operation{}, err
	}
	opID := xid.UUID(m.now())
	err = m.update(ctx, func(c *change) error {
		v.CreatedAt = c.now
		addon := Addon{Name: name, NextVersion: 1, Versions: []AddonVersion{v}, CreatedAt: c.now, UpdatedAt: c.now}
		c.lifecycle("addon", name, "created", "")
		if err := c.Addons().Put(addon); err != nil {
			return err
		}
		return c.doneOperation(opID, "add addon", map[string][]string{"addon": {name}})
	})
	if err != nil {
		return Operation{}, wrapName(err, "addon", name)
	}
	return m.Operations.Get(ctx, opID)
}

// Update makes a new version of an addon from a package, as Add makes the first.
// Applications that use the addon get a new version, unless their updates are
// inhibited. A package that is the newest version already makes none.
//
// Errors: those of Add; ErrNotFound.
func (s *Addons) Update(ctx context.Context, name string, pkg io.Reader, opts AddonOptions) (Operation, error) {
	m := s.m
	if _, err := s.Get(ctx, name); err != nil {
		return Operation{}, err
	}
	release := m.holdBlobs()
	defer release()
	v, err := m.takeAddon(ctx, name, pkg, opts.Digest)
	if err != nil {
		return Operation{}, err
	}
	opID := xid.UUID(m.now())
	err = m.update(ctx, func(c *change) error {
		addon, err := c.Addons().Get(name)
		if err != nil {
			return err
		}
		resources := map[string][]string{"addon": {name}}
		if addon.Latest().Package.Digest == v.Package.Digest {
			return c.doneOperation(opID, "update addon", resources)
		}
		v.Number, v.CreatedAt = addon.NextVersion, c.now
		addon.NextVersion++
		addon.Versions = append(addon.Versions, v)
		addon.UpdatedAt = c.now
		c.lifecycle("addon", name, "updated", fmt.Sprintf("version %d", v.Number))
		c.wake = append(c.wake, wakeUpdates)
		if err := c.Addons().Put(addon); err != nil {
			return err
		}
		return c.doneOperation(opID, "update addon", resources)
	})
	if err != nil {
		return Operation{}, wrapName(err, "addon", name)
	}
	return m.Operations.Get(ctx, opID)
}

// Get returns the addon, or ErrNotFound.
func (s *Addons) Get(ctx context.Context, name string) (Addon, error) {
	var addon Addon
	err := s.m.view(ctx, func(tx Tx) (err error) {
		addon, err = tx.Addons().Get(name)
		return err
	})
	return addon, wrapName(err, "addon", name)
}

// List returns the addons that match the filter in order of name, cut to the page,
// and how many match in all.
func (s *Addons) List(ctx context.Context, filter AddonFilter, page Page) ([]Addon, int, error) {
	var list []Addon
	var total int
	err := s.m.view(ctx, func(tx Tx) (err error) {
		list, total, err = listPage(tx.Addons(), filter, page)
		return err
	})
	return list, total, err
}

// UsedBy returns the names of the applications that use an addon, because they or
// the setting application.addons list it, or because a version of theirs has it
// installed. ErrNotFound.
func (s *Addons) UsedBy(ctx context.Context, name string) ([]string, error) {
	var names []string
	err := s.m.view(ctx, func(tx Tx) error {
		if _, err := tx.Addons().Get(name); err != nil {
			return wrapName(err, "addon", name)
		}
		u, err := s.m.addonUsers(tx, name)
		names = u.applications
		return err
	})
	return names, err
}

// addonUsers is who uses an addon.
type addonUsers struct {
	global       bool // the setting application.addons lists it
	applications []string
	instances    []string         // that have yet to install it
	versions     map[int][]string // by version of the addon: what has it installed, or will
}

func (m *Manager) addonUsers(tx Tx, name string) (addonUsers, error) {
	u := addonUsers{versions: map[int][]string{}}
	global, err := globalAddons(tx, m)
	if err != nil {
		return u, err
	}
	u.global = slices.Contains(global, name)
	uses := func(list []AddonUse, who string, args ...any) bool {
		i := slices.IndexFunc(list, func(use AddonUse) bool { return use.Name == name })
		if i >= 0 {
			n := list[i].Version
			u.versions[n] = append(u.versions[n], fmt.Sprintf(who, args...))
		}
		return i >= 0
	}
	names := map[string]string{} // of applications, by id
	apps, err := tx.Applications().List(ApplicationFilter{}, Page{})
	if err != nil {
		return u, err
	}
	for i := range apps {
		names[apps[i].ID] = apps[i].Name
	}
	installed := map[string]bool{}
	versions, err := tx.Versions().List(VersionFilter{Status: []VersionStatus{VersionInitializing, VersionActive, VersionError}}, Page{})
	if err != nil {
		return u, err
	}
	for i := range versions {
		if v := &versions[i]; uses(v.Addons, "version %d of application %s", v.Number, names[v.ApplicationID]) {
			installed[versions[i].ApplicationID] = true
		}
	}
	for i := range apps {
		listed := slices.Contains(apps[i].Manifest.Addons, name)
		if apps[i].Status != ApplicationDeleted && (u.global || listed || installed[apps[i].ID]) {
			u.applications = append(u.applications, apps[i].Name)
		}
	}
	no := false
	waiting, err := tx.Instances().List(InstanceFilter{Base: &no}, Page{})
	for i := range waiting {
		if in := &waiting[i]; in.ApplicationID == "" && !in.HasAddons && uses(in.Addons, "instance %s", in.Name) {
			u.instances = append(u.instances, in.Name)
		}
	}
	slices.Sort(u.applications)
	return u, err
}

// refusal is why an addon, or one version of it, cannot be deleted.
func (u *addonUsers) refusal() error {
	switch {
	case u.global:
		return errors.New("is listed in the setting application.addons")
	case len(u.applications) > 0:
		return fmt.Errorf("is used by application %s", strings.Join(u.applications, ", "))
	case len(u.instances) > 0:
		return fmt.Errorf("is to be installed in instance %s", strings.Join(u.instances, ", "))
	}
	return nil
}

// Delete deletes an addon with all its versions. What has it installed keeps it.
// The operation it returns has succeeded already.
//
// Errors: ErrNotFound; ErrInUse, naming who uses it.
func (s *Addons) Delete(ctx context.Context, name string) (Operation, error) {
	return s.remove(ctx, name, "delete addon", func(c *change, addon *Addon) error {
		users, err := s.m.addonUsers(c, name)
		if err != nil {
			return err
		}
		if why := users.refusal(); why != nil {
			return &Error{Code: ErrInUse, Kind: "addon", ID: name, Err: why}
		}
		c.lifecycle("addon", name, "deleted", "")
		return c.Addons().Delete(addon.Name)
	})
}

// DeleteVersion deletes one version of an addon. The operation it returns has
// succeeded already.
//
// Errors: ErrNotFound; ErrState for the only version; ErrInUse when a version of an
// application has it installed, or an instance is to install it.
func (s *Addons) DeleteVersion(ctx context.Context, name string, number int) (Operation, error) {
	return s.remove(ctx, name, "delete addon version", func(c *change, addon *Addon) error {
		users, err := s.m.addonUsers(c, name)
		if err != nil {
			return err
		}
		left := slices.DeleteFunc(slices.Clone(addon.Versions), func(v AddonVersion) bool { return v.Number == number })
		fault := func(code Code, format string, args ...any) error {
			return &Error{Code: code, Kind: "addon", ID: name, Err: fmt.Errorf(format, args...)}
		}
		switch {
		case len(left) == len(addon.Versions):
			return fault(ErrNotFound, "has no version %d", number)
		case len(left) == 0:
			return fault(ErrState, "version %d is the only one left; delete the addon instead", number)
		case len(users.versions[number]) > 0:
			return fault(ErrInUse, "version %d is used by %s", number, strings.Join(users.versions[number], ", "))
		}
		addon.Versions, addon.UpdatedAt = left, c.now
		c.lifecycle("addon", name, "updated", fmt.Sprintf("version %d deleted", number))
		return c.Addons().Put(*addon)
	})
}

// remove commits a deletion, which is done at once: the files are swept when
// nothing refers to them any more.
func (s *Addons) remove(ctx context.Context, name, what string, fn func(*change, *Addon) error) (Operation, error) {
	opID := xid.UUID(s.m.now())
	err := s.m.update(ctx, func(c *change) error {
		addon, err := c.Addons().Get(name)
		if err != nil {
			return wrapName(err, "addon", name)
		}
		if err := fn(c, &addon); err != nil {
			return err
		}
		return c.doneOperation(opID, what, map[string][]string{"addon": {name}})
	})
	if err != nil {
		return Operation{}, err
	}
	return s.m.Operations.Get(ctx, opID)
}
