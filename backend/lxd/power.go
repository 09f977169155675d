package lxd

import (
	"context"
	"time"

	client "github.com/canonical/lxd/client"
	"github.com/canonical/lxd/shared/api"

	"github.com/openams/ams"
)

// tries is how often a change is asked for when LXD was busy with another one.
const tries = 3

// Start implements ams.Backend. An instance that is half made is ErrState.
func (b *Backend) Start(ctx context.Context, ref ams.Ref) error {
	return b.change(ctx, ref, func(h *held) error {
		return b.reach(ctx, h, ref, ams.PowerRunning, api.InstanceStatePut{Action: "start", Timeout: -1})
	})
}

// Stop implements ams.Backend. The grace is rounded up to whole seconds.
func (b *Backend) Stop(ctx context.Context, ref ams.Ref, force bool, grace time.Duration) error {
	return b.change(ctx, ref, func(h *held) error {
		if !force && grace > 0 {
			seconds := int((grace + time.Second - 1) / time.Second)
			err := b.operate(ctx, h, "", func(c server) (client.Operation, error) {
				return c.UpdateInstanceState(instanceName(ref.ID), api.InstanceStatePut{Action: "stop", Timeout: seconds}, "")
			})
			if err == nil || !refused(err) {
				return err
			}
		}
		return b.reach(ctx, h, ref, ams.PowerStopped, api.InstanceStatePut{Action: "stop", Timeout: -1, Force: true})
	})
}

// change runs f on an instance of ours, alone.
func (b *Backend) change(ctx context.Context, ref ams.Ref, f func(*held) error) error {
	if err := checkRef(ref); err != nil {
		return err
	}
	unlock, err := b.locks.lock(ctx, instanceName(ref.ID))
	if err != nil {
		return err
	}
	h := &held{unlock: unlock}
	defer h.release()
	if err := b.own(ctx, ref); err != nil {
		return err
	}
	return f(h)
}

// reach asks for a change of power. If LXD refuses, what counts is whether the
// instance has that power already, or LXD was busy with another change of it.
func (b *Backend) reach(ctx context.Context, h *held, ref ams.Ref, want ams.Power, put api.InstanceStatePut) error {
	name := instanceName(ref.ID)
	for try := 1; ; try++ {
		failure := b.operate(ctx, h, "", func(c server) (client.Operation, error) {
			return c.UpdateInstanceState(name, put, "")
		})
		if failure == nil || ctx.Err() != nil {
			return failure
		}
		busy, err := b.running(ctx, name)
		if err != nil {
			return err
		}
		if err := b.settle(ctx, name); err != nil {
			return err
		}
		i, err := b.get(ctx, ref)
		switch {
		case err != nil:
			return err
		case power(i) == want, put.Action == "start" && on(power(i)):
			return nil
		case halfMade(i):
			return ams.Errorf(ams.ErrState, "instance %q is half made: %w", ref.ID, failure)
		case len(busy) == 0 || try == tries:
			return failure
		}
	}
}

// Delete implements ams.Backend. Operations on the instance that are under way
// are waited for, so that nothing appears after it has returned.
func (b *Backend) Delete(ctx context.Context, ref ams.Ref) error {
	if err := checkRef(ref); err != nil {
		return err
	}
	name := instanceName(ref.ID)
	unlock, err := b.locks.lock(ctx, name)
	if err != nil {
		return err
	}
	h := &held{unlock: unlock}
	defer h.release()
	for try := 1; ; try++ {
		if err := b.settle(ctx, name); err != nil {
			return err
		}
		i, err := b.get(ctx, ref)
		switch {
		case ams.CodeOf(err) == ams.ErrNotFound:
			b.consoles.remove(name)
			return nil
		case err != nil:
			return err
		case on(power(i)):
			return ams.Errorf(ams.ErrState, "instance %q is %s", ref.ID, power(i))
		}
		err = b.operate(ctx, h, "", func(c server) (client.Operation, error) { return c.DeleteInstance(name) })
		if err == nil || ams.CodeOf(err) == ams.ErrNotFound {
			b.known.remove(name)
			b.consoles.remove(name)
			return nil
		}
		if ctx.Err() != nil || try == tries {
			return err
		}
	}
}
