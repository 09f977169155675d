package ams

import (
	"context"
	"time"
)

// NodeStatus says whether a node can take work.
type NodeStatus string

// The node statuses.
const (
	NodeOnline  NodeStatus = "online"
	NodeOffline NodeStatus = "offline"
)

// Node is one machine of the backend's cluster, with the ledger of what was
// given away on it.
type Node struct {
	Name string // the backend's name of it; the key
	Rev  int64

	Status        NodeStatus
	Architecture  string // "x86_64", "aarch64"
	Address       string
	VMs           bool // can run virtual machines
	Detected      Capacity
	Tags          []string
	Unschedulable bool

	// What the operator set. Zero means "as detected", or the default rate.
	CPUs       int
	Memory     Size
	Disk       Size
	CPURate    float64 // over-commit; default 4
	MemoryRate float64 // over-commit; default 2

	Used      Charge // the ledger: the sum of Charged of the instances on it
	Instances int    // how many instances are charged here
	CreatedAt time.Time
	UpdatedAt time.Time
}

// Capacity is what a node has.
type Capacity struct {
	CPUs     int
	Memory   Size
	Disk     Size // the storage pool's size
	DiskFree Size // what is physically free in it

	GPUSlots     int
	EncoderSlots int // for encoding video on GPUs
	VPUSlots     int
	GPUType      string // "amd", "intel" or "nvidia"; empty is none
}

// Charge is what an instance takes from its node.
type Charge struct {
	CPUs   int
	Memory Size
	Disk   Size

	GPUSlots     int
	EncoderSlots int
	VPUSlots     int
}

// minus returns c without d.
func (c Charge) minus(d Charge) Charge {
	return Charge{
		CPUs: c.CPUs - d.CPUs, Memory: c.Memory - d.Memory, Disk: c.Disk - d.Disk,
		GPUSlots: c.GPUSlots - d.GPUSlots, EncoderSlots: c.EncoderSlots - d.EncoderSlots, VPUSlots: c.VPUSlots - d.VPUSlots,
	}
}

// NodeFilter chooses nodes. Every field that is set must match.
type NodeFilter struct {
	Status []NodeStatus // any of them
}

// Nodes is the service for nodes. Nodes come and go with the backend's cluster.
type Nodes struct{ m *Manager }

// Get returns the node, or ErrNotFound.
func (s *Nodes) Get(ctx context.Context, name string) (Node, error) {
	var n Node
	err := s.m.view(ctx, func(tx Tx) (err error) {
		n, err = tx.Nodes().Get(name)
		return err
	})
	return n, wrapName(err, "node", name)
}

// List returns the nodes that match the filter in order of name, cut to the
// page, and how many match in all.
func (s *Nodes) List(ctx context.Context, filter NodeFilter, page Page) ([]Node, int, error) {
	var list []Node
	var total int
	err := s.m.view(ctx, func(tx Tx) (err error) {
		list, total, err = listPage(tx.Nodes(), filter, page)
		return err
	})
	return list, total, err
}

// NodePatch is a change of what an operator sets on a node. A nil field is left
// as it is.
type NodePatch struct {
	CPUs          *int     // 0 means as detected
	Memory        *Size    // 0 means as detected
	Disk          *Size    // 0 means as detected
	CPURate       *float64 // 0 means the default, 4
	MemoryRate    *float64 // 0 means the default, 2
	Tags          []string // the whole new list; empty but not nil removes all
	Unschedulable *bool
}

// Set changes a node. What runs on it stays, also where it is more than the node
// has now.
//
// Errors: ErrNotFound; ErrInvalid, naming the field.
func (s *Nodes) Set(ctx context.Context, name string, p NodePatch) error {
	if err := p.check(); err != nil {
		return err
	}
	return s.m.update(ctx, func(c *change) error {
		n, err := c.Nodes().Get(name)
		if err != nil {
			return wrapName(err, "node", name)
		}
		set(&n.CPUs, p.CPUs)
		set(&n.Memory, p.Memory)
		set(&n.Disk, p.Disk)
		set(&n.CPURate, p.CPURate)
		set(&n.MemoryRate, p.MemoryRate)
		set(&n.Unschedulable, p.Unschedulable)
		if p.Tags != nil {
			n.Tags = p.Tags
		}
		return c.putNode(n, "updated")
	})
}

func (p *NodePatch) check() error {
	faults := newManifestFaults()
	negative := func(field string, is bool) {
		if is {
			faults.add(field, "", "%s must not be negative", field)
		}
	}
	negative("cpus", p.CPUs != nil && *p.CPUs < 0)
	negative("memory", p.Memory != nil && *p.Memory < 0)
	negative("disk", p.Disk != nil && *p.Disk < 0)
	negative("cpu-allocation-rate", p.CPURate != nil && !(*p.CPURate >= 0))
	negative("memory-allocation-rate", p.MemoryRate != nil && !(*p.MemoryRate >= 0))
	faults.each("tags", "tag", p.Tags, func(at, tag string) { faults.tag(at, "tag", tag) })
	return faults.err()
}

func set[T any](to *T, from *T) {
	if from != nil {
		*to = *from
	}
}

// putNode stores a node that changed; what waits for room looks again.
func (c *change) putNode(n Node, action string) error {
	n.UpdatedAt = c.now
	c.lifecycle("node", n.Name, action, "")
	c.wake = append(c.wake, wakePlace)
	return c.Nodes().Put(n)
}

// refreshNodes takes over what the backend reports of its nodes. What an
// operator set stays. A node the backend does not know any more is offline, and
// forgotten once nothing is charged to it.
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
		for _, info := range infos {
			n, old := known[info.Name]
			delete(known, info.Name)
			if !old {
				n = Node{Name: info.Name, CreatedAt: c.now}
			}
			if n.detect(info) {
				action := string(n.Status)
				if !old {
					action = "created"
				}
				if err := c.putNode(n, action); err != nil {
					return err
				}
			}
		}
		for _, n := range known {
			if n.Instances == 0 {
				c.lifecycle("node", n.Name, "deleted", "")
				err = c.Nodes().Delete(n.Name)
			} else if n.Status != NodeOffline {
				n.Status = NodeOffline
				err = c.putNode(n, string(NodeOffline))
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// detect takes over a report and says whether it tells anything new. The free
// space of a disk is news when it moved by a hundredth of the disk.
func (n *Node) detect(info NodeInfo) bool {
	was := *n
	n.Status = NodeOffline
	if info.Online {
		n.Status = NodeOnline
	}
	if info.Online || n.Architecture == "" { // one that is offline tells nothing
		n.Architecture, n.Address, n.VMs, n.Detected = info.Architecture, info.Address, info.VMs, info.Capacity
	}
	if moved := n.Detected.DiskFree - was.Detected.DiskFree; max(moved, -moved) < n.Detected.Disk/100 {
		n.Detected.DiskFree = was.Detected.DiskFree
	}
	return n.Status != was.Status || n.Architecture != was.Architecture || n.Address != was.Address ||
		n.VMs != was.VMs || n.Detected != was.Detected
}
