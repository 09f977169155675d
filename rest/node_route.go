package rest

import (
	"cmp"
	"net/http"
	"strconv"

	"github.com/openams/ams"
	"github.com/openams/ams/api"
)

func nodeRoutes() []Route {
	const base = "/1.0/nodes"
	return []Route{
		{
			Method: http.MethodGet, Path: base, Name: "nodes", Kind: Sync, Access: authenticated(), Doc: "Lists nodes.",
			Query: pageQuery(), Result: []string{}, List: api.Node{}, serve: listNodes,
		},
		{
			Method: http.MethodPost, Path: base, Name: "nodes", Kind: Async, Access: onServer("can_create_nodes"),
			Doc: "Adds a machine to the cluster.", Body: api.NodesPost{}, serve: addNode,
		},
		{
			Method: http.MethodGet, Path: base + "/{id}", Name: "node", Kind: Sync, Access: on("node", "can_view"),
			Doc: "Shows a node.", Result: api.Node{}, serve: showNode,
		},
		{
			Method: http.MethodPatch, Path: base + "/{id}", Name: "node", Kind: Async, Access: on("node", "can_edit"),
			Doc: "Changes a node, or empties it.", Body: api.NodePatch{}, serve: patchNode,
		},
		{
			Method: http.MethodDelete, Path: base + "/{id}", Name: "node", Kind: Async, Access: on("node", "can_delete"),
			Doc: "Removes a node.", Body: api.NodeDelete{}, serve: removeNode,
		},
	}
}

// numaNode returns the number of a NUMA node; one that is not known is 0.
func numaNode(n int) uint { return uint(max(0, n)) } //nolint:gosec // it is not negative

// node returns a node as clients know it.
func (q *request) node(n *ams.Node) (api.Node, error) {
	out := api.Node{
		Name: n.Name, Address: n.Address, PublicAddress: n.PublicAddress, NetworkBridgeMTU: n.NetworkMTU,
		CPUs: cmp.Or(n.CPUs, n.Detected.CPUs), CPUAllocationRate: cmp.Or(n.CPURate, ams.DefaultCPURate),
		Memory: cmp.Or(n.Memory, n.Detected.Memory).String(), MemoryAllocationRate: cmp.Or(n.MemoryRate, ams.DefaultMemoryRate),
		StatusCode: api.NodeCode(string(n.Status)), Status: string(n.Status), DiskSize: cmp.Or(n.Disk, n.Detected.Disk).String(),
		Tags: append([]string{}, n.Tags...), Unschedulable: n.Unschedulable, Unscheduable: n.Unschedulable,
		InstanceTypes: []string{api.TypeContainer}, Architecture: n.Architecture, StoragePool: n.Pool, Managed: n.Managed,
		GPUs: []api.GPU{}, VPUs: []api.VPU{}, StatusMessage: n.StatusMessage, Draining: n.Draining, Subnet: n.Subnet,
	}
	if n.VMs {
		out.InstanceTypes = append(out.InstanceTypes, api.TypeVM)
	}
	for i := range n.GPUs {
		g := &n.GPUs[i]
		s, e := n.TotalSlots(g)
		out.GPUSlots, out.GPUEncoderSlots = out.GPUSlots+s, out.GPUEncoderSlots+e
		out.GPUs = append(out.GPUs, api.GPU{
			ID: uint(i), Type: g.Type, PCIAddress: g.PCIAddress, RenderName: g.RenderName, Slots: s, EncoderSlots: e,
			NUMANode: numaNode(g.NUMANode), Allocations: map[string]api.GPUAllocation{},
		})
	}
	for i := range n.VPUs {
		v := &n.VPUs[i]
		out.VPUs = append(out.VPUs, api.VPU{
			ID: uint(i), Type: v.Type, Model: v.Model, NUMANode: numaNode(v.NUMANode), Slots: v.Slots, Allocations: map[string]api.VPUAllocation{},
		})
	}
	if err := q.allocations(n, &out); err != nil {
		return out, err
	}
	entitled, err := q.flag("entitlements")
	if entitled {
		out.Entitlements = q.caller.entitlements("node", n.Name)
	}
	return out, err
}

// allocations fills in what instances have of a node's cards.
func (q *request) allocations(n *ams.Node, out *api.Node) error {
	if len(n.GPUs)+len(n.VPUs) == 0 {
		return nil
	}
	instances, _, err := q.h.m.Instances.List(q.Context(), ams.InstanceFilter{Node: n.Name}, ams.Page{})
	if err != nil {
		return err
	}
	for i := range instances {
		in := &instances[i]
		for k := range out.GPUs {
			if in.GPU != "" && in.GPU == out.GPUs[k].PCIAddress {
				out.GPUs[k].Allocations[in.ID] = api.GPUAllocation{GPUs: []uint{uint(k)}, Slots: in.Charged.GPUSlots, EncoderSlots: in.Charged.EncoderSlots}
			}
		}
		for k := range out.VPUs {
			if in.VPU != "" && in.VPU == n.VPUs[k].PCIAddress {
				out.VPUs[k].Allocations[in.ID] = api.VPUAllocation{IDs: []uint{uint(k)}, Slots: in.Charged.VPUSlots}
			}
		}
	}
	return nil
}

