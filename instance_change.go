package ams

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/openams/ams/internal/xid"
)

// Get returns the instance with the id or name, or ErrNotFound.
func (s *Instances) Get(ctx context.Context, idOrName string) (Instance, error) {
	var in Instance
	err := s.m.view(ctx, func(tx Tx) (err error) {
		in, err = findInstance(tx, idOrName)
		return err
	})
	return in, err
}

// List returns the instances that match the filter, ordered by id and so by age,
// cut to the page, and how many match in all. Instances that stand by for a launch
// are in it only where the filter asks for them, and an application that does not
// exist has none.
func (s *Instances) List(ctx context.Context, filter InstanceFilter, page Page) ([]Instance, int, error) {
	var list []Instance
	var total int
	err := s.m.view(ctx, func(tx Tx) (err error) {
		if filter.Standby == nil {
			list, total, err = listUsers(tx, filter, page)
			return err
		}
		list, total, err = listPage(tx.Instances(), filter, page)
		return err
	})
	return list, total, err
}

// listUsers leaves out the instances that stand by. They are counted apart, because
// there are few and they have an index.
func listUsers(tx Tx, filter InstanceFilter, page Page) ([]Instance, int, error) {
	yes, no := true, false
	filter.Standby = &no
	list, err := tx.Instances().List(filter, page)
	if err != nil || page.Offset <= 0 && (page.Limit <= 0 || len(list) < page.Limit) {
		return list, len(list), err
	}
	filter.Standby = nil
	total, err := tx.Instances().Count(filter)
	if err != nil {
		return nil, 0, err
	}
	filter.Standby = &yes
	standing, err := tx.Instances().Count(filter)
	return list, total - standing, err
}

// listPage reads a page and counts the whole, only where the page does not tell.
func listPage[Row, Filter any](t Table[Row, Filter], filter Filter, page Page) ([]Row, int, error) {
	list, err := t.List(filter, page)
	if err != nil || page.Offset <= 0 && (page.Limit <= 0 || len(list) < page.Limit) {
		return list, len(list), err
	}
	total, err := t.Count(filter)
	return list, total, err
}

// Start starts an instance that is prepared, stopped or, if the options allow it,
// in error. Its services get ports anew. The operation ends when it is running.
//
// Errors: ErrNotFound; ErrState when it runs already, or is a base instance, or
// what it was made from is gone, or it keeps the logs of a failure; ErrConflict when another operation on it is
// under way; ErrNoCapacity when its node lacks CPUs or memory now.
func (s *Instances) Start(ctx context.Context, idOrName string, opts StartOptions) (Operation, error) {
	return s.change(ctx, idOrName, "start instance", true, false, func(c *change, in *Instance) error {
		if in.Base {
			return instanceState(in, "is a base instance")
		}
		if !slices.Contains([]InstanceStatus{InstancePrepared, InstanceStopped, InstanceError}, in.Status) {
			return instanceState(in, "is not stopped")
		}
		if !in.Made {
			return instanceState(in, "was never created")
		}
		if err := opts.check(in); err != nil {
			return err
		}
		if gone, err := c.originGone(in); err != nil {
			return err
		} else if gone {
			return instanceState(in, "cannot be started: what it was made from was deleted")
		}
		if err := in.withEncoder(func() error { return c.hold(in, holdsAll, false) }); err != nil {
			return err
		}
		in.Want, in.Failure, in.ErrorMessage, in.Logs = WantRunning, "", "", nil
		in.Stale = staleDevices // it may have got other ports and cards
		in.Deadline = c.now.Add(s.m.cfg.BootTimeout)
		return nil
	})
}

// originGone reports whether the version of the application or image that an
// instance was made from was deleted.
func (c *change) originGone(in *Instance) (bool, error) {
	if in.ApplicationID != "" {
		v, err := c.Versions().Get(versionID(in.ApplicationID, in.Version))
		return err != nil || v.Status == VersionDeleted, ignoreNotFound(err)
	}
	image, err := c.Images().Get(in.ImageID)
	return err != nil || image.Status == ImageDeleted || image.version(in.ImageVersion) == nil, ignoreNotFound(err)
}

// Stop stops a running instance; its data stays. The software inside is asked to
// end first, for at most twice Config.StopTimeout; force leaves that out. The
// operation ends when it is stopped. Stopping cannot be cancelled.
//
// Errors: ErrNotFound; ErrState when it does not run, or is a base instance;
// ErrConflict when another operation on it is under way, unless that is a launch
// or start and force is set: those end as failed then.
func (s *Instances) Stop(ctx context.Context, idOrName string, force bool) (Operation, error) {
	return s.change(ctx, idOrName, "stop instance", false, force, func(c *change, in *Instance) error {
		starting := in.Want == WantRunning && !in.Resting && force
		switch {
		case in.Base:
			return instanceState(in, "is a base instance")
		case in.Want == WantDeleted:
			return &Error{Code: ErrConflict, Kind: "instance", ID: in.Name, Err: errors.New("is being deleted")}
		case in.Status != InstanceRunning && !starting:
			return instanceState(in, "is not running")
		}
		return c.supersede(in, WantStopped, force)
	})
}

