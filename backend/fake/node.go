package fake

import (
	"context"
	"fmt"
	"slices"

	"github.com/openams/ams"
)

func defaultNode(i int) ams.NodeInfo {
	return ams.NodeInfo{
		Name:         fmt.Sprintf("node%d", i),
		Online:       true,
		Architecture: "x86_64",
		Address:      fmt.Sprintf("10.%d.%d.1", i/250, i%250),
		VMs:          true,
		Capacity: ams.Capacity{
			CPUs:     64,
			Memory:   256 << 30,
			Disk:     4 << 40,
			DiskFree: 4 << 40,
		},
	}
}

// Nodes implements ams.Backend.
func (b *Backend) Nodes(ctx context.Context) (nodes []ams.NodeInfo, err error) {
	err = b.call(ctx, VerbNodes, "", func() error {
		b.mu.Lock()
		defer b.mu.Unlock()
		nodes = slices.Clone(b.nodes)
		return nil
	})
	return nodes, err
}

// SetNode adds a node, or replaces the one of the same name. It is not kept in
// Options.File, as one is that AddNode has added.
func (b *Backend) SetNode(info ams.NodeInfo) {
	b.mu.Lock()
	b.setNode(info)
	b.mu.Unlock()
	b.tellNode(info.Name)
}

// setNode adds a node, or replaces the one of the same name. b.mu is held.
func (b *Backend) setNode(info ams.NodeInfo) {
	if n := b.node(info.Name); n != nil {
		*n = info
		return
	}
	b.nodes = append(b.nodes, info)
}

// SetOnline loses a node, or brings it back with everything that is on it. It
// panics if there is no such node.
func (b *Backend) SetOnline(name string, online bool) {
	b.mu.Lock()
	n := b.node(name)
	if n == nil {
		b.mu.Unlock()
		panic("fake: no node " + name)
	}
	n.Online = online
	b.mu.Unlock()
	b.tellNode(name)
}

// RemoveNodeBehindBack takes a node out of the cluster, with everything that is on it.
func (b *Backend) RemoveNodeBehindBack(name string) {
	b.mu.Lock()
	b.nodes = slices.DeleteFunc(b.nodes, func(n ams.NodeInfo) bool { return n.Name == name })
	var gone []*instance
	for _, i := range b.instances {
		if i.Node == name {
			gone = append(gone, i)
			b.removeInstance(i)
		}
	}
	b.mu.Unlock()
	for _, i := range gone {
		b.tell(i.Cluster, i.ID)
	}
}

// node returns the node of that name, or nil. b.mu is held.
func (b *Backend) node(name string) *ams.NodeInfo {
	for i := range b.nodes {
		if b.nodes[i].Name == name {
			return &b.nodes[i]
		}
	}
	return nil
}

// reach returns an error unless the node exists and answers. b.mu is held.
func (b *Backend) reach(name string) error {
	n := b.node(name)
	switch {
	case n == nil:
		return ams.Errorf(ams.ErrNotFound, "node %q not found", name)
	case !n.Online:
		return ams.Errorf(ams.ErrUnavailable, "node %q does not answer", name)
	}
	return nil
}

// tellNode tells the watchers of every instance on a node.
func (b *Backend) tellNode(name string) {
	b.mu.Lock()
	var on []*instance
	for _, i := range b.instances {
		if i.Node == name {
			on = append(on, i)
		}
	}
	b.mu.Unlock()
	for _, i := range on {
		b.tell(i.Cluster, i.ID)
	}
}
