package ams

import (
	"context"
	"errors"
	"strings"
	"time"
)

// do performs one action and notes in s what is seen thereafter.
func (e *engine) do(ctx context.Context, in *Instance, s *sight, st step) error {
	m, ref := e.m, e.ref(in)
	switch st.act {
	case actLook:
		return e.look(ctx, in, s)
	case actCreate:
		err := e.create(ctx, in)
		if err == nil {
			s.power, s.made = PowerStopped, true
		}
		return err
	case actBegin:
		err := e.commit(ctx, in, func(c *change, in *Instance) error {
			in.HasRun, in.Warm = true, false
			return c.move(in, InstanceStarted)
		})
		s.begun = err == nil
		return err
	case actStart:
		err := e.m.call(ctx, "start", in, m.cfg.CallTimeout, func(ctx context.Context) error { return m.backend.Start(ctx, ref) })
		if err == nil {
			s.power, s.booting = PowerRunning, true
		}
		return err
	case actBoot:
		s.booting = false // whatever comes of it, it has begun
		if err := e.guest(ctx, in, PhaseStart, time.Until(in.Deadline)); err != nil {
			return err
		}
		return e.commit(ctx, in, func(c *change, in *Instance) error {
			in.HasAddons = len(in.Addons) > 0
			return c.settle(m, in, InstanceRunning)
		})
	case actBootstrap:
		s.booting = false
		if err := e.guest(ctx, in, PhaseBootstrap, time.Until(in.Deadline)); err != nil {
			return err
		}
		return e.commit(ctx, in, func(_ *change, in *Instance) error {
			in.Bootstrapped = true
			return nil
		})
	case actQuiesce:
		s.quiet = true
		err := e.guest(ctx, in, PhaseStop, m.cfg.StopTimeout)
		if err != nil && ctx.Err() == nil && (in.Want == WantDeleted || errors.Is(err, ErrTimeout)) {
			m.log.Warn("the stop phase of an instance failed; it is stopped without it", "instance", in.ID, "error", err)
			return nil
		}
		return err
	case actStop:
		grace := m.cfg.StopTimeout
		err := e.m.call(ctx, "stop", in, grace+m.cfg.CallTimeout, func(ctx context.Context) error {
			return m.backend.Stop(ctx, ref, st.force, grace)
		})
		if err == nil {
			s.power, s.booting = PowerStopped, false
		}
		return err
	case actPublish:
		return e.publish(ctx, in)
	case actCollect:
		s.collected = true
		return e.collect(ctx, in)
	case actDelete:
		err := e.m.call(ctx, "delete", in, m.cfg.CallTimeout, func(ctx context.Context) error { return m.backend.Delete(ctx, ref) })
		switch {
		case err == nil:
			s.power, s.made, s.begun = PowerAbsent, false, false
		case errors.Is(err, ErrState):
			s.power = PowerRunning // it came to life meanwhile
			err = nil
		}
		return err
	case actSettle:
		return e.commit(ctx, in, func(c *change, in *Instance) error { return c.settle(m, in, st.status) })
	case actForget:
		if in.Base && in.Bootstrapped {
			if err := e.unpublish(ctx, in); err != nil {
				return err
			}
		}
		return e.forget(ctx, in)
	case actConfigure, actWarm, actFreeze, actUnfreeze, actClaim:
		return e.doPrewarm(ctx, in, s, st)
	case actDiscard:
		return e.commit(ctx, in, func(c *change, in *Instance) error {
			in.Want, in.Force, in.Resting = WantDeleted, true, false
			c.wake = append(c.wake, wakePool(in.ApplicationID))
			return nil
		})
	case actInquire:
		return e.inquire(ctx, in, s)
	case actExpire:
		return e.commit(ctx, in, func(c *change, in *Instance) error { return c.expire(in) })
	case actFail:
		return e.commit(ctx, in, func(c *change, in *Instance) error { return c.failInstance(in, st.code, st.text) })
	}
	return Errorf(ErrInternal, "no such action: %d", st.act)
}

// create makes the instance in the backend, from its image or as a copy.
func (e *engine) create(ctx context.Context, in *Instance) error {
	spec, source, err := e.spec(ctx, in)
	if err != nil {
		return err
	}
	if in.Source == "" {
		return e.m.call(ctx, "create", in, e.m.cfg.CallTimeout, func(ctx context.Context) error { return e.m.backend.Create(ctx, spec) })
	}
	copier, ok := BackendAs[Copier](e.m.backend)
	if !ok {
		return Errorf(ErrUnsupported, "the backend cannot copy instances")
	}
	return e.m.call(ctx, "copy", in, time.Until(in.Deadline), func(ctx context.Context) error { return copier.Copy(ctx, spec, source) })
}

