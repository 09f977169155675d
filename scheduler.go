package ams

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Strategy says which of the nodes that fit is taken.
type Strategy string

// The strategies.
const (
	Spread  Strategy = "spread"  // the node with the most free resources; the default
	Binpack Strategy = "binpack" // the fullest node that still fits
)

// Default over-commit rates of a node, as AMS has them.
const (
	DefaultCPURate    = 4.0
	DefaultMemoryRate = 2.0
)

// Demand is what an instance needs of a node.
type Demand struct {
	Charge
	Node         string   // only this one; empty is any
	Architecture string   // empty is any
	VM           bool     //
	GPUType      string   // of its GPU; empty is any
	Tags         []string // all of them must be on the node
}

// Total returns what can be given away on the node: what the operator set, or
// else what was detected, times the over-commit rates. Disk is not over-committed.
func (n *Node) Total() Charge {
	cpus := float64(cmp.Or(n.CPUs, n.Detected.CPUs)) * cmp.Or(n.CPURate, DefaultCPURate)
	memory := float64(cmp.Or(n.Memory, n.Detected.Memory)) * cmp.Or(n.MemoryRate, DefaultMemoryRate)
	return Charge{
		CPUs: int(cpus), Memory: Size(memory), Disk: cmp.Or(n.Disk, n.Detected.Disk),
		GPUSlots: n.Detected.GPUSlots, EncoderSlots: n.Detected.EncoderSlots, VPUSlots: n.Detected.VPUSlots,
	}
}

// Free returns what is left to give away on the node. A dimension can be
// negative after the node shrank.
func (n *Node) Free() Charge {
	return n.Total().minus(n.Used)
}

// refuses returns why the node cannot take the demand now, or "" if it can.
func (n *Node) refuses(d *Demand) string {
	if why := n.mismatch(d); why != "" {
		return why
	}
	switch {
	case n.Status != NodeOnline:
		return "offline"
	case n.Unschedulable:
		return "unschedulable"
	case n.Detected.Disk > 0 && n.Detected.DiskFree < n.Detected.Disk/20:
		return "less than 5 % of the storage pool is free"
	}
	return short(n.Free(), d.Charge, "free")
}

// never returns why the node could not take the demand even with nothing on it.
func (n *Node) never(d *Demand) string {
	if why := n.mismatch(d); why != "" {
		return why
	}
	return short(n.Total(), d.Charge, "in all")
}

func (n *Node) mismatch(d *Demand) string {
	switch {
	case d.Node != "" && d.Node != n.Name:
		return "not the node asked for"
	case d.Architecture != "" && n.Architecture != d.Architecture:
		return "is " + n.Architecture + ", not " + d.Architecture
	case d.VM && !n.VMs:
		return "cannot run virtual machines"
	case d.GPUType != "" && d.GPUType != n.Detected.GPUType:
		return "has no GPU of type " + d.GPUType
	}
	for _, tag := range d.Tags {
		if !slices.Contains(n.Tags, tag) {
			return fmt.Sprintf("has no tag %q", tag)
		}
	}
	return ""
}

// short says which dimension of have is too small for want.
func short(have, want Charge, how string) string {
	switch {
	case want.CPUs > have.CPUs:
		return fmt.Sprintf("has %d CPUs %s", max(have.CPUs, 0), how)
	case want.Memory > have.Memory:
		return fmt.Sprintf("has %s memory %s", max(have.Memory, 0).round(), how)
	case want.Disk > have.Disk:
		return fmt.Sprintf("has %s disk %s", max(have.Disk, 0).round(), how)
	case want.GPUSlots > have.GPUSlots:
		return fmt.Sprintf("has %d GPU slots %s", max(have.GPUSlots, 0), how)
	case want.EncoderSlots > have.EncoderSlots:
		return fmt.Sprintf("has %d GPU encoder slots %s", max(have.EncoderSlots, 0), how)
	case want.VPUSlots > have.VPUSlots:
		return fmt.Sprintf("has %d VPU slots %s", max(have.VPUSlots, 0), how)
	}
	return ""
}

// String names what is charged.
func (c Charge) String() string {
	text := fmt.Sprintf("%d CPUs, %s memory, %s disk", c.CPUs, c.Memory, c.Disk)
	for _, slots := range []struct {
		n    int
		what string
	}{{c.GPUSlots, "GPU slots"}, {c.EncoderSlots, "GPU encoder slots"}, {c.VPUSlots, "VPU slots"}} {
		if slots.n > 0 {
			text += fmt.Sprintf(", %d %s", slots.n, slots.what)
		}
	}
	return text
}

// round cuts a size to whole megabytes, or gigabytes from ten of them on.
func (s Size) round() Size {
	switch {
	case s >= 10*Gigabyte:
		return s / Gigabyte * Gigabyte
	case s >= Megabyte:
		return s / Megabyte * Megabyte
	}
	return s
}

// place chooses a node for the demand. It is a pure function of its arguments;
// equal nodes are told apart by name. With no node to choose the error is
// ErrNoCapacity and says of each node, up to eight of them, why not.
func place(nodes []Node, d *Demand, strategy Strategy) (string, error) {
	best, score := "", 0.0
	for i := range nodes {
		n := &nodes[i]
		if n.refuses(d) != "" {
			continue
		}
		s := n.load(d)
		if strategy != Binpack {
			s = -s
		}
		if best == "" || s > score || s == score && n.Name < best {
			best, score = n.Name, s
		}
	}
	if best == "" {
		return "", noNode(nodes, d, (*Node).refuses)
	}
	return best, nil
}

// load is how full the node would be with the demand on it, from 0 to 1: the
// mean of the shares of CPUs, memory and disk.
func (n *Node) load(d *Demand) float64 {
	t := n.Total()
	share := func(used, total float64) float64 {
		if total <= 0 {
			return 1
		}
		return used / total
	}
	return (share(float64(n.Used.CPUs+d.CPUs), float64(t.CPUs)) +
		share(float64(n.Used.Memory+d.Memory), float64(t.Memory)) +
		share(float64(n.Used.Disk+d.Disk), float64(t.Disk))) / 3
}

// possible returns nil if some node could take the demand once it is empty.
func possible(nodes []Node, d *Demand) error {
	for i := range nodes {
		if nodes[i].never(d) == "" {
			return nil
		}
	}
	return noNode(nodes, d, (*Node).never)
}

func noNode(nodes []Node, d *Demand, why func(*Node, *Demand) string) error {
	const most = 8
	var reasons []string
	for i := range nodes {
		if d.Node != "" && nodes[i].Name != d.Node {
			continue
		}
		if len(reasons) == most {
			reasons = append(reasons, fmt.Sprintf("and %d more", len(nodes)-most))
			break
		}
		reasons = append(reasons, nodes[i].Name+" "+why(&nodes[i], d))
	}
	if len(reasons) == 0 {
		reasons = append(reasons, "there is no node")
	}
	return Errorf(ErrNoCapacity, "no suitable node to satisfy instance requirement available: %s: %s", d.Charge, strings.Join(reasons, "; "))
}
