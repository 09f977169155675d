package backendtest

import (
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
)

// testFreeze takes all time from an instance and gives it back.
func testFreeze(e *test) {
	spec := e.create()
	require.ErrorIs(e, e.freezer.Freeze(e.ctx, spec.Ref), ams.ErrState, "of a stopped instance")
	require.ErrorIs(e, e.freezer.Unfreeze(e.ctx, spec.Ref), ams.ErrState, "of a stopped instance")
	require.NoError(e, e.b.Start(e.ctx, spec.Ref))
	require.NoError(e, e.freezer.Unfreeze(e.ctx, spec.Ref), "of a running instance")
	address := ""
	if e.h.Addresses {
		e.eventually("an address", func() bool {
			address = e.power(ams.PowerRunning, spec.Ref).Address
			return address != ""
		})
	}
	for range 2 {
		require.NoError(e, e.freezer.Freeze(e.ctx, spec.Ref))
		require.Equal(e, address, e.power(ams.PowerFrozen, spec.Ref).Address)
	}
	require.Equal(e, e.power(ams.PowerFrozen, spec.Ref), e.listed(spec.Ref))
	require.NoError(e, e.b.Start(e.ctx, spec.Ref), "starting what is frozen")
	e.power(ams.PowerFrozen, spec.Ref)
	require.NoError(e, e.b.Create(e.ctx, spec), "creating what is frozen")
	require.ErrorIs(e, e.b.Delete(e.ctx, spec.Ref), ams.ErrState)
	if e.execer != nil {
		begun := time.Now()
		_, err := e.execer.Exec(e.ctx, spec.Ref, ams.ExecRequest{Command: []string{"true"}})
		require.ErrorIs(e, err, ams.ErrState, "in a frozen instance")
		require.Less(e, time.Since(begun), soon)
	}
	if e.configurer != nil {
		changed := spec
		changed.Memory *= 2
		changed.Labels = map[string]string{"name": "one"}
		require.NoError(e, e.configurer.Configure(e.ctx, changed))
		e.power(ams.PowerFrozen, spec.Ref)
	}
	for range 2 {
		require.NoError(e, e.freezer.Unfreeze(e.ctx, spec.Ref))
		e.power(ams.PowerRunning, spec.Ref)
	}
	if e.execer != nil {
		_, out, _ := e.sh(spec.Ref, "echo awake", nil)
		require.Equal(e, "awake\n", out)
	}
	e.together(4, func() error { return e.freezer.Freeze(e.ctx, spec.Ref) })
	e.power(ams.PowerFrozen, spec.Ref)
	e.together(4, func() error { return e.freezer.Unfreeze(e.ctx, spec.Ref) })
	e.power(ams.PowerRunning, spec.Ref)

	require.NoError(e, e.freezer.Freeze(e.ctx, spec.Ref))
	begun := time.Now()
	require.NoError(e, e.b.Stop(e.ctx, spec.Ref, true, 0))
	require.Less(e, time.Since(begun), soon)
	e.power(ams.PowerStopped, spec.Ref)
	require.NoError(e, e.b.Start(e.ctx, spec.Ref), "starting after that")
	e.power(ams.PowerRunning, spec.Ref)
	require.NoError(e, e.freezer.Freeze(e.ctx, spec.Ref))
	require.NoError(e, e.b.Stop(e.ctx, spec.Ref, true, 0))
	require.NoError(e, e.b.Delete(e.ctx, spec.Ref))
	e.absent(spec.Ref)
}
