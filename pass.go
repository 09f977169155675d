package ams

import (
	"context"
	"errors"
	"time"
)

// errChanged says that somebody wants something else of the instance by now.
var errChanged = errors.New("the request changed")

// commitError is a fault of the store. It says nothing about the instance: the
// pass is done again.
type commitError struct{ error }

// pass brings an instance as far as it gets: look, decide, act, commit, again.
func (e *engine) pass(ctx context.Context, id string) {
	s := sight{}
	var known fresh
	if f, ok := e.fresh.LoadAndDelete(id); ok {
		known = f.(fresh)
	}
	var in Instance
	for read := true; !e.draining() && ctx.Err() == nil; {
		if read {
			err := e.m.view(ctx, func(tx Tx) (err error) {
				in, err = tx.Instances().Get(id)
				return err
			})
			if err != nil {
				e.storeFailed(ctx, id, err)
				return
			}
		}
		if known.id != "" && known.rev == in.Rev { // nobody was quicker than whoever made it
			s.power = known.power
		}
		known = fresh{}
		now := e.m.now()
		st := next(&in, s, now)
		switch st.act {
		case actNothing:
			return
		case actWait:
			e.queue.AddAfter(instanceKey(id), wakeInstance(&in).lane, st.until.Sub(now))
			return
		}
		err := e.do(ctx, &in, &s, st)
		// What it has committed is in the row at hand. A change by anybody else
		// interrupts this run or fails its next commit.
		read = err != nil || st.act == actForget
		var fault commitError
		switch {
		case err == nil, errors.Is(err, errChanged):
		case errors.As(err, &fault):
			e.storeFailed(ctx, id, fault.error)
			return
		case ctx.Err() != nil:
			return // interrupted, and woken again; or shutting down
		default:
			s = sight{collected: s.collected}
			if !e.failed(ctx, &in, st, err) {
				return
			}
		}
	}
}

// failed deals with an action that failed, and reports whether to go on: work
// that trying again may help is tried again, later; anything else is a failure
// of the instance, unless it is being cleaned up, which never gives up.
func (e *engine) failed(ctx context.Context, in *Instance, st step, err error) bool {
	cleaning := in.Want == WantDeleted || in.Failure != "" || in.Resting
	if !cleaning && !errors.Is(err, ErrUnavailable) {
		if in.Standby {
			e.poolFailed(in.ApplicationID)
			e.m.log.Warn("prewarming an instance failed", "application", in.ApplicationName, "instance", in.ID, "action", st.act.String(), "error", err)
		}
		cerr := e.commit(ctx, in, func(c *change, in *Instance) error {
			return c.failInstance(in, CodeOf(err), err.Error())
		})
		return e.committed(ctx, in, cerr)
	}
	wait, attempt := backoff(in.Attempts), in.Attempts+1
	if in.Resting {
		e.queue.AddAfter(instanceKey(in.ID), "watch", e.m.cfg.CompareInterval)
		return false
	}
	cerr := e.commit(ctx, in, func(c *change, in *Instance) error {
		in.Attempts++
		in.RetryAt = c.now.Add(wait)
		in.StatusMessage = "trying again: " + err.Error()
		switch {
		case cleaning:
		case taken(err, KindAddress):
			if err := c.otherHost(in); err != nil {
				return err
			}
		case taken(err, KindPort):
			if err := c.otherPorts(in); err != nil {
				return err
			}
		}
		if in.Failure != "" && in.Want != WantDeleted && in.Operation != "" && !c.now.Before(in.Deadline) {
			// The clean-up goes on, but whoever waits is told.
			ferr := c.finish(in.Operation, Errorf(in.Failure, "%s", in.ErrorMessage))
			in.Operation = ""
			return ferr
		}
		return nil
	})
	e.m.log.Warn("an action failed and will be tried again", "instance", in.ID, "action", st.act.String(), "error", err, "attempt", attempt)
	return e.committed(ctx, in, cerr)
}

// committed reports whether a pass goes on after a commit.
func (e *engine) committed(ctx context.Context, in *Instance, err error) bool {
	if err == nil || errors.Is(err, errChanged) {
		return true
	}
	e.storeFailed(ctx, in.ID, err)
	return false
}