// Restart stops an instance like Stop and starts it again. The operation ends
// when it is running. Errors are those of Stop.
func (s *Instances) Restart(ctx context.Context, idOrName string, force bool) (Operation, error) {
	return s.change(ctx, idOrName, "restart instance", false, false, func(_ *change, in *Instance) error {
		if in.Base || in.Status != InstanceRunning {
			return instanceState(in, "is not running")
		}
		in.Want, in.Force, in.Restart = WantStopped, force, true
		return nil
	})
}

// Delete deletes an instance and its data in whatever state it is, stopping it
// first as Stop does. Work under way on it is broken off and its operation
// fails. The operation ends when the instance is gone. Deleting one that is
// being deleted is ErrConflict, unless force is set and was not before.
//
// Errors: ErrNotFound; ErrConflict; ErrState when it is protected from deletion.
func (s *Instances) Delete(ctx context.Context, idOrName string, force bool) (Operation, error) {
	return s.change(ctx, idOrName, "delete instance", false, true, func(c *change, in *Instance) error {
		if in.Want == WantDeleted && (in.Force || !force) {
			return &Error{Code: ErrConflict, Kind: "instance", ID: in.Name, Err: fmt.Errorf("is being deleted already")}
		}
		if err := isProtected(in); err != nil {
			return err
		}
		return c.supersede(in, WantDeleted, force)
	})
}

// supersede makes something else wanted of an instance. The operation under way,
// if there is one, is broken off and fails.
func (c *change) supersede(in *Instance, want Want, force bool) error {
	if in.Operation != "" {
		if err := c.finish(in.Operation, Errorf(ErrCancelled, "superseded: the instance is to be %s", want)); err != nil {
			return err
		}
		in.Operation = ""
		c.stop = append(c.stop, instanceKey(in.ID))
	}
	in.Want, in.Force, in.Restart, in.Deadline = want, force, false, time.Time{}
	return nil
}

// change asks for something of an instance in one transaction, as an operation.
// Where another one is under way that is ErrConflict, unless fn breaks it off.
func (s *Instances) change(ctx context.Context, idOrName, what string, mayCancel, breaksOff bool, fn func(*change, *Instance) error) (Operation, error) {
	opID := xid.UUID(s.m.now())
	err := s.m.update(ctx, func(c *change) error {
		in, err := findInstance(c, idOrName)
		if err != nil {
			return err
		}
		if in.Operation != "" && !breaksOff {
			return &Error{Code: ErrConflict, Kind: "instance", ID: in.Name, Err: fmt.Errorf("another operation on it is under way: %s", in.Operation)}
		}
		if err := fn(c, &in); err != nil {
			return err
		}
		in.Operation = opID
		in.Resting, in.Attempts, in.RetryAt = false, 0, time.Time{}
		if err := c.newOperation(opID, what, mayCancel, instanceResources(&in)); err != nil {
			return err
		}
		return c.putInstance(in)
	})
	if err != nil {
		return Operation{}, err
	}
	return s.m.Operations.Get(ctx, opID)
}

// cancelInstance undoes what an operation wants of an instance: a launch is
// deleted, a start is stopped.
func (c *change) cancelInstance(in *Instance) error {
	in.Want, in.Force, in.Restart, in.Deadline = WantStopped, true, false, time.Time{}
	if in.Attempt == in.Operation {
		in.Want = WantDeleted
	}
	in.Attempts, in.RetryAt = 0, time.Time{}
	in.Resting = false
	c.stop = append(c.stop, instanceKey(in.ID))
	return c.putInstance(*in)
}

// findInstance finds an instance by id or name. One that stands by is nobody's.
func findInstance(tx Tx, idOrName string) (Instance, error) {
	in, err := tx.Instances().Get(idOrName)
	if CodeOf(err) == ErrNotFound && idOrName != "" {
		var named []Instance
		named, err = tx.Instances().List(InstanceFilter{Name: idOrName}, Page{Limit: 1})
		in = first(named)
	}
	if CodeOf(err) != ErrNotFound && (err != nil || in.ID != "" && !in.Standby) {
		return in, err
	}
	return Instance{}, notFound("instance", idOrName)
}

func first[T any](list []T) (t T) {
	if len(list) > 0 {
		return list[0]
	}
	return t
}

func instanceState(in *Instance, what string) error {
	return &Error{Code: ErrState, Kind: "instance", ID: in.Name, Err: fmt.Errorf("%s (status: %s)", what, in.Status)}
}
