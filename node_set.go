package ams

import "context"

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
