package lxd_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
	"github.com/openams/ams/internal/lxdtest"
)

// TestMembers uses the abilities on members of a cluster that are not the one that
// is asked, and copies from one to another.
func TestMembers(t *testing.T) {
	lxdtest.Check(t)
	if testing.Short() {
		t.Skip("starts three LXD daemons")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	_, cfg := startCluster(t)
	b := open(t, cfg)
	o := &operator{image: lxdtest.ImageFile(t)}
	image, err := b.ImportImage(ctx, cluster, "base", ams.ImageFiles{Meta: o.open(t, 0)})
	require.NoError(t, err)
	spec := ams.InstanceSpec{
		Ref:         ams.Ref{Cluster: cluster, ID: "source", Node: "lxd1"},
		Attempt:     "1",
		Fingerprint: image.Fingerprint,
		Labels:      map[string]string{"name": "source"},
	}
	require.NoError(t, b.Create(ctx, spec))
	require.NoError(t, b.Start(ctx, spec.Ref))
	spec.Memory, spec.CPUs, spec.CPUSet = 128<<20, 1, "0"
	require.NoError(t, b.Configure(ctx, spec))
	sh(t, b, spec.Ref, "mkdir -p /var/lib/anbox/logs; echo kept >/var/lib/anbox/logs/mark")

	j := &journal{}
	done := make(chan error, 1)
	go func() { done <- b.FollowLog(ctx, spec.Ref, "mark", 100, j) }()
	require.Eventually(t, func() bool { return j.String() == "kept\n" }, 30*time.Second, 10*time.Millisecond)
	require.NotEmpty(t, read(t, b, spec.Ref, "container.log"))
	require.NoError(t, b.Freeze(ctx, spec.Ref))
	seen, err := b.Get(ctx, spec.Ref)
	require.NoError(t, err)
	require.Equal(t, ams.PowerFrozen, seen.Power)
	require.NoError(t, b.Unfreeze(ctx, spec.Ref))
	require.NoError(t, b.Stop(ctx, spec.Ref, true, 0))
	require.NoError(t, <-done)

	for _, node := range []string{"lxd1", "lxd0", "lxd2"} {
		made := spec
		made.ID, made.Node, made.Fingerprint, made.Labels = "copy-"+node, node, "", map[string]string{"tags": "copy"}
		for range 2 {
			begun := time.Now()
			require.NoError(t, b.Copy(ctx, made, spec.Ref), node)
			t.Logf("a copy from lxd1 to %s took %v", node, time.Since(begun))
		}
		seen, err := b.Get(ctx, made.Ref)
		require.NoError(t, err)
		require.Equal(t, ams.PowerStopped, seen.Power)
		require.Equal(t, node, seen.Node)
		require.Equal(t, "kept\n", read(t, b, made.Ref, "mark"))
		require.NoError(t, b.Start(ctx, made.Ref))
		require.Equal(t, "kept\n", sh(t, b, made.Ref, "cat /var/lib/anbox/logs/mark"))
		require.NoError(t, b.Stop(ctx, made.Ref, true, 0))
		require.NoError(t, b.Delete(ctx, made.Ref))
	}

	// Given up, and asked for again.
	made := spec
	made.ID, made.Node, made.Fingerprint = "given-up", "lxd2", ""
	for _, after := range []time.Duration{10, 100, 300} {
		short, cancelShort := context.WithTimeout(ctx, after*time.Millisecond)
		_ = b.Copy(short, made, spec.Ref)
		cancelShort()
		require.NoError(t, b.Copy(ctx, made, spec.Ref))
		require.Equal(t, "kept\n", read(t, b, made.Ref, "mark"))
		require.NoError(t, b.Delete(ctx, made.Ref))
	}
	require.NoError(t, b.Delete(ctx, spec.Ref))
	require.NoError(t, b.DeleteImage(ctx, cluster, "base"))
}
