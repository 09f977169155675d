package ams

import (
	"context"
	"errors"
	"io"
	"strings"
	"time"
)

// doPrewarm performs an action of an instance that stands by, or has just been
// claimed.
func (e *engine) doPrewarm(ctx context.Context, in *Instance, s *sight, st step) error {
	m := e.m
	switch st.act {
	case actConfigure:
		return e.configure(ctx, in)
	case actWarm:
		s.booting = false
		if err := e.guest(ctx, in, PhaseStandby, time.Until(in.Deadline)); err != nil {
			return err
		}
		s.warm = true
		return e.commit(ctx, in, func(_ *change, in *Instance) error {
			in.Warm = true
			return nil
		})
	case actFreeze, actUnfreeze:
		freezer, ok := BackendAs[Freezer](m.backend)
		if !ok {
			return Errorf(ErrUnsupported, "the backend cannot freeze instances")
		}
		verb, to, fn := "freeze", PowerFrozen, freezer.Freeze
		if st.act == actUnfreeze {
			verb, to, fn = "unfreeze", PowerRunning, freezer.Unfreeze
		}
		err := m.call(ctx, verb, in, m.cfg.CallTimeout, func(ctx context.Context) error { return fn(ctx, e.ref(in)) })
		switch {
		case err == nil:
			s.power = to
			e.poolReady(in.ApplicationID)
		case errors.Is(err, ErrState):
			s.power = "" // it is not what it was: look again
			return nil
		}
		return err
	default: // claim
		if err := e.guest(ctx, in, PhaseClaim, time.Until(in.Deadline)); err != nil {
			return err
		}
		return e.commit(ctx, in, func(c *change, in *Instance) error {
			in.Warm = false
			return c.settle(m, in, InstanceRunning)
		})
	}
}

// configure gives the instance in the backend what its row says, if the backend can.
func (e *engine) configure(ctx context.Context, in *Instance) error {
	if conf, ok := BackendAs[Configurer](e.m.backend); ok {
		spec, _, err := e.spec(ctx, in)
		if err != nil {
			return err
		}
		err = e.m.call(ctx, "configure", in, e.m.cfg.CallTimeout, func(ctx context.Context) error { return conf.Configure(ctx, spec) })
		if err != nil {
			return err
		}
	}
	return e.commit(ctx, in, func(_ *change, in *Instance) error {
		in.Stale = upToDate
		return nil
	})
}

// maxReason bounds how much of a reason is read.
const maxReason = 4 << 10

// inquire finds out why an instance has stopped by itself: its watchdog has left
// word of it, or it was simply shut down.
func (e *engine) inquire(ctx context.Context, in *Instance, s *sight) error {
	s.inquired = true
	reader, ok := BackendAs[LogReader](e.m.backend)
	if !ok {
		return nil
	}
	var reason []byte
	err := e.m.call(ctx, "inquire", in, e.m.cfg.CallTimeout, func(ctx context.Context) error {
		log, err := reader.OpenLog(ctx, e.ref(in), TripLog)
		if err != nil {
			return err
		}
		defer log.Close()
		reason, err = io.ReadAll(io.LimitReader(log, maxReason))
		return err
	})
	text := strings.ToValidUTF8(strings.TrimSpace(string(reason)), "")
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil && !errors.Is(err, ErrNotFound):
		s.inquired = false
		return err
	case text == "":
		return nil
	}
	return e.commit(ctx, in, func(c *change, in *Instance) error { return c.failInstance(in, ErrFailed, text) })
}

// expire ends an instance whose time is over.
func (c *change) expire(in *Instance) error {
	want := WantDeleted
	if in.DeleteProtected {
		want = WantStopped
	}
	in.Resting = false
	c.wake = append(c.wake, wakeInstance(in))
	return c.supersede(in, want, false)
}
