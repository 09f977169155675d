package ams_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
	"github.com/openams/ams/backend/fake"
)

// gpuNode is a node with two graphics cards, two NUMA nodes and a network.
func gpuNode() ams.NodeInfo {
	return ams.NodeInfo{
		Name: "node0", Online: true, Architecture: "x86_64", Address: "10.0.0.1",
		Capacity: ams.Capacity{CPUs: 32, Memory: 256 * ams.Gigabyte, Disk: 4000 * ams.Gigabyte, DiskFree: 4000 * ams.Gigabyte},
		GPUs: []ams.GPU{
			{PCIAddress: "0000:01:00.0", Type: "nvidia", RenderName: "renderD128", NUMANode: 0},
			{PCIAddress: "0000:81:00.0", Type: "nvidia", RenderName: "renderD129", NUMANode: 1},
		},
		NUMA:   []ams.NUMANode{{ID: 0, CPUs: "0-15"}, {ID: 1, CPUs: "16-31"}},
		Subnet: "10.77.0.1/20", Pool: "ams0",
	}
}

func TestCards(t *testing.T) {
	bubble(t, fake.Options{Nodes: []ams.NodeInfo{gpuNode()}}, func(t *testing.T, w *world) {
		w.image()
		require.NoError(t, w.Nodes.Set(w.ctx, "node0", ams.NodePatch{GPUSlots: ptr(2), EncoderSlots: ptr(1)}))
		gpu := ams.LaunchRequest{Resources: ams.Resources{GPUSlots: ptr(1)}}
		var all []ams.Instance
		for range 4 {
			all = append(all, w.launch(gpu))
		}
		require.Equal(t, []string{"0000:01:00.0", "0000:81:00.0"}, []string{all[0].GPU, all[1].GPU}, "the least used card")
		require.Equal(t, []bool{true, true, false, false}, []bool{all[0].GPUEncoder, all[1].GPUEncoder, all[2].GPUEncoder, all[3].GPUEncoder}, "preferred, and then without")
		_, err := w.Instances.Launch(w.ctx, gpu)
		require.ErrorIs(t, err, ams.ErrNoCapacity)
		require.ErrorContains(t, err, "GPU slots")
		sets := map[string]string{}
		for _, s := range w.fake.Snapshot().Instances {
			sets[s.GPU] = s.CPUSet
		}
		require.Equal(t, map[string]string{"0000:01:00.0": "0-15", "0000:81:00.0": "16-31"}, sets)
		w.wait(w.Instances.Stop(w.ctx, all[0].ID, false))
		require.Empty(t, w.instance(all[0].ID).GPU)
		more := w.launch(gpu)
		require.Equal(t, "0000:01:00.0", more.GPU)
		require.True(t, more.GPUEncoder)
		_, err = w.Instances.Start(w.ctx, all[0].ID, ams.StartOptions{})
		require.ErrorIs(t, err, ams.ErrNoCapacity, "its slots are another's now")
		w.audit()
	})
}

