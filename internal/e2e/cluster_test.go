package e2e_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
	"github.com/openams/ams/backend/lxd"
	"github.com/openams/ams/guest/android"
	"github.com/openams/ams/internal/audit"
	"github.com/openams/ams/internal/lxdrun"
	"github.com/openams/ams/internal/lxdtest"
	"github.com/openams/ams/storage/sqlite"
)

// clusterWorld is a Manager on a real cluster of three members, with an image and
// an application "candy".
type clusterWorld struct {
	*world
	cluster *lxdrun.Cluster
}

func newClusterWorld(t *testing.T) *clusterWorld {
	c := lxdtest.RequireCluster(t)
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	t.Cleanup(cancel)
	store, err := sqlite.Open(filepath.Join(t.TempDir(), "ams.db"), nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	backend, err := lxd.Open(ctx, lxd.Config{Socket: c.Members[0].Socket})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, backend.Close()) })
	w := &clusterWorld{&world{t: t, ctx: ctx, store: store, backend: backend}, c}
	cfg := ams.Config{
		Store: store, Backend: backend, Guest: android.New(android.Options{}),
		Logger:          slog.New(slog.NewTextHandler(logWriter{t}, &slog.HandlerOptions{Level: slog.LevelError})),
		CompareInterval: 2 * time.Second, StopTimeout: 20 * time.Second, CallTimeout: 20 * time.Second, BootTimeout: 2 * time.Minute,
	}
	m, err := ams.New(cfg)
	require.NoError(t, err)
	w.Manager = m
	run, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- m.Run(run) }()
	t.Cleanup(func() {
		stop()
		require.NoError(t, <-ended)
	})
	require.NoError(t, m.Ready(ctx))
	w.roomy()
	image, err := os.Open(lxdtest.ImageFile(t))
	require.NoError(t, err)
	defer image.Close()
	w.wait(w.Images.Add(ctx, "jammy:android15:amd64", image, ams.ImageOptions{}))
	return w
}

// roomy lets every node take any number of instances: the machine is small, and
// what is tested is not its size.
func (w *clusterWorld) roomy() {
	rate, disk := 100.0, 1000*ams.Gigabyte
	nodes, _, err := w.Nodes.List(w.ctx, ams.NodeFilter{}, ams.Page{})
	require.NoError(w.t, err)
	for _, n := range nodes {
		require.NoError(w.t, w.Nodes.Set(w.ctx, n.Name, ams.NodePatch{CPURate: &rate, MemoryRate: &rate, Disk: &disk}))
	}
}

// launch launches so many instances at once and returns them.
func (w *clusterWorld) launch(n int, req ams.LaunchRequest) []ams.Instance {
	w.t.Helper()
	all := make([]ams.Instance, n)
	var busy sync.WaitGroup
	for i := range n {
		op, err := w.Instances.Launch(w.ctx, req)
		require.NoError(w.t, err)
		busy.Go(func() {
			op, err := w.Operations.Wait(w.ctx, op.ID)
			if err == nil {
				all[i], err = w.Instances.Get(w.ctx, op.Resources["instance"][0])
			}
			if err != nil {
				w.t.Error(err)
			}
		})
	}
	busy.Wait()
	return all
}

// perNode counts instances by node.
func perNode(list []ams.Instance) map[string]int {
	count := map[string]int{}
	for _, in := range list {
		count[in.Node]++
	}
	return count
}

// consistent requires that ledger, store and LXD agree, soon.
func (w *clusterWorld) consistent() {
	w.t.Helper()
	var faults []string
	require.Eventually(w.t, func() bool {
		var err error
		faults, err = audit.Check(w.ctx, w.store, w.backend)
		return err == nil && len(faults) == 0
	}, time.Minute, time.Second, "%v", &faults)
}

// node waits until a node has a status.
func (w *clusterWorld) node(name string, want ams.NodeStatus) {
	w.t.Helper()
	require.Eventually(w.t, func() bool {
		n, err := w.Nodes.Get(w.ctx, name)
		return err == nil && n.Status == want
	}, time.Minute, 200*time.Millisecond, "%s is to be %s", name, want)
}

