package backendtest

import (
	"net/netip"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
)

func testNodes(e *test) {
	nodes, err := e.b.Nodes(e.ctx)
	require.NoError(e, err)
	names := map[string]bool{}
	for _, n := range nodes {
		require.NotEmpty(e, n.Name)
		require.False(e, names[n.Name], "node %q twice", n.Name)
		names[n.Name] = true
		if !n.Online {
			continue
		}
		require.Contains(e, []string{"x86_64", "aarch64"}, n.Architecture)
		require.Positive(e, n.Capacity.CPUs)
		require.Positive(e, n.Capacity.Memory)
		require.Positive(e, n.Capacity.Disk)
		require.Positive(e, n.Capacity.DiskFree)
		require.LessOrEqual(e, n.Capacity.DiskFree, n.Capacity.Disk)
	}
}

func testLife(e *test) {
	spec := e.create()
	require.Equal(e, "attempt-1", e.power(ams.PowerStopped, spec.Ref).Attempt)
	require.Equal(e, e.power(ams.PowerStopped, spec.Ref), e.listed(spec.Ref))
	require.Empty(e, e.listed(spec.Ref).Address, "address of a stopped instance")

	require.NoError(e, e.b.Start(e.ctx, spec.Ref))
	e.power(ams.PowerRunning, spec.Ref)
	if e.h.Addresses {
		e.eventually("an address", func() bool {
			return e.power(ams.PowerRunning, spec.Ref).Address != ""
		})
		a, err := netip.ParseAddr(e.power(ams.PowerRunning, spec.Ref).Address)
		require.NoError(e, err)
		require.True(e, a.Is4())
		require.Equal(e, a.String(), e.listed(spec.Ref).Address)
	}

	begun := time.Now()
	require.NoError(e, e.b.Stop(e.ctx, spec.Ref, false, time.Minute))
	require.Less(e, time.Since(begun), 50*time.Second, "a graceful stop waited for the whole grace")
	e.power(ams.PowerStopped, spec.Ref)

	require.NoError(e, e.b.Start(e.ctx, spec.Ref), "starting again")
	require.NoError(e, e.b.Stop(e.ctx, spec.Ref, true, 0))
	e.power(ams.PowerStopped, spec.Ref)
	require.NoError(e, e.b.Delete(e.ctx, spec.Ref))
	e.absent(spec.Ref)
}

// testTwice does everything twice.
func testTwice(e *test) {
	spec := e.create()
	require.NoError(e, e.b.Create(e.ctx, spec))
	e.listed(spec.Ref)
	require.NoError(e, e.b.Stop(e.ctx, spec.Ref, false, time.Second), "stopping what never ran")
	for range 2 {
		require.NoError(e, e.b.Start(e.ctx, spec.Ref))
		e.power(ams.PowerRunning, spec.Ref)
	}
	require.NoError(e, e.b.Create(e.ctx, spec), "creating what runs")
	e.power(ams.PowerRunning, spec.Ref)
	for _, force := range []bool{false, false, true, true} {
		require.NoError(e, e.b.Stop(e.ctx, spec.Ref, force, 30*time.Second))
		e.power(ams.PowerStopped, spec.Ref)
	}
	for range 2 {
		require.NoError(e, e.b.Delete(e.ctx, spec.Ref))
		e.absent(spec.Ref)
	}
	require.NoError(e, e.b.Create(e.ctx, spec), "creating again after deletion")
	e.remove(spec.Ref)
}

// testConcurrently does everything several times at once.
func testConcurrently(e *test) {
	const n = 6
	spec := e.spec()
	e.cleanup(spec.Ref)
	e.together(n, func() error { return e.b.Create(e.ctx, spec) })
	e.power(ams.PowerStopped, spec.Ref)
	e.listed(spec.Ref)
	e.together(n, func() error { return e.b.Start(e.ctx, spec.Ref) })
	e.power(ams.PowerRunning, spec.Ref)
	e.together(n, func() error { return e.b.Stop(e.ctx, spec.Ref, false, 30*time.Second) })
	e.power(ams.PowerStopped, spec.Ref)
	require.NoError(e, e.b.Start(e.ctx, spec.Ref))
	e.together(n, func() error { return e.b.Stop(e.ctx, spec.Ref, true, 0) })
	e.power(ams.PowerStopped, spec.Ref)
	e.together(n, func() error { return e.b.Delete(e.ctx, spec.Ref) })
	e.absent(spec.Ref)
}

func testAttempts(e *test) {
	spec := e.create()
	other := spec
	other.Attempt = "attempt-2"
	require.ErrorIs(e, e.b.Create(e.ctx, other), ams.ErrExists)
	require.Equal(e, "attempt-1", e.power(ams.PowerStopped, spec.Ref).Attempt)
	require.NoError(e, e.b.Delete(e.ctx, spec.Ref))
	require.NoError(e, e.b.Create(e.ctx, other))
	require.Equal(e, "attempt-2", e.power(ams.PowerStopped, spec.Ref).Attempt)
	e.remove(spec.Ref)
}

func testAbsent(e *test) {
	ref := e.spec().Ref
	e.absent(ref)
	require.ErrorIs(e, e.b.Start(e.ctx, ref), ams.ErrNotFound)
	require.ErrorIs(e, e.b.Stop(e.ctx, ref, false, time.Second), ams.ErrNotFound)
	require.ErrorIs(e, e.b.Stop(e.ctx, ref, true, 0), ams.ErrNotFound)
	require.NoError(e, e.b.Delete(e.ctx, ref))
	if e.execer != nil {
		_, err := e.execer.Exec(e.ctx, ref, ams.ExecRequest{Command: []string{"true"}})
		require.ErrorIs(e, err, ams.ErrNotFound)
	}
	if e.logReader != nil {
		_, err := e.logReader.Logs(e.ctx, ref)
		require.ErrorIs(e, err, ams.ErrNotFound)
		_, err = e.logReader.OpenLog(e.ctx, ref, "system.log")
		require.ErrorIs(e, err, ams.ErrNotFound)
	}
	if e.publisher != nil {
		_, err := e.publisher.Publish(e.ctx, ref, newID())
		require.ErrorIs(e, err, ams.ErrNotFound)
	}
	e.unable(ref)
	if e.images != nil {
		require.NoError(e, e.images.DeleteImage(e.ctx, e.cluster, newID()))
		require.NoError(e, e.images.DeleteFingerprint(e.ctx, e.cluster, e.fingerprint[:12]+"00000000"))
	}
}

// testRefused asks for what cannot be made.
func testRefused(e *test) {
	spec := e.spec()
	spec.Fingerprint = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	require.ErrorIs(e, e.b.Create(e.ctx, spec), ams.ErrNotFound, "an image that is not there")
	e.absent(spec.Ref)

	spec = e.spec()
	spec.Node = "no-such-node"
	require.ErrorIs(e, e.b.Create(e.ctx, spec), ams.ErrNotFound, "a node that is not there")
	e.absent(spec.Ref)
}

func testDeleteRunning(e *test) {
	spec := e.start()
	require.ErrorIs(e, e.b.Delete(e.ctx, spec.Ref), ams.ErrState)
	e.power(ams.PowerRunning, spec.Ref)
	e.remove(spec.Ref)
}
