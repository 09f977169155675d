package ams

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/openams/ams/internal/xid"
)

// Get returns the application with the id or name, or ErrNotFound.
func (s *Applications) Get(ctx context.Context, idOrName string) (Application, error) {
	var app Application
	err := s.m.view(ctx, func(tx Tx) (err error) {
		app, err = findApplication(tx, idOrName)
		return err
	})
	return app, err
}

// List returns the applications that match the filter, ordered by id and so by
// age, cut to the page, and how many match in all.
func (s *Applications) List(ctx context.Context, filter ApplicationFilter, page Page) ([]Application, int, error) {
	var list []Application
	var total int
	err := s.m.view(ctx, func(tx Tx) (err error) {
		list, total, err = listPage(tx.Applications(), filter, page)
		return err
	})
	return list, total, err
}

// Versions returns the versions of an application in order of number, also those
// that failed or are being built.
func (s *Applications) Versions(ctx context.Context, idOrName string) ([]Version, error) {
	var list []Version
	err := s.m.view(ctx, func(tx Tx) error {
		app, err := findApplication(tx, idOrName)
		if err != nil {
			return err
		}
		list, err = tx.Versions().List(VersionFilter{ApplicationID: app.ID}, Page{})
		slices.SortFunc(list, func(a, b Version) int { return a.Number - b.Number })
		return err
	})
	return list, err
}

// Version returns one version of an application, or ErrNotFound.
func (s *Applications) Version(ctx context.Context, idOrName string, number int) (Version, error) {
	var v Version
	err := s.m.view(ctx, func(tx Tx) (err error) {
		_, v, err = findVersion(tx, idOrName, number)
		return err
	})
	return v, err
}

// OpenLog returns a log that was kept of a version's failed bootstrap, as listed
// in Version.Logs. The caller closes it. ErrNotFound.
func (s *Applications) OpenLog(ctx context.Context, idOrName string, number int, name string) (io.ReadCloser, error) {
	v, err := s.Version(ctx, idOrName, number)
	if err != nil {
		return nil, err
	}
	return s.m.openLog(ctx, v.Logs, name)
}

// Publish makes a version one that is launched when no version is named: the
// latest of those published. Publishing twice changes nothing. When more are
// published than the setting application.max_published_versions allows, the oldest
// others are deleted; instances of them go on.
//
// Errors: ErrNotFound; ErrState when the version is not active.
func (s *Applications) Publish(ctx context.Context, idOrName string, number int) error {
	return s.setPublished(ctx, idOrName, number, true)
}

// Revoke takes Publish back. What runs of the version goes on, and it can still
// be launched by its number. Revoking twice changes nothing.
//
// Errors: ErrNotFound; ErrState when the version is not active.
func (s *Applications) Revoke(ctx context.Context, idOrName string, number int) error {
	return s.setPublished(ctx, idOrName, number, false)
}

func (s *Applications) setPublished(ctx context.Context, idOrName string, number int, to bool) error {
	return s.m.update(ctx, func(c *change) error {
		app, v, err := findVersion(c, idOrName, number)
		switch {
		case err != nil:
			return err
		case v.Status != VersionActive:
			return versionState(&app, &v, "is not active")
		case v.Published == to:
			return nil
		}
		v.Published, v.UpdatedAt = to, c.now
		action := "published"
		if !to {
			action = "revoked"
		}
		c.lifecycle("version", v.ID, action, "")
		if err := c.Versions().Put(v); err != nil {
			return err
		}
		if err := c.trimPublished(s.m, app.ID, v.Number); err != nil {
			return err
		}
		return c.followVersions(app.ID)
	})
}

// DeleteVersion deletes one version with its image; a build of it is broken off.
// Instances of it go on. The operation ends when the image is gone.
//
// Errors: ErrNotFound; ErrState for the only version; ErrConflict when it, or the
// application, is being deleted.
func (s *Applications) DeleteVersion(ctx context.Context, idOrName string, number int) (Operation, error) {
	opID := xid.UUID(s.m.now())
	err := s.m.update(ctx, func(c *change) error {
		app, v, err := findVersion(c, idOrName, number)
		if err != nil {
			return err
		}
		all, err := c.Versions().List(VersionFilter{ApplicationID: app.ID}, Page{})
		if err != nil {
			return err
		}
		all = slices.DeleteFunc(all, func(v Version) bool { return v.Status == VersionDeleted })
		switch {
		case v.Status == VersionDeleted || app.Status == ApplicationDeleted:
			return &Error{Code: ErrConflict, Kind: "application", ID: app.Name, Err: fmt.Errorf("version %d is being deleted already", number)}
		case len(all) == 1:
			return versionState(&app, &v, "is the only one left; delete the application instead")
		}
		if err := c.deleteVersion(&v, opID); err != nil {
			return err
		}
		c.wake = append(c.wake, wakeApplication(app.ID))
		return c.newOperation(opID, "delete application version", false, map[string][]string{"application": {app.ID}, "version": {v.ID}})
	})
	if err != nil {
		return Operation{}, err
	}
	return s.m.Operations.Get(ctx, opID)
}