// TestDetection keeps what an operator set while cards come and go and a machine
// grows.
func TestDetection(t *testing.T) {
	bubble(t, fake.Options{Nodes: []ams.NodeInfo{gpuNode()}}, func(t *testing.T, w *world) {
		w.image()
		in := w.launch(ams.LaunchRequest{Resources: ams.Resources{GPUSlots: ptr(1)}})
		require.Equal(t, "10.77.0.2", in.Address, "known at once")
		require.NoError(t, w.Nodes.Set(w.ctx, "node0", ams.NodePatch{
			GPUs: []ams.GPUPatch{{PCIAddress: "0000:01:00.0", Slots: ptr(5)}}, PublicAddress: ptr("203.0.113.1"), Subnet: ptr("10.0.0.0/8")}))
		info := gpuNode()
		info.Capacity.CPUs = 64
		info.GPUs[0].RenderName = "renderD130"
		info.GPUs[1].PCIAddress = "0000:c1:00.0"
		w.fake.SetNode(info)
		time.Sleep(2 * time.Minute)
		n, err := w.Nodes.Get(w.ctx, "node0")
		require.NoError(t, err)
		require.Equal(t, 64, n.Detected.CPUs)
		require.Len(t, n.GPUs, 2, "the one that is gone held nothing")
		require.Equal(t, "renderD130", n.GPUs[0].RenderName)
		require.Equal(t, 5, *n.GPUs[0].Slots)
		require.Equal(t, "203.0.113.1", n.PublicAddress)
		require.Equal(t, 5+32, n.Total().GPUSlots)
		info.GPUs = nil
		w.fake.SetNode(info)
		time.Sleep(2 * time.Minute)
		n, err = w.Nodes.Get(w.ctx, "node0")
		require.NoError(t, err)
		require.Len(t, n.GPUs, 1, "what is set and held is kept")
		require.True(t, n.GPUs[0].Gone)
		defer func() { w.fake.SetNode(gpuNode()); time.Sleep(2 * time.Minute) }()
		require.ErrorIs(t, w.Nodes.Set(w.ctx, "node0", ams.NodePatch{GPUs: []ams.GPUPatch{{PCIAddress: "x", Slots: ptr(1)}}}), ams.ErrNotFound)
		require.ErrorIs(t, w.Nodes.Set(w.ctx, "node0", ams.NodePatch{PublicAddress: ptr("x"), Subnet: ptr("y"), GPUSlots: ptr(-2)}), ams.ErrInvalid)
	})
}

func TestNodeJoinsAndLeaves(t *testing.T) {
	opts := slow
	opts.NodeCount, opts.JoinTime = 2, 20*time.Second
	bubble(t, opts, func(t *testing.T, w *world) {
		w.image()
		_, err := w.Nodes.Add(w.ctx, ams.NodeJoin{Name: "x", Address: "a:b", Subnet: "z", NetworkMTU: 5}, ams.NodePatch{CPUs: ptr(-1)})
		require.ErrorIs(t, err, ams.ErrInvalid)
		for _, field := range []string{"name", "address", "network-subnet", "network-bridge-mtu", "trust", "cpus"} {
			require.ErrorContains(t, err, field)
		}
		join := ams.NodeJoin{Name: "new", Address: "10.0.0.9", TrustPassword: "secret"}
		w.fake.Fail(fake.VerbAddNode, 1, ams.Errorf(ams.ErrInvalid, "the password is wrong"))
		op, err := w.Nodes.Add(w.ctx, join, ams.NodePatch{})
		require.Contains(t, w.fails(ams.ErrInvalid, op, err), "the password is wrong")
		_, err = w.Nodes.Get(w.ctx, "new")
		require.ErrorIs(t, err, ams.ErrNotFound, "as if it had not been asked")

		op, err = w.Nodes.Add(w.ctx, join, ams.NodePatch{Tags: []string{"fresh"}})
		require.NoError(t, err)
		_, err = w.Nodes.Add(w.ctx, join, ams.NodePatch{})
		require.ErrorIs(t, err, ams.ErrExists)
		time.Sleep(time.Second)
		w.stop() // in the middle of it
		w.start()
		w.wait(op, nil)
		n, err := w.Nodes.Get(w.ctx, "new")
		require.NoError(t, err)
		require.Equal(t, ams.NodeOnline, n.Status)
		require.True(t, n.Managed)
		require.Nil(t, n.Join, "the secret is gone")
		in := w.launch(ams.LaunchRequest{Node: "new"})

		_, err = w.Nodes.Remove(w.ctx, "new", ams.NodeRemoval{})
		require.ErrorIs(t, err, ams.ErrState, "something is on it")
		w.wait(w.Nodes.Remove(w.ctx, "new", ams.NodeRemoval{Force: true}))
		_, err = w.Nodes.Get(w.ctx, "new")
		require.ErrorIs(t, err, ams.ErrNotFound)
		_, err = w.Instances.Get(w.ctx, in.ID)
		require.ErrorIs(t, err, ams.ErrNotFound)

		w.wait(w.Nodes.Remove(w.ctx, "node1", ams.NodeRemoval{KeepInCluster: true}))
		time.Sleep(5 * time.Minute)
		_, err = w.Nodes.Get(w.ctx, "node1")
		require.ErrorIs(t, err, ams.ErrNotFound, "it is in the cluster, and not ours")
		for range 3 {
			require.Equal(t, "node0", w.launch(ams.LaunchRequest{}).Node)
		}
		w.wait(w.Nodes.Add(w.ctx, ams.NodeJoin{Name: "node1", Address: "10.0.1.1", Unmanaged: true}, ams.NodePatch{}))
		require.Equal(t, "node1", w.launch(ams.LaunchRequest{}).Node)
		w.audit()
	})
}

