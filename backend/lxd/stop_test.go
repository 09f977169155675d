package lxd_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
	"github.com/openams/ams/backend/lxd"
	"github.com/openams/ams/internal/lxdtest"
)

// TestStubborn stops an instance that does not obey, because it is frozen: it is
// forced after the grace.
func TestStubborn(t *testing.T) {
	d := lxdtest.Require(t)
	b := open(t, lxd.Config{Socket: d.Socket})
	spec := testSpec(t, "stubborn")
	require.NoError(t, b.Create(t.Context(), spec))
	require.NoError(t, b.Start(t.Context(), spec.Ref))
	require.NoError(t, b.Freeze(t.Context(), spec.Ref))

	begun := time.Now()
	require.NoError(t, b.Stop(t.Context(), spec.Ref, false, time.Second))
	require.Less(t, time.Since(begun), 45*time.Second)
	seen, err := b.Get(t.Context(), spec.Ref)
	require.NoError(t, err)
	require.Equal(t, ams.PowerStopped, seen.Power)
	require.NoError(t, b.Delete(t.Context(), spec.Ref))
}

// TestReopen closes the backend while it creates, starts or publishes, as the
// death of the process does, and asks another one for the same: LXD has gone on.
func TestReopen(t *testing.T) {
	d := lxdtest.Require(t)
	for _, after := range []time.Duration{1, 10, 30, 60, 100, 200} {
		spec := testSpec(t, "reopen")
		steps := []func(*lxd.Backend) error{
			func(b *lxd.Backend) error { return b.Create(context.Background(), spec) },
			func(b *lxd.Backend) error {
				_, err := b.Publish(context.Background(), spec.Ref, "reopen")
				return err
			},
			func(b *lxd.Backend) error { return b.Start(context.Background(), spec.Ref) },
			func(b *lxd.Backend) error { return b.Stop(context.Background(), spec.Ref, true, 0) },
			func(b *lxd.Backend) error { return b.Delete(context.Background(), spec.Ref) },
		}
		for n, step := range steps {
			ctx, cancel := context.WithCancel(context.Background())
			b, err := lxd.Open(ctx, lxd.Config{Socket: d.Socket})
			require.NoError(t, err)
			done := make(chan error, 1)
			go func() { done <- step(b) }()
			<-time.After(after * time.Millisecond)
			require.NoError(t, b.Close())
			next := open(t, lxd.Config{Socket: d.Socket})
			require.NoError(t, step(next), "step %d after %v", n, after)
			<-done
			cancel()
			images, err := next.ListImages(t.Context(), cluster)
			require.NoError(t, err)
			if n == 0 {
				require.Empty(t, images)
				continue
			}
			require.Len(t, images, 1, "step %d after %v", n, after)
			require.Equal(t, "reopen", images[0].Alias)
		}
		b := open(t, lxd.Config{Socket: d.Socket})
		require.NoError(t, b.DeleteImage(t.Context(), cluster, "reopen"))
		list, err := b.List(t.Context(), cluster)
		require.NoError(t, err)
		require.Empty(t, list)
	}
}

// testSpec returns an instance of the test image.
func testSpec(t *testing.T, id string) ams.InstanceSpec {
	d := lxdtest.Require(t)
	c := lxdtest.Connect(t, d)
	alias, _, err := c.GetImageAlias(lxdtest.ImageAlias)
	require.NoError(t, err)
	s, _, err := c.GetServer()
	require.NoError(t, err)
	return ams.InstanceSpec{
		Ref:         ams.Ref{Cluster: cluster, ID: id, Node: s.Environment.ServerName},
		Attempt:     "1",
		Fingerprint: alias.Target,
		CPUs:        1,
		Memory:      256 << 20,
	}
}
