package fake_test

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
	"github.com/openams/ams/backend/fake"
)

// TestCards gives cards that are there, and refuses others.
func TestCards(t *testing.T) {
	b, spec := one(fake.Options{})
	ctx := t.Context()
	nodes, err := b.Nodes(ctx)
	require.NoError(t, err)
	node := nodes[0]
	node.GPUs = []ams.GPU{{PCIAddress: "0000:65:00.0", Type: "amd"}}
	node.VPUs = []ams.VPU{{PCIAddress: "0000:01:00.0", Type: "netint", Slots: 4}}
	b.SetNode(node)
	spec.GPU, spec.VPU = "0000:65:00.0", "0000:01:00.0"
	spec.CPUSet, spec.Address = "0-3", "10.0.0.7"
	spec.Proxies = []ams.Proxy{{Protocol: "udp", Listen: "0.0.0.0", NodePort: 10000, Port: 9000, Count: 10}}
	require.NoError(t, b.Create(ctx, spec))
	require.Equal(t, spec, b.Snapshot().Instances[0].InstanceSpec)
	require.NoError(t, b.Start(ctx, spec.Ref))
	require.NoError(t, b.Freeze(ctx, spec.Ref))
	require.Equal(t, ams.PowerFrozen, b.Snapshot().Instances[0].Power)
	require.Equal(t, "10.0.0.7", b.Snapshot().Instances[0].Address)

	other := spec
	other.ID, other.Address = "i2", ""
	other.VPU = "0000:02:00.0"
	require.ErrorIs(t, b.Create(ctx, other), ams.ErrUnsupported)
	other.VPU = ""
	require.NoError(t, b.Create(ctx, other))
	require.ErrorIs(t, b.Start(ctx, other.Ref), ams.ErrUnavailable, "its ports are taken")
	other.Proxies = []ams.Proxy{{Protocol: "udp", Listen: "10.1.1.1", NodePort: 10010, Port: 9000, Count: 1}}
	require.NoError(t, b.Configure(ctx, other))
	require.NoError(t, b.Start(ctx, other.Ref))
	other.Proxies[0].NodePort--
	require.ErrorIs(t, b.Configure(ctx, other), ams.ErrUnavailable)
	require.NoError(t, b.Stop(ctx, other.Ref, true, 0))
	other.Proxies, other.GPU = nil, "0000:66:00.0"
	require.NoError(t, b.Configure(ctx, other))
	require.ErrorIs(t, b.Start(ctx, other.Ref), ams.ErrUnavailable, "there is no such GPU")
}

// TestTrip has the watchdog of an instance stop it.
func TestTrip(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, spec := one(fake.Options{})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		b.Trip("i1", "nobody is there")
		require.NoError(t, b.Create(ctx, spec))
		require.NoError(t, b.Start(ctx, spec.Ref))
		heard := make(chan string, 10)
		go func() { _ = b.Watch(ctx, cluster, func(id string) { heard <- id }) }()
		synctest.Wait()
		b.Trip("i1", "com.example: crashed")
		require.Equal(t, "i1", <-heard)
		seen, err := b.Get(ctx, spec.Ref)
		require.NoError(t, err)
		require.Equal(t, ams.PowerStopped, seen.Power)
		r, err := b.OpenLog(ctx, spec.Ref, ams.TripLog)
		require.NoError(t, err)
		var text bytes.Buffer
		_, err = text.ReadFrom(r)
		require.NoError(t, err)
		require.Equal(t, "com.example: crashed\n", text.String())
	})
}

// TestJoin has nodes join and leave, with faults.
func TestJoin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opts := fake.Options{JoinTime: time.Minute, FreezeTime: time.Second, File: t.TempDir() + "/state"}
		b, spec := one(opts)
		ctx := t.Context()
		join := ams.NodeJoin{Name: "new", Address: "10.2.2.2"}
		boom := errors.New("boom")
		b.Fail(fake.VerbAddNode, 1, boom)
		require.Equal(t, boom, b.AddNode(ctx, join))
		b.Lose(fake.VerbAddNode, 1)
		begun := time.Now()
		require.ErrorIs(t, b.AddNode(ctx, join), ams.ErrUnavailable)
		require.Equal(t, time.Minute, time.Since(begun))
		require.NoError(t, b.AddNode(ctx, join))
		require.Equal(t, time.Minute, time.Since(begun), "it is there")
		require.Equal(t, 3, b.Count(fake.VerbAddNode))
		require.ErrorIs(t, b.AddNode(ctx, ams.NodeJoin{Name: "unknown", Unmanaged: true}), ams.ErrNotFound)

		spec.Node = "new"
		require.NoError(t, b.Create(ctx, spec))
		require.NoError(t, b.Start(ctx, spec.Ref))
		begun = time.Now()
		require.NoError(t, b.Freeze(ctx, spec.Ref))
		require.Equal(t, time.Second, time.Since(begun))
		want := b.Snapshot()
		require.NoError(t, b.Close())

		b = fake.New(opts)
		require.Equal(t, want, b.Snapshot())
		seen, err := b.Get(ctx, spec.Ref)
		require.NoError(t, err)
		require.Equal(t, ams.PowerFrozen, seen.Power)
		require.ErrorIs(t, b.RemoveNode(ctx, "new", false), ams.ErrState)
		b.SetOnline("new", false)
		require.ErrorIs(t, b.RemoveNode(ctx, "new", false), ams.ErrUnavailable)
		require.NoError(t, b.RemoveNode(ctx, "new", true))
		require.NoError(t, b.RemoveNode(ctx, "new", true))
		require.ErrorIs(t, b.RemoveNode(ctx, "node0", true), ams.ErrState, "the last one")
		require.NoError(t, b.Close())

		b = fake.New(opts)
		nodes, err := b.Nodes(ctx)
		require.NoError(t, err)
		require.Len(t, nodes, 1)
		require.Empty(t, b.Snapshot().Instances)
		require.NoError(t, b.Close())
	})
}

// TestHalves starts an instance in two halves.
func TestHalves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, spec := one(fake.Options{BootTime: time.Minute, ClaimTime: 50 * time.Millisecond})
		ctx := t.Context()
		require.NoError(t, b.Create(ctx, spec))
		require.NoError(t, b.Start(ctx, spec.Ref))
		for phase, want := range map[ams.GuestPhase]time.Duration{ams.PhaseStandby: time.Minute, ams.PhaseClaim: 50 * time.Millisecond} {
			begun := time.Now()
			require.NoError(t, b.Run(ctx, ams.GuestRun{Phase: phase, Instance: ams.Instance{ID: "i1"}, Report: func(ams.GuestStep) {}}))
			require.Equal(t, want, time.Since(begun), phase)
		}
		require.NoError(t, b.Freeze(ctx, spec.Ref))
		require.ErrorIs(t, b.Run(ctx, ams.GuestRun{Phase: ams.PhaseClaim, Instance: ams.Instance{ID: "i1"}, Report: func(ams.GuestStep) {}}), ams.ErrState)
	})
}