// TestLostNodeIsRemoved removes a node that does not answer, with what is on it.
func TestLostNodeIsRemoved(t *testing.T) {
	opts := slow
	opts.NodeCount = 2
	bubble(t, opts, func(t *testing.T, w *world) {
		w.image()
		in := w.launch(ams.LaunchRequest{Node: "node1"})
		w.fake.SetOnline("node1", false)
		time.Sleep(2 * time.Minute)
		require.Equal(t, ams.InstanceUnknown, w.instance(in.ID).Status)
		w.wait(w.Nodes.Remove(w.ctx, "node1", ams.NodeRemoval{Force: true}))
		time.Sleep(2 * time.Minute)
		_, err := w.Instances.Get(w.ctx, in.ID)
		require.ErrorIs(t, err, ams.ErrNotFound)
		w.audit()
	})
}

func TestDrain(t *testing.T) {
	opts := slow
	opts.NodeCount = 2
	bubble(t, opts, func(t *testing.T, w *world) {
		w.image()
		var on []ams.Instance
		for i := range 4 {
			on = append(on, w.launch(ams.LaunchRequest{Name: fmt.Sprint("inst", i), Node: "node0"}))
		}
		op, err := w.Nodes.Drain(w.ctx, "node0", false)
		require.NoError(t, err)
		_, err = w.Nodes.Drain(w.ctx, "node0", false)
		require.ErrorIs(t, err, ams.ErrConflict)
		_, err = w.Instances.Launch(w.ctx, ams.LaunchRequest{Node: "node0"})
		require.ErrorIs(t, err, ams.ErrNoCapacity)
		require.Equal(t, "node1", w.launch(ams.LaunchRequest{}).Node)
		w.wait(w.Instances.Stop(w.ctx, on[0].ID, false))
		time.Sleep(time.Minute)
		got, err := w.Operations.Get(w.ctx, op.ID)
		require.NoError(t, err)
		require.False(t, got.Done(), "three run on")
		for _, in := range on[1:] {
			w.wait(w.Instances.Stop(w.ctx, in.ID, false))
		}
		w.wait(op, nil)
		n, err := w.Nodes.Get(w.ctx, "node0")
		require.NoError(t, err)
		require.True(t, n.Unschedulable)
		w.wait(w.Instances.Start(w.ctx, on[0].ID, ams.StartOptions{}))

		w.wait(w.Nodes.Drain(w.ctx, "node0", true))
		list, _, err := w.Instances.List(w.ctx, ams.InstanceFilter{Node: "node0"}, ams.Page{})
		require.NoError(t, err)
		require.Empty(t, list)
		no := false
		require.NoError(t, w.Nodes.Set(w.ctx, "node0", ams.NodePatch{Unschedulable: &no}))
		require.Equal(t, "node0", w.launch(ams.LaunchRequest{}).Node)
		in := w.launch(ams.LaunchRequest{Node: "node1"})
		op, err = w.Nodes.Drain(w.ctx, "node1", false)
		require.NoError(t, err)
		require.NoError(t, w.Operations.Cancel(w.ctx, op.ID))
		_, err = w.Operations.Wait(w.ctx, op.ID)
		require.ErrorIs(t, err, ams.ErrCancelled)
		require.Equal(t, ams.InstanceRunning, w.instance(in.ID).Status)
		w.audit()
	})
}