// Delete deletes an application with all its versions; builds are broken off.
// Instances of it go on. The operation ends when all its images are gone.
//
// Errors: ErrNotFound; ErrConflict when it is being deleted already; ErrState
// when it is immutable and force is not set.
func (s *Applications) Delete(ctx context.Context, idOrName string, force bool) (Operation, error) {
	opID := xid.UUID(s.m.now())
	err := s.m.update(ctx, func(c *change) error {
		app, err := findApplication(c, idOrName)
		switch {
		case err != nil:
			return err
		case app.Status == ApplicationDeleted:
			return &Error{Code: ErrConflict, Kind: "application", ID: app.Name, Err: errors.New("is being deleted already")}
		case app.Immutable && !force:
			return &Error{Code: ErrState, Kind: "application", ID: app.Name, Err: errors.New("is immutable: it comes from a registry; use force")}
		}
		app.Status, app.Published, app.Operation, app.UpdatedAt = ApplicationDeleted, false, opID, c.now
		c.lifecycle("application", app.ID, string(ApplicationDeleted), "")
		if err := c.Applications().Put(app); err != nil {
			return err
		}
		versions, err := c.Versions().List(VersionFilter{ApplicationID: app.ID}, Page{})
		if err != nil {
			return err
		}
		for i := range versions {
			if versions[i].Status == VersionDeleted {
				continue
			}
			if err := c.deleteVersion(&versions[i], ""); err != nil {
				return err
			}
		}
		c.wake = append(c.wake, wakeApplication(app.ID))
		return c.newOperation(opID, "delete application", false, map[string][]string{"application": {app.ID}})
	})
	if err != nil {
		return Operation{}, err
	}
	return s.m.Operations.Get(ctx, opID)
}

// trimPublished deletes the oldest published versions beyond the number allowed;
// not the one to be kept.
func (c *change) trimPublished(m *Manager, id string, keep int) error {
	most, err := m.Settings.count(c, "application.max_published_versions")
	if err != nil {
		return err
	}
	yes := true
	list, err := c.Versions().List(VersionFilter{ApplicationID: id, Published: &yes, Status: []VersionStatus{VersionActive}}, Page{})
	if err != nil {
		return err
	}
	slices.SortFunc(list, func(a, b Version) int { return a.Number - b.Number })
	excess := len(list) - most
	for i := range list {
		if excess <= 0 {
			break
		}
		if list[i].Number == keep {
			continue
		}
		excess--
		if err := c.deleteVersion(&list[i], ""); err != nil {
			return err
		}
		c.wake = append(c.wake, wakeApplication(id))
	}
	return nil
}

// DeleteAll deletes applications in the given order and stops at the first that
// cannot be: it returns the operations begun until then and that error.
func (s *Applications) DeleteAll(ctx context.Context, idsOrNames []string, force bool) ([]Operation, error) {
	var begun []Operation
	for _, id := range idsOrNames {
		op, err := s.Delete(ctx, id, force)
		if err != nil {
			return begun, err
		}
		begun = append(begun, op)
	}
	return begun, nil
}

// deleteVersion marks a version as to be deleted, and its base instance too.
func (c *change) deleteVersion(v *Version, opID string) error {
	v.Operation = opID
	if v.BaseInstance != "" {
		base, err := c.Instances().Get(v.BaseInstance)
		if err == nil && base.Want != WantDeleted {
			if err := c.supersede(&base, WantDeleted, true); err != nil {
				return err
			}
			base.Resting, base.Attempts, base.RetryAt = false, 0, time.Time{}
			err = c.putInstance(base)
		}
		if ignoreNotFound(err) != nil {
			return err
		}
	}
	return c.moveVersion(v, VersionDeleted, v.ErrorMessage)
}

// passApplication deletes what is to be deleted, or too much, of an application.
func (e *engine) passApplication(ctx context.Context, id string) {
	err := e.m.update(ctx, func(c *change) error { return c.trimPublished(e.m, id, -1) })
	if err == nil {
		err = e.deleteVersions(ctx, id)
	}
	if err != nil && ctx.Err() == nil {
		e.m.log.Warn("deleting an application failed and will be tried again", "application", id, "error", err)
		w := wakeApplication(id)
		e.queue.AddAfter(w.key, w.lane, backoff(5))
	}
}

func (e *engine) deleteVersions(ctx context.Context, id string) error {
	var versions []Version
	err := e.m.view(ctx, func(tx Tx) (err error) {
		versions, err = tx.Versions().List(VersionFilter{ApplicationID: id, Status: []VersionStatus{VersionDeleted}}, Page{})
		return err
	})
	if err != nil {
		return err
	}
	for _, v := range versions {
		if v.BaseInstance != "" || e.draining() {
			continue // its end wakes us again
		}
		if err := e.dropImage(ctx, imageAlias(v.ApplicationID, v.Number)); err != nil {
			return err
		}
		err := e.m.update(ctx, func(c *change) error {
			if err := c.Versions().Delete(v.ID); err != nil {
				return ignoreNotFound(err)
			}
			c.lifecycle("version", v.ID, "gone", "")
			return errors.Join(c.finish(v.Operation, nil), c.followVersions(id))
		})
		if err != nil {
			return err
		}
	}
	return e.m.update(ctx, func(c *change) error {
		app, err := c.Applications().Get(id)
		if err != nil || app.Status != ApplicationDeleted {
			return ignoreNotFound(err)
		}
		left, err := c.Versions().Count(VersionFilter{ApplicationID: id})
		if err != nil || left > 0 {
			return err
		}
		c.lifecycle("application", id, "gone", "")
		return errors.Join(c.Applications().Delete(id), c.finish(app.Operation, nil))
	})
}

func findVersion(tx Tx, idOrName string, number int) (Application, Version, error) {
	app, err := findApplication(tx, idOrName)
	if err != nil {
		return app, Version{}, err
	}
	v, err := tx.Versions().Get(versionID(app.ID, number))
	if CodeOf(err) == ErrNotFound {
		err = wrongNumber(&app, number)
	}
	return app, v, err
}

func versionState(app *Application, v *Version, what string) error {
	return &Error{Code: ErrState, Kind: "application", ID: app.Name, Err: fmt.Errorf("version %d %s (status: %s)", v.Number, what, v.Status)}
}
