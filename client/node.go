package client

import (
	"context"
	"net/http"

	"github.com/openams/ams"
	"github.com/openams/ams/api"
)

// Nodes is the service for nodes; see ams.Nodes.
type Nodes struct{ c *Client }

func node(n *api.Node) ams.Node {
	out := ams.Node{
		Name: n.Name, Address: n.Address, PublicAddress: n.PublicAddress, NetworkMTU: n.NetworkBridgeMTU, Status: ams.NodeStatus(n.Status),
		StatusMessage: n.StatusMessage, Architecture: n.Architecture, Tags: n.Tags, Unschedulable: n.Unschedulable, Managed: n.Managed,
		Draining: n.Draining, Pool: n.StoragePool, Subnet: n.Subnet, CPUs: n.CPUs, CPURate: n.CPUAllocationRate, Memory: size(n.Memory),
		MemoryRate: n.MemoryAllocationRate, Disk: size(n.DiskSize), VMs: has(n.InstanceTypes, api.TypeVM),
	}
	for i := range n.GPUs {
		g := &n.GPUs[i]
		card := ams.NodeGPU{
			GPU:   ams.GPU{PCIAddress: g.PCIAddress, Type: g.Type, RenderName: g.RenderName, NUMANode: int(g.NUMANode)}, //nolint:gosec // it is small
			Slots: &g.Slots, EncoderSlots: &g.EncoderSlots,
		}
		for _, a := range g.Allocations {
			card.UsedSlots, card.UsedEncoders = card.UsedSlots+a.Slots, card.UsedEncoders+a.EncoderSlots
		}
		out.GPUs = append(out.GPUs, card)
	}
	for i := range n.VPUs {
		v := &n.VPUs[i]
		card := ams.NodeVPU{VPU: ams.VPU{Type: v.Type, Model: v.Model, NUMANode: int(v.NUMANode), Slots: v.Slots}} //nolint:gosec // it is small
		for _, a := range v.Allocations {
			card.UsedSlots += a.Slots
		}
		out.VPUs = append(out.VPUs, card)
	}
	return out
}

// Add adds a machine to the cluster; see ams.Nodes.
func (s *Nodes) Add(ctx context.Context, join ams.NodeJoin, settings ams.NodePatch) (ams.Operation, error) {
	post := api.NodesPost{
		Name: join.Name, Address: join.Address, TrustPassword: join.TrustPassword, TrustToken: join.TrustToken, Unmanaged: join.Unmanaged,
		StoragePool: join.StoragePool, StorageDevice: join.StorageDevice, NetworkName: join.Network, NetworkSubnet: join.Subnet,
		NetworkBridgeMTU: join.NetworkMTU, Tags: append([]string{}, settings.Tags...),
	}
	set(&post.CPUs, settings.CPUs)
	set(&post.CPUAllocationRate, settings.CPURate)
	set(&post.MemoryAllocationRate, settings.MemoryRate)
	set(&post.GPUSlots, settings.GPUSlots)
	set(&post.GPUEncoderSlots, settings.EncoderSlots)
	set(&post.PublicAddress, settings.PublicAddress)
	if settings.Memory != nil {
		post.Memory = settings.Memory.String()
	}
	return s.c.begin(ctx, call{method: http.MethodPost, path: "/nodes", body: post})
}

// set sets what is given.
func set[T any](to *T, from *T) {
	if from != nil {
		*to = *from
	}
}

// Get returns a node, or ErrNotFound.
func (s *Nodes) Get(ctx context.Context, name string) (ams.Node, error) {
	n, err := s.show(ctx, name)
	if err != nil {
		return ams.Node{}, err
	}
	return node(&n), nil
}

func (s *Nodes) show(ctx context.Context, name string) (api.Node, error) {
	var n api.Node
	_, err := s.c.get(ctx, path("nodes", name), nil, &n)
	return n, err
}

// List returns the nodes that match the filter in order of name, cut to the page, and
// how many match in all.
func (s *Nodes) List(ctx context.Context, filter ams.NodeFilter, page ams.Page) ([]ams.Node, int, error) {
	var shown []api.Node
	if _, err := s.c.get(ctx, "/nodes", listQuery(ams.Page{}), &shown); err != nil {
		return nil, 0, err
	}
	list := []ams.Node{}
	for i := range shown {
		n := node(&shown[i])
		if len(filter.Status) == 0 || has(filter.Status, n.Status) {
			list = append(list, n)
		}
	}
	return cut(list, page), len(list), nil
}

// Set changes a node; see ams.Nodes. Its disk cannot be changed from here.
func (s *Nodes) Set(ctx context.Context, name string, p ams.NodePatch) error {
	if p.Disk != nil {
		return ams.Errorf(ams.ErrUnsupported, "the disk of a node is set where the service runs")
	}
	patch := api.NodePatch{
		PublicAddress: p.PublicAddress, CPUs: p.CPUs, CPUAllocationRate: p.CPURate, MemoryAllocationRate: p.MemoryRate, GPUSlots: p.GPUSlots,
		GPUEncoderSlots: p.EncoderSlots, Tags: listPointer(p.Tags), Unschedulable: p.Unschedulable, Subnet: p.Subnet,
	}
	if p.Memory != nil {
		text := p.Memory.String()
		patch.Memory = &text
	}
	if len(p.GPUs) > 0 {
		n, err := s.show(ctx, name)
		if err != nil {
			return err
		}
		for _, g := range p.GPUs {
			card := api.GPUPatch{ID: uint(len(n.GPUs)), Slots: g.Slots, EncoderSlots: g.EncoderSlots} // none, unless it is found
			for _, have := range n.GPUs {
				if have.PCIAddress == g.PCIAddress {
					card.ID = have.ID
				}
			}
			patch.GPUs = append(patch.GPUs, card)
		}
	}
	return s.c.finish(ctx, call{method: http.MethodPatch, path: path("nodes", name), body: patch})
}

// Drain empties a node; see ams.Nodes.
func (s *Nodes) Drain(ctx context.Context, name string, remove bool) (ams.Operation, error) {
	how := "wait"
	if remove {
		how = "delete"
	}
	return s.c.begin(ctx, call{method: http.MethodPatch, path: path("nodes", name), body: api.NodePatch{Drain: &how}})
}

// Remove removes a node; see ams.Nodes.
func (s *Nodes) Remove(ctx context.Context, name string, how ams.NodeRemoval) (ams.Operation, error) {
	return s.c.begin(ctx, call{method: http.MethodDelete, path: path("nodes", name), body: api.NodeDelete{Force: how.Force, KeepInCluster: how.KeepInCluster}})
}
