package backendtest

import (
	"context"
	"errors"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
)

// testCopy copies an instance that was configured, with what is on its disk.
func testCopy(e *test) {
	source := e.spec()
	source.Labels = map[string]string{"name": "source", "tags": "a"}
	source.CPUSet, source.Memory = "0", 300<<20
	source.Proxies = []ams.Proxy{{Protocol: "tcp", Listen: "127.0.0.1", NodePort: 10930, Port: 22, Count: 1}}
	e.cleanup(source.Ref)
	require.NoError(e, e.b.Create(e.ctx, source))
	require.NoError(e, e.b.Start(e.ctx, source.Ref))
	mark := newID()
	if e.execer != nil {
		exit, _, errs := e.sh(source.Ref, "mkdir -p /var/lib/anbox/logs; echo "+mark+" > /var/lib/anbox/logs/mark", nil)
		require.Zero(e, exit, errs)
	}
	spec := e.copied()
	require.ErrorIs(e, e.copier.Copy(e.ctx, spec, source.Ref), ams.ErrState, "of a running instance")
	e.absent(spec.Ref)
	if e.freezer != nil {
		require.NoError(e, e.freezer.Freeze(e.ctx, source.Ref))
		require.ErrorIs(e, e.copier.Copy(e.ctx, spec, source.Ref), ams.ErrState, "of a frozen instance")
	}
	require.NoError(e, e.b.Stop(e.ctx, source.Ref, true, 0))

	for range 2 {
		require.NoError(e, e.copier.Copy(e.ctx, spec, source.Ref))
		require.Equal(e, "attempt-1", e.power(ams.PowerStopped, spec.Ref).Attempt)
	}
	e.listed(spec.Ref)
	other := spec
	other.Attempt = "attempt-2"
	require.ErrorIs(e, e.copier.Copy(e.ctx, other, source.Ref), ams.ErrExists)
	require.NoError(e, e.b.Start(e.ctx, source.Ref))
	require.NoError(e, e.b.Start(e.ctx, spec.Ref), "both run: the copy has nothing that only one can have")
	require.NoError(e, e.copier.Copy(e.ctx, spec, source.Ref), "when it is there, it does not matter what the source does")
	if e.execer != nil && e.h.Disks {
		_, out, _ := e.sh(spec.Ref, "cat /var/lib/anbox/logs/mark", nil)
		require.Equal(e, mark+"\n", out)
	}
	require.NoError(e, e.b.Stop(e.ctx, source.Ref, true, 0))
	e.remove(source.Ref)
	e.power(ams.PowerRunning, spec.Ref)
	require.NoError(e, e.b.Stop(e.ctx, spec.Ref, true, 0))

	again := e.copied()
	require.NoError(e, e.copier.Copy(e.ctx, again, spec.Ref), "a copy of a copy that has run")
	e.remove(spec.Ref)
	require.NoError(e, e.b.Start(e.ctx, again.Ref))
	e.remove(again.Ref)

	e.Run("New", e.run(copyNew))
	e.Run("Cancelled", e.run(copyCancelled))
	e.Run("Refused", e.run(copyRefused))
}

// copied returns the spec of a copy.
func (e *test) copied() ams.InstanceSpec {
	spec := e.spec()
	spec.Fingerprint = ""
	e.cleanup(spec.Ref)
	return spec
}

// copyNew copies, several times at once, what has never run.
func copyNew(e *test) {
	source := e.create()
	spec := e.copied()
	e.together(4, func() error { return e.copier.Copy(e.ctx, spec, source.Ref) })
	e.power(ams.PowerStopped, spec.Ref)
	require.NoError(e, e.b.Delete(e.ctx, source.Ref))
	require.NoError(e, e.b.Start(e.ctx, spec.Ref))
	e.remove(spec.Ref)
}

// copyCancelled gives up copies after various times: asking again makes one, and
// after its deletion none appears.
func copyCancelled(e *test) {
	source := e.create()
	try := func(spec ams.InstanceSpec, after time.Duration) {
		ctx, cancel := context.WithTimeout(e.ctx, after*time.Millisecond)
		defer cancel()
		begun := time.Now()
		err := e.copier.Copy(ctx, spec, source.Ref)
		require.Less(e, time.Since(begun), soon)
		if err != nil && !errors.Is(err, ams.ErrUnavailable) {
			require.ErrorIs(e, err, context.DeadlineExceeded)
		}
	}
	for _, after := range []time.Duration{0, 2, 10, 30, 60, 100, 200} {
		spec := e.copied()
		try(spec, after)
		require.NoError(e, e.copier.Copy(e.ctx, spec, source.Ref))
		e.power(ams.PowerStopped, spec.Ref)
		require.NoError(e, e.b.Delete(e.ctx, spec.Ref))
		try(spec, after)
		require.NoError(e, e.b.Delete(e.ctx, spec.Ref))
		e.absent(spec.Ref)
	}
	e.remove(source.Ref)
	require.Never(e, func() bool {
		list, err := e.b.List(e.ctx, e.cluster)
		return err == nil && len(list) > 0
	}, time.Second, 100*time.Millisecond, "an instance appeared after its deletion")
}

// copyRefused asks for copies that cannot be made.
func copyRefused(e *test) {
	source := e.create()
	spec := e.copied()
	spec.Node = "no-such-node"
	require.ErrorIs(e, e.copier.Copy(e.ctx, spec, source.Ref), ams.ErrNotFound)
	spec = e.copied()
	require.ErrorIs(e, e.copier.Copy(e.ctx, spec, e.spec().Ref), ams.ErrNotFound, "of what is not there")
	theirs := source.Ref
	theirs.Cluster += "-2"
	require.Error(e, e.copier.Copy(e.ctx, spec, theirs), "of another cluster's")
	other := spec
	other.Cluster += "-2"
	require.Error(e, e.copier.Copy(e.ctx, other, source.Ref), "for another cluster")
	other.Ref, other.Cluster = source.Ref, source.Cluster
	require.ErrorIs(e, e.copier.Copy(e.ctx, other, source.Ref), ams.ErrInvalid, "onto itself")
	spec.Labels = map[string]string{"A": ""}
	require.ErrorIs(e, e.copier.Copy(e.ctx, spec, source.Ref), ams.ErrInvalid)
	e.absent(spec.Ref)
	e.remove(source.Ref)
}
