package ams

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
)

// NodePatch is a change of what an operator sets on a node. A nil field is left
// as it is.
type NodePatch struct {
	CPUs          *int     // 0 means as detected
	Memory        *Size    // 0 means as detected
	Disk          *Size    // 0 means as detected
	CPURate       *float64 // 0 means the default, 4
	MemoryRate    *float64 // 0 means the default, 2
	GPUSlots      *int     // of each card that has none of its own; -1 means the default of its type
	EncoderSlots  *int     // likewise
	GPUs          []GPUPatch
	PublicAddress *string  // an IP address; empty is none
	Subnet        *string  // such as "10.1.0.0/16"; empty is none
	Tags          []string // the whole new list; empty but not nil removes all
	Unschedulable *bool
}

// GPUPatch is a change of one graphics card. A nil field is left as it is.
type GPUPatch struct {
	PCIAddress   string // which card
	Slots        *int   // -1 means as for the node's cards
	EncoderSlots *int   // likewise
}

// Set changes a node. What runs on it stays, also where it is more than the node
// has now; what was detected is not lost and counts again when a value is unset.
//
// Errors: ErrNotFound (node, card); ErrInvalid, naming the field.
func (s *Nodes) Set(ctx context.Context, name string, p NodePatch) error {
	if err := p.check(); err != nil {
		return err
	}
	return s.m.update(ctx, func(c *change) error {
		n, err := c.node(name)
		if err != nil {
			return err
		}
		p.apply(&n)
		n.GPUs = slices.Clone(n.GPUs)
		for _, gp := range p.GPUs {
			g := n.GPU(gp.PCIAddress)
			if g == nil {
				return &Error{Code: ErrNotFound, Kind: "node", ID: name, Err: fmt.Errorf("has no card at %s", quote(gp.PCIAddress))}
			}
			unset(&g.Slots, gp.Slots)
			unset(&g.EncoderSlots, gp.EncoderSlots)
		}
		return c.putNode(n, "updated")
	})
}

// apply sets what is not about single cards.
func (p *NodePatch) apply(n *Node) {
	set(&n.CPUs, p.CPUs)
	set(&n.Memory, p.Memory)
	set(&n.Disk, p.Disk)
	set(&n.CPURate, p.CPURate)
	set(&n.MemoryRate, p.MemoryRate)
	set(&n.PublicAddress, p.PublicAddress)
	set(&n.Subnet, p.Subnet)
	set(&n.Unschedulable, p.Unschedulable)
	unset(&n.GPUSlots, p.GPUSlots)
	unset(&n.EncoderSlots, p.EncoderSlots)
	if p.Tags != nil {
		n.Tags = p.Tags
	}
}

func (p *NodePatch) check() error {
	faults := newManifestFaults()
	negative := func(field string, is bool) {
		if is {
			faults.add(field, "", "%s must not be negative", field)
		}
	}
	slots := func(field string, n *int) {
		if n != nil && *n < -1 {
			faults.add(field, "", "%s must be 0 or more, or -1 for the default", field)
		}
	}
	negative("cpus", p.CPUs != nil && *p.CPUs < 0)
	negative("memory", p.Memory != nil && *p.Memory < 0)
	negative("disk", p.Disk != nil && *p.Disk < 0)
	negative("cpu-allocation-rate", p.CPURate != nil && !(*p.CPURate >= 0))
	negative("memory-allocation-rate", p.MemoryRate != nil && !(*p.MemoryRate >= 0))
	slots("gpu-slots", p.GPUSlots)
	slots("gpu-encoder-slots", p.EncoderSlots)
	for i, g := range p.GPUs {
		slots(fmt.Sprintf("gpus[%d].slots", i), g.Slots)
		slots(fmt.Sprintf("gpus[%d].encoder-slots", i), g.EncoderSlots)
	}
	if a := p.PublicAddress; a != nil && *a != "" {
		if _, err := netip.ParseAddr(*a); err != nil {
			faults.add("public-address", *a, "public-address %s is not an IP address", quote(*a))
		}
	}
	if a := p.Subnet; a != nil && *a != "" {
		if _, err := netip.ParsePrefix(*a); err != nil {
			faults.add("subnet", *a, "subnet %s is not a network such as 10.1.0.0/16", quote(*a))
		}
	}
	faults.each("tags", "tag", p.Tags, func(at, tag string) { faults.tag(at, "tag", tag) })
	return faults.err()
}

func set[T any](to *T, from *T) {
	if from != nil {
		*to = *from
	}
}

// unset is set for a number that -1 takes away.
func unset(to **int, from *int) {
	if from != nil {
		*to = nil
		if *from >= 0 {
			n := *from
			*to = &n
		}
	}
}