// spec is what the backend is told of an instance, and what it is a copy of.
func (e *engine) spec(ctx context.Context, in *Instance) (InstanceSpec, Ref, error) {
	source := Ref{Cluster: e.mark, ID: in.Source}
	spec := InstanceSpec{
		Ref: e.ref(in), Attempt: in.Attempt, Fingerprint: in.Fingerprint,
		CPUs: in.Resources.CPUs, Memory: in.Resources.Memory, Disk: in.Resources.DiskSize, VM: in.VM,
		GPU: in.GPU, VPU: in.VPU, Labels: in.labels(),
	}
	err := e.m.view(ctx, func(tx Tx) error {
		mode, err := e.m.Settings.text(tx, "cpu.limit_mode")
		if err != nil {
			return err
		}
		spec.PinCPUs = mode == "pinning"
		if in.Source != "" {
			from, err := tx.Instances().Get(in.Source)
			source.Node = from.Node
			if ignoreNotFound(err) != nil {
				return err
			}
		}
		n, err := tx.Nodes().Get(in.Node)
		if err != nil {
			return ignoreNotFound(err)
		}
		spec.Address, spec.Proxies = n.address(in.Host), proxies(in.Services, &n)
		if !spec.PinCPUs {
			spec.CPUSet = n.cpusNear(in.GPU)
		}
		return nil
	})
	if err != nil {
		err = commitError{err}
	}
	return spec, source, err
}

// forget deletes the row of what is gone, if that is still what is wanted.
func (e *engine) forget(ctx context.Context, was *Instance) error {
	err := e.m.update(context.WithoutCancel(ctx), func(c *change) error {
		in, err := c.Instances().Get(was.ID)
		switch {
		case err != nil:
			return ignoreNotFound(err)
		case in.Want != was.Want || in.Operation != was.Operation:
			return errChanged
		}
		return c.forget(&in)
	})
	if err != nil && !errors.Is(err, errChanged) {
		return commitError{err}
	}
	return err
}

// look asks the backend what there is. That its node does not answer is news
// about an instance at rest, and a reason to try again with any other.
func (e *engine) look(ctx context.Context, in *Instance, s *sight) error {
	var seen Seen
	err := e.m.call(ctx, "get", in, e.m.cfg.CallTimeout, func(ctx context.Context) (err error) {
		seen, err = e.m.backend.Get(ctx, e.ref(in))
		return err
	})
	switch {
	case errors.Is(err, ErrNotFound):
		s.power = PowerAbsent
	case errors.Is(err, ErrUnavailable) && in.Resting && e.nodeAway(ctx, in.Node):
		s.power = PowerUnknown
	case err != nil:
		return err
	case seen.Power == PowerUnknown && !in.Resting:
		return Errorf(ErrUnavailable, "node %q does not answer", in.Node)
	default:
		s.power = seen.Power
	}
	return nil
}

// nodeAway reports whether a node is known not to answer.
func (e *engine) nodeAway(ctx context.Context, name string) bool {
	away := false
	err := e.m.view(ctx, func(tx Tx) error {
		n, err := tx.Nodes().Get(name)
		away = err == nil && n.Status == NodeOffline
		return err
	})
	return err == nil && away
}

func (e *engine) ref(in *Instance) Ref { return Ref{Cluster: e.mark, ID: in.ID, Node: in.Node} }

// call bounds a call of the backend or guest in time and tells the observer. A
// call that ran into its bound is ErrUnavailable.
func (m *Manager) call(ctx context.Context, verb string, in *Instance, limit time.Duration, fn func(context.Context) error) error {
	bound, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	began := time.Now()
	if changesPower(verb) {
		m.engine.calling.Store(in.ID, true)
		defer m.engine.calling.Delete(in.ID)
	}
	err := fn(bound)
	if err != nil && ctx.Err() == nil && bound.Err() != nil && !errors.Is(err, ErrTimeout) {
		err = Errorf(ErrUnavailable, "%s got no answer within %s", verb, limit)
	}
	if m.observer.Called != nil {
		m.observer.Called(CallInfo{Verb: verb, Instance: in.ID, Node: in.Node, Took: time.Since(began), Err: err})
	}
	return err
}

// changesPower reports whether a call of the backend changes an instance's power: what the
// backend tells of the instance meanwhile is of our doing.
func changesPower(verb string) bool {
	switch verb {
	case "create", "copy", "start", "stop", "delete", "configure", "freeze", "unfreeze":
		return true
	}
	// What a backend tells late of a start or an unfreeze comes in the phase that
	// follows; a phase whose instance stops fails by itself.
	return strings.HasSuffix(verb, " phase")
}

var actionNames = [...]string{"nothing", "wait", "look", "create", "begin", "start", "boot", "bootstrap", "quiesce", "stop", "publish", "collect", "delete", "settle", "forget", "fail", "configure", "warm", "freeze", "unfreeze", "claim", "discard", "inquire", "expire"}

func (a action) String() string { return actionNames[a] }
