package ams_test

import (
	"context"
	"fmt"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
)

// simNodes are nodes with cards and a network each.
func simNodes(n int) []ams.NodeInfo {
	var nodes []ams.NodeInfo
	for i := range n {
		info := ams.NodeInfo{
			Name: fmt.Sprint("node", i), Online: true, Architecture: "x86_64", Address: fmt.Sprintf("10.0.%d.%d", i/250, i%250+1), VMs: true,
			Capacity: ams.Capacity{CPUs: 64, Memory: 256 * ams.Gigabyte, Disk: 4000 * ams.Gigabyte, DiskFree: 4000 * ams.Gigabyte},
			Subnet:   "10.77.0.1/20",
		}
		if i%2 == 0 {
			info.GPUs = []ams.GPU{{PCIAddress: "0000:01:00.0", Type: "amd"}, {PCIAddress: "0000:02:00.0", Type: "amd"}}
		}
		nodes = append(nodes, info)
	}
	return nodes
}

// instances asks for something that concerns ports, cards, copies, lifetimes,
// prewarmed instances, and nodes.
func (c *simCaller) instances(ctx context.Context, w *ams.Manager, app string) (ams.Operation, error) {
	node := fmt.Sprint("node", c.rnd.IntN(4))
	c.made++
	req := ams.LaunchRequest{Name: fmt.Sprintf("inst%d-%d", c.name, c.made)}
	for i := range c.rnd.IntN(3) {
		req.Services = append(req.Services, ams.Service{Port: 100 + 10*i, PortEnd: 100 + 10*i + c.rnd.IntN(5), Protocols: [][]string{{"tcp"}, {"udp"}, {"tcp", "udp"}}[c.rnd.IntN(3)], Expose: c.rnd.IntN(2) == 0})
	}
	switch c.rnd.IntN(8) {
	case 0:
		return ams.Operation{}, w.Applications.SetPrewarm(ctx, app, c.rnd.IntN(4))
	case 1:
		op, err := w.Nodes.Drain(ctx, node, c.rnd.IntN(3) == 0)
		time.AfterFunc(time.Duration(c.rnd.IntN(200))*time.Second, func() {
			m := c.w.now.Load()
			_ = m.Operations.Cancel(ctx, op.ID)
			_ = m.Nodes.Set(ctx, node, ams.NodePatch{Unschedulable: ptr(false)})
		})
		return op, err
	case 2:
		if len(c.mine) == 0 {
			return ams.Operation{}, nil
		}
		req.Source, req.NoStart = c.mine[c.rnd.IntN(len(c.mine))], c.rnd.IntN(2) == 0
	case 3:
		req.Resources.GPUSlots, req.Resources.GPUType = ptr(1+c.rnd.IntN(3)), "amd"
	case 4:
		req.MaxRunDuration = time.Duration(1+c.rnd.IntN(600)) * time.Second
	case 5:
		if len(c.mine) > 0 {
			return ams.Operation{}, w.Instances.Set(ctx, c.mine[c.rnd.IntN(len(c.mine))], ams.InstancePatch{Tags: []string{fmt.Sprint(c.rnd.IntN(9))}})
		}
	default:
		req.Application, req.Prewarm = app, []ams.Prewarm{ams.PrewarmIfReady, ams.PrewarmIfReady, ams.PrewarmWait, ams.PrewarmNever}[c.rnd.IntN(4)]
	}
	c.mine = append(c.mine, req.Name)
	return w.Instances.Launch(ctx, req)
}

// undrain ends all draining.
func (w *world) undrain() {
	w.t.Helper()
	for range 100 {
		nodes, _, err := w.Nodes.List(w.ctx, ams.NodeFilter{}, ams.Page{})
		require.NoError(w.t, err)
		left := 0
		for _, n := range nodes {
			if n.Draining {
				left++
				_ = w.Operations.Cancel(w.ctx, n.Operation) // it may have ended
			}
		}
		if left == 0 {
			return
		}
		time.Sleep(time.Second)
	}
}
