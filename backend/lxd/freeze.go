package lxd

import (
	"context"

	"github.com/canonical/lxd/shared/api"

	"github.com/openams/ams"
)

var _ ams.Freezer = (*Backend)(nil)

// Freeze implements ams.Freezer.
func (b *Backend) Freeze(ctx context.Context, ref ams.Ref) error {
	return b.thaw(ctx, ref, ams.PowerFrozen, "freeze")
}

// Unfreeze implements ams.Freezer.
func (b *Backend) Unfreeze(ctx context.Context, ref ams.Ref) error {
	return b.thaw(ctx, ref, ams.PowerRunning, "unfreeze")
}

// thaw freezes or unfreezes an instance. LXD refuses what has no effect, and of
// one that is stopped.
func (b *Backend) thaw(ctx context.Context, ref ams.Ref, want ams.Power, action string) error {
	return b.change(ctx, ref, func(h *held) error {
		failure := b.reach(ctx, h, ref, want, api.InstanceStatePut{Action: action, Timeout: -1})
		if failure == nil || ctx.Err() != nil {
			return failure
		}
		i, err := b.get(ctx, ref)
		switch {
		case err != nil:
			return err
		case power(i) == ams.PowerStopped:
			return ams.Errorf(ams.ErrState, "instance %q is stopped", ref.ID)
		}
		return failure
	})
}