func listNodes(q *request) (response, error) {
	nodes, total, err := paged(q, "node", func(p ams.Page) ([]ams.Node, int, error) {
		return q.h.m.Nodes.List(q.Context(), ams.NodeFilter{}, p)
	}, func(n *ams.Node) string { return n.Name })
	if err != nil {
		return nil, err
	}
	return shown(q, nodes, total, func(n *ams.Node) string { return pathOf("node", n.Name) }, q.node)
}

func showNode(q *request) (response, error) {
	n, err := q.h.m.Nodes.Get(q.Context(), q.PathValue("id"))
	if err != nil {
		return nil, err
	}
	out, err := q.node(&n)
	return result{value: out, etag: etag(n.Rev)}, err
}

// given returns a pointer to a value that is not zero.
func given[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}

func addNode(q *request) (response, error) {
	var post api.NodesPost
	if err := q.body(&post); err != nil {
		return nil, err
	}
	if post.NetworkACLName != "" {
		return nil, ams.Errorf(ams.ErrUnsupported, "network_acl_name is not supported")
	}
	var memory ams.Size
	if post.Memory != "" {
		var err error
		if memory, err = ams.ParseSize(post.Memory); err != nil {
			return nil, ams.Errorf(ams.ErrInvalid, "memory: %w", err)
		}
	}
	return q.op(q.h.m.Nodes.Add(q.Context(), ams.NodeJoin{
		Name: post.Name, Address: post.Address, TrustPassword: post.TrustPassword, TrustToken: post.TrustToken,
		Unmanaged: post.Unmanaged, StoragePool: post.StoragePool, StorageDevice: post.StorageDevice,
		Network: post.NetworkName, Subnet: post.NetworkSubnet, NetworkMTU: post.NetworkBridgeMTU,
	}, ams.NodePatch{
		CPUs: given(post.CPUs), Memory: given(memory), CPURate: given(post.CPUAllocationRate), MemoryRate: given(post.MemoryAllocationRate),
		GPUSlots: given(post.GPUSlots), EncoderSlots: given(post.GPUEncoderSlots), PublicAddress: given(post.PublicAddress), Tags: post.Tags,
	}))
}

func patchNode(q *request) (response, error) {
	var patch api.NodePatch
	if err := q.body(&patch); err != nil {
		return nil, err
	}
	n, err := q.h.m.Nodes.Get(q.Context(), q.PathValue("id"))
	if err != nil {
		return nil, err
	}
	if err := q.match(n.Rev); err != nil {
		return nil, err
	}
	p := ams.NodePatch{
		CPUs: patch.CPUs, CPURate: patch.CPUAllocationRate, MemoryRate: patch.MemoryAllocationRate, GPUSlots: patch.GPUSlots,
		EncoderSlots: patch.GPUEncoderSlots, PublicAddress: patch.PublicAddress, Subnet: patch.Subnet, Tags: list(patch.Tags),
		Unschedulable: cmp.Or(patch.Unschedulable, patch.Unscheduable),
	}
	if patch.Memory != nil {
		memory, err := ams.ParseSize(*patch.Memory)
		if err != nil {
			return nil, ams.Errorf(ams.ErrInvalid, "memory: %w", err)
		}
		p.Memory = &memory
	}
	for _, g := range patch.GPUs {
		if g.ID >= uint(len(n.GPUs)) {
			return nil, ams.Errorf(ams.ErrInvalid, "gpus: node %q has no GPU %s", n.Name, strconv.FormatUint(uint64(g.ID), 10))
		}
		p.GPUs = append(p.GPUs, ams.GPUPatch{PCIAddress: n.GPUs[g.ID].PCIAddress, Slots: g.Slots, EncoderSlots: g.EncoderSlots})
	}
	drain := value(patch.Drain)
	if drain != "" && drain != "wait" && drain != "delete" {
		return nil, ams.Errorf(ams.ErrInvalid, "drain is %.40q; it must be wait or delete", drain)
	}
	if err := q.h.m.Nodes.Set(q.Context(), n.Name, p); err != nil {
		return nil, err
	}
	if drain != "" {
		return q.op(q.h.m.Nodes.Drain(q.Context(), n.Name, drain == "delete"))
	}
	return q.at("Updating node "+n.Name, map[string][]string{"nodes": {pathOf("node", n.Name)}}), nil
}

func removeNode(q *request) (response, error) {
	var body api.NodeDelete
	if err := q.maybe(&body); err != nil {
		return nil, err
	}
	return q.op(q.h.m.Nodes.Remove(q.Context(), q.PathValue("id"), ams.NodeRemoval{Force: body.Force, KeepInCluster: body.KeepInCluster}))
}