// storeFailed has the instance looked at again in a second, if it is there.
func (e *engine) storeFailed(ctx context.Context, id string, err error) {
	if ctx.Err() == nil && ignoreNotFound(err) != nil {
		e.m.log.Error("the store failed; an instance has to wait", "instance", id, "error", err)
		e.queue.AddAfter(instanceKey(id), "watch", time.Second)
	}
}

// commit changes the instance's row, and the one at hand with it. If somebody
// wants something else of it than when it was read, nothing is changed and the
// error is errChanged.
func (e *engine) commit(ctx context.Context, was *Instance, fn func(c *change, in *Instance) error) error {
	var in Instance
	err := e.m.update(context.WithoutCancel(ctx), func(c *change) (err error) {
		if in, err = c.Instances().Get(was.ID); err != nil {
			return err
		}
		if in.Want != was.Want || in.Force != was.Force || in.Restart != was.Restart || in.Operation != was.Operation || in.Failure != was.Failure {
			return errChanged
		}
		if err := fn(c, &in); err != nil {
			return err
		}
		in.UpdatedAt = c.now
		return c.storeInstance(in)
	})
	switch {
	case err == nil:
		*was = in
		was.Rev++ // as Put stored it
	case !errors.Is(err, errChanged):
		return commitError{err}
	}
	return err
}

// failInstance records a failure; what is left of the instance is cleaned up
// before it comes to rest.
func (c *change) failInstance(in *Instance, code Code, text string) error {
	in.Failure, in.ErrorMessage = code, text
	in.StatusMessage, in.Attempts, in.RetryAt = "cleaning up", 0, time.Time{}
	in.Deadline = c.now.Add(time.Minute)
	in.Restart, in.Resting = false, false
	if in.Standby { // nobody's, so nobody has to be told
		in.Want, in.Force, in.Deadline = WantDeleted, true, time.Time{}
	}
	return nil
}

// settle brings the instance to rest in a status.
func (c *change) settle(m *Manager, in *Instance, to InstanceStatus) error {
	external := in.Resting
	in.Attempts, in.RetryAt, in.Deadline = 0, time.Time{}, time.Time{}
	in.StatusMessage = ""
	if in.Base && to == InstanceError {
		return c.baseFailed(in)
	}
	if err := c.move(in, to); err != nil {
		return err
	}
	in.Resting = true
	if in.Standby {
		return c.hold(in, holdsAll, true)
	}
	holds := holdsDisk
	var outcome error
	switch to {
	case InstanceRunning:
		if err := c.booted(m, in); err != nil {
			return err
		}
		in.Want, in.ErrorMessage = WantRunning, ""
		if in.Lifetime > 0 && in.Expires.IsZero() {
			in.Expires = c.now.Add(in.Lifetime)
		}
		holds = holdsAll
	case InstanceStopped:
		if in.Restart {
			in.Restart, in.Force, in.Resting = false, false, false
			in.Want, in.Deadline = WantRunning, c.now.Add(m.cfg.BootTimeout)
			return nil
		}
		in.Want, in.Address = WantStopped, ""
	case InstanceError:
		in.Want, in.Address = WantStopped, ""
		if !in.Made {
			holds = holdsNothing
		}
		outcome = Errorf(in.Failure, "%s", in.ErrorMessage)
	case InstancePrepared:
		in.Want = WantPrepared
	default: // unknown: what it had it keeps
		holds = in.Held
	}
	in.Force = false
	if err := c.hold(in, holds, external); err != nil {
		return err
	}
	err := c.finish(in.Operation, outcome)
	in.Operation = ""
	return err
}

// forget deletes the row of an instance that is no more.
func (c *change) forget(in *Instance) error {
	if err := c.hold(in, holdsNothing, true); err != nil {
		return err
	}
	if err := c.move(in, InstanceDeleted); err != nil {
		return err
	}
	if err := c.deleteInstance(in.ID); err != nil {
		return err
	}
	switch {
	case in.Base:
		return c.baseGone(in)
	case in.Standby:
		c.wake = append(c.wake, wakePool(in.ApplicationID))
		return nil
	}
	var outcome error
	if in.Want != WantDeleted {
		outcome = Errorf(ErrNotFound, "the instance was deleted outside AMS")
	}
	return c.finish(in.Operation, outcome)
}
