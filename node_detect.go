package ams

import (
	"context"
	"reflect"
)

// refreshNodes takes over what the backend reports of its nodes. What an
// operator set stays. A node the backend does not know any more is offline, and
// forgotten once nothing is on it.
func (e *engine) refreshNodes(ctx context.Context) error {
	call, cancel := context.WithTimeout(ctx, e.m.cfg.CallTimeout)
	defer cancel()
	infos, err := e.m.backend.Nodes(call)
	if err != nil {
		return err
	}
	return e.m.update(ctx, func(c *change) error {
		rows, err := c.Nodes().List(NodeFilter{}, Page{})
		if err != nil {
			return err
		}
		known := map[string]Node{}
		for _, n := range rows {
			known[n.Name] = n
		}
		for i := range infos {
			n, old := known[infos[i].Name]
			delete(known, infos[i].Name)
			if !old {
				n = Node{Name: infos[i].Name, CreatedAt: c.now}
			}
			if n.Join != nil || n.Leave || n.Status == NodeDeleted {
				continue // it is being joined, or is on its way out, or none of our business
			}
			if !n.detect(&infos[i]) {
				continue
			}
			action := string(n.Status)
			if !old {
				action = "created"
			}
			if err := c.putNode(n, action); err != nil {
				return err
			}
		}
		for _, n := range known {
			if err := c.nodeMissing(n); err != nil {
				return err
			}
		}
		return nil
	})
}

// nodeMissing is for a row whose node the backend does not know.
func (c *change) nodeMissing(n Node) error {
	switch {
	case n.Join != nil || n.Leave:
		return nil
	case n.Instances == 0:
		return c.nodeGone(&n)
	case n.Status != NodeOffline && n.Status != NodeDeleted:
		n.Status = NodeOffline
		return c.putNode(n, string(NodeOffline))
	}
	return nil
}

// nodeGone deletes a node's row; whoever waits for something of it is told.
func (c *change) nodeGone(n *Node) error {
	c.lifecycle("node", n.Name, string(NodeDeleted), "")
	var outcome error
	if !n.Leave {
		outcome = Errorf(ErrNotFound, "the node is not in the cluster any more")
	}
	if err := c.finish(n.Operation, outcome); err != nil {
		return err
	}
	return c.deleteNode(n.Name)
}

// detect takes over a report and says whether it tells anything new. The free
// space of a disk is news when it moved by a hundredth of the disk.
func (n *Node) detect(info *NodeInfo) bool {
	was := *n
	n.Status = NodeOffline
	if info.Online {
		n.Status = NodeOnline
	}
	if info.Online || n.Architecture == "" { // one that is offline tells nothing
		n.Architecture, n.Address, n.VMs, n.Detected = info.Architecture, info.Address, info.VMs, info.Capacity
		n.NUMA, n.Pool, n.NetworkMTU = info.NUMA, info.Pool, info.NetworkMTU
		if n.Instances == 0 || n.Network == "" {
			n.Network = info.Subnet // else the addresses given away would be others
		}
		n.detectCards(info)
	}
	if moved := n.Detected.DiskFree - was.Detected.DiskFree; max(moved, -moved) < n.Detected.Disk/100 {
		n.Detected.DiskFree = was.Detected.DiskFree
	}
	return !sameNode(n, &was)
}

// sameNode reports whether two nodes are the same when they are stored: an empty
// list is no list.
func sameNode(a, b *Node) bool {
	x, y := *a, *b
	for _, n := range []*Node{&x, &y} {
		if len(n.GPUs) == 0 {
			n.GPUs = nil
		}
		if len(n.VPUs) == 0 {
			n.VPUs = nil
		}
		if len(n.NUMA) == 0 {
			n.NUMA = nil
		}
	}
	return reflect.DeepEqual(x, y)
}