// TestClusterPlaces spreads instances over the members of a real cluster, packs
// them, and heeds selectors; then it empties a member.
func TestClusterPlaces(t *testing.T) {
	if testing.Short() {
		t.Skip("runs three LXD daemons")
	}
	w := newClusterWorld(t)
	spread := w.launch(6, ams.LaunchRequest{})
	require.Equal(t, map[string]int{"lxd0": 2, "lxd1": 2, "lxd2": 2}, perNode(spread))
	require.NoError(t, w.Settings.Set(w.ctx, "scheduler.strategy", "binpack"))
	require.Equal(t, map[string]int{"lxd0": 3}, perNode(w.launch(3, ams.LaunchRequest{})))
	require.Equal(t, map[string]int{"lxd2": 1}, perNode(w.launch(1, ams.LaunchRequest{Node: "lxd2"})))

	require.NoError(t, w.Nodes.Set(w.ctx, "lxd1", ams.NodePatch{Tags: []string{"ssd", "eu"}}))
	w.wait(w.Applications.Create(w.ctx, pack(t, "manifest.yaml", "name: candy\nnode-selector: [ssd]\n"), ams.CreateOptions{}))
	require.Equal(t, map[string]int{"lxd1": 2}, perNode(w.launch(2, ams.LaunchRequest{Application: "candy"})))
	e, err := w.Instances.Explain(w.ctx, ams.LaunchRequest{Application: "candy"})
	require.NoError(t, err)
	require.Equal(t, "lxd1", e.Node)
	require.Contains(t, e.String(), "tags")

	w.wait(w.Nodes.Drain(w.ctx, "lxd0", true))
	list, _, err := w.Instances.List(w.ctx, ams.InstanceFilter{Node: "lxd0"}, ams.Page{})
	require.NoError(t, err)
	require.Empty(t, list)
	require.NotContains(t, perNode(w.launch(2, ams.LaunchRequest{})), "lxd0")
	w.consistent()
}

// TestClusterLosesAMember kills a member while launches go on: they go elsewhere,
// what was on it is unknown and not made twice, and it is back when the member is.
func TestClusterLosesAMember(t *testing.T) {
	if testing.Short() {
		t.Skip("runs three LXD daemons")
	}
	w := newClusterWorld(t)
	before := w.launch(6, ams.LaunchRequest{})
	var lost []ams.Instance
	for _, in := range before {
		if in.Node == "lxd1" {
			lost = append(lost, in)
		}
	}
	require.Len(t, lost, 2)
	var busy sync.WaitGroup
	for i := range 6 {
		busy.Go(func() {
			op, err := w.Instances.Launch(w.ctx, ams.LaunchRequest{Name: fmt.Sprint("during-", i)})
			if err == nil {
				_, _ = w.Operations.Wait(w.ctx, op.ID) // one that is on the member waits for it, or fails
			}
		})
	}
	require.NoError(t, w.cluster.Members[1].Kill())
	w.node("lxd1", ams.NodeOffline)
	for _, in := range lost {
		require.Eventually(t, func() bool {
			now, err := w.Instances.Get(w.ctx, in.ID)
			return err == nil && now.Status == ams.InstanceUnknown
		}, 30*time.Second, 200*time.Millisecond)
	}
	after := w.launch(4, ams.LaunchRequest{})
	require.NotContains(t, perNode(after), "lxd1")

	require.NoError(t, w.cluster.Members[1].Restart(w.ctx))
	w.node("lxd1", ams.NodeOnline)
	busy.Wait()
	for _, in := range append(lost, after...) {
		require.Eventually(t, func() bool {
			now, err := w.Instances.Get(w.ctx, in.ID)
			return err == nil && now.Status == ams.InstanceRunning
		}, 30*time.Second, 200*time.Millisecond, in.Name)
	}
	w.consistent()
}

// TestClusterGrowsAndShrinks joins a fourth machine through the Manager, runs
// instances on it, and removes it; a join that cannot succeed leaves nothing.
func TestClusterGrowsAndShrinks(t *testing.T) {
	if testing.Short() {
		t.Skip("runs four LXD daemons")
	}
	w := newClusterWorld(t)
	fourth, err := w.cluster.Alone(w.ctx)
	require.NoError(t, err)
	join := ams.NodeJoin{Name: "lxd3", Address: fourth.Address, TrustPassword: "not the one"}
	op, err := w.Nodes.Add(w.ctx, join, ams.NodePatch{})
	require.NoError(t, err)
	_, err = w.Operations.Wait(w.ctx, op.ID)
	require.Error(t, err)
	_, err = w.Nodes.Get(w.ctx, "lxd3")
	require.ErrorIs(t, err, ams.ErrNotFound)

	join.TrustPassword = lxdrun.TrustPassword
	w.wait(w.Nodes.Add(w.ctx, join, ams.NodePatch{Tags: []string{"fresh"}}))
	w.node("lxd3", ams.NodeOnline)
	w.roomy()
	on := w.launch(2, ams.LaunchRequest{Node: "lxd3"})
	require.Equal(t, map[string]int{"lxd3": 2}, perNode(on))
	_, err = w.Nodes.Remove(w.ctx, "lxd3", ams.NodeRemoval{})
	require.ErrorIs(t, err, ams.ErrState)
	w.wait(w.Nodes.Remove(w.ctx, "lxd3", ams.NodeRemoval{Force: true}))
	list, n, err := w.Nodes.List(w.ctx, ams.NodeFilter{}, ams.Page{})
	require.NoError(t, err)
	require.Equal(t, 3, n, "%v", list)
	w.consistent()
}
