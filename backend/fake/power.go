package fake

import (
	"cmp"
	"context"
	"time"

	"github.com/openams/ams"
)

var _ ams.Freezer = (*Backend)(nil)

// Start implements ams.Backend. A broken instance is ErrState; one whose card is
// not there, or whose address or ports another one has, is ErrUnavailable.
func (b *Backend) Start(ctx context.Context, ref ams.Ref) error {
	return b.power(ctx, VerbStart, ref, transition{
		to:   ams.PowerRunning,
		took: func(*instance) time.Duration { return b.opts.StartTime },
		needed: func(i *instance) (bool, error) {
			if i.on() {
				return false, nil
			}
			return true, b.fits(i)
		},
		do: func(i *instance) { i.run(b.newAddress(i.Fixed)) },
	})
}

// Stop implements ams.Backend. Without force it takes StopTime, or grace if that
// is shorter or the instance is frozen.
func (b *Backend) Stop(ctx context.Context, ref ams.Ref, force bool, grace time.Duration) error {
	return b.power(ctx, VerbStop, ref, transition{
		to: ams.PowerStopped,
		took: func(i *instance) time.Duration {
			switch {
			case force:
				return 0
			case i.Power == ams.PowerFrozen:
				return grace
			}
			return min(b.opts.StopTime, grace)
		},
		needed: func(i *instance) (bool, error) { return i.on(), nil },
		do:     (*instance).stop,
	})
}

// Freeze implements ams.Freezer. It takes FreezeTime.
func (b *Backend) Freeze(ctx context.Context, ref ams.Ref) error {
	return b.power(ctx, VerbFreeze, ref, b.switches(ams.PowerFrozen))
}

// Unfreeze implements ams.Freezer. It takes FreezeTime.
func (b *Backend) Unfreeze(ctx context.Context, ref ams.Ref) error {
	return b.power(ctx, VerbUnfreeze, ref, b.switches(ams.PowerRunning))
}

// switches is a transition of an instance that runs.
func (b *Backend) switches(to ams.Power) transition {
	return transition{
		to:   to,
		took: func(*instance) time.Duration { return b.opts.FreezeTime },
		needed: func(i *instance) (bool, error) {
			if !i.on() {
				return false, ams.Errorf(ams.ErrState, "instance %q is %s", i.ID, i.Power)
			}
			return i.Power != to, nil
		},
		do: func(i *instance) { i.Power = to },
	}
}

// transition is a change of power. Its functions are called with b.mu held.
type transition struct {
	to     ams.Power
	took   func(*instance) time.Duration
	needed func(*instance) (bool, error)
	do     func(*instance)
}

// power changes an instance's power, which takes a time. Its end is in the journal
// before that: if the process dies, the cluster goes on.
func (b *Backend) power(ctx context.Context, verb string, ref ams.Ref, t transition) error {
	return b.verb(ctx, verb, ref, func(epoch chan struct{}) error {
		b.mu.Lock()
		i, needed, err := b.begin(ref, t)
		if err != nil || !needed {
			b.mu.Unlock()
			return err
		}
		took := t.took(i)
		if took > 0 {
			end := *i
			end.Power = t.to
			b.saveInstance(&end)
		}
		b.mu.Unlock()
		err = sleep(ctx, epoch, took)
		b.mu.Lock()
		defer b.mu.Unlock()
		return b.end(i, t, err)
	})
}

// begin returns the instance and whether there is something to do. b.mu is held.
func (b *Backend) begin(ref ams.Ref, t transition) (*instance, bool, error) {
	i, err := b.finds(ref)
	if err != nil {
		return nil, false, err
	}
	if i.Power == ams.PowerBroken {
		return nil, false, ams.Errorf(ams.ErrState, "instance %q is half made", ref.ID)
	}
	needed, err := t.needed(i)
	return i, needed, err
}

// end does what was waited for, unless err or something that happened meanwhile
// is in the way. b.mu is held.
func (b *Backend) end(i *instance, t transition, err error) error {
	if b.instances[i.Name] != i { // deleted meanwhile
		return cmp.Or(err, error(&ams.Error{Code: ams.ErrNotFound, Kind: "instance", ID: i.ID}))
	}
	if err == nil {
		err = b.reach(i.Node)
	}
	if err == nil && i.Power != ams.PowerBroken {
		var needed bool
		if needed, err = t.needed(i); needed && err == nil {
			t.do(i)
		}
	}
	b.saveInstance(i)
	return cmp.Or(err, b.broken)
}
