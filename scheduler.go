package ams

import (
	"cmp"
	"slices"
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

	resident bool // it is on the node already, and needs more
	optional bool // the instance can do with less: that nothing fits need not be certain, nor explained
}

// Scheduler chooses among the nodes that have room, instead of the setting
// scheduler.strategy. It is called in transactions: it must be quick, pure, and
// safe for concurrent use. What fits is not its business: no node is taken that
// lacks something, whatever the score.
type Scheduler interface {
	// Score says how good the node would be for the demand; the highest is taken,
	// of equal ones that whose name sorts first. A refusal other than "" excludes
	// the node and is shown to people.
	Score(n *Node, d *Demand) (score float64, refusal string)
}

// Total returns what can be given away on the node: what the operator set, or
// else what was detected, times the over-commit rates. Disk is not over-committed;
// slots are those of all cards together.
func (n *Node) Total() Charge {
	cpus := float64(cmp.Or(n.CPUs, n.Detected.CPUs)) * cmp.Or(n.CPURate, DefaultCPURate)
	memory := float64(cmp.Or(n.Memory, n.Detected.Memory)) * cmp.Or(n.MemoryRate, DefaultMemoryRate)
	t := Charge{CPUs: int(cpus), Memory: Size(memory), Disk: cmp.Or(n.Disk, n.Detected.Disk)}
	for i := range n.GPUs {
		slots, encoders := n.TotalSlots(&n.GPUs[i])
		t.GPUSlots += slots
		t.EncoderSlots += encoders
	}
	for i := range n.VPUs {
		if !n.VPUs[i].Gone {
			t.VPUSlots += n.VPUs[i].Slots
		}
	}
	return t
}

// Free returns what is left to give away on the node. A dimension can be
// negative after the node shrank.
func (n *Node) Free() Charge {
	return n.Total().minus(n.Used)
}

// refuses returns why the node cannot take the demand now; its why is fits if it
// can.
func (n *Node) refuses(d *Demand) refusal {
	if r := n.mismatch(d); r.why != fits {
		return r
	}
	switch {
	case n.Status != NodeOnline:
		return refusal{why: whyOffline}
	case n.Draining:
		return refusal{why: whyDraining}
	case d.resident:
	case n.Unschedulable:
		return refusal{why: whyUnschedulable}
	case n.Detected.Disk > 0 && n.Detected.DiskFree < n.Detected.Disk/20:
		return refusal{why: whyPool}
	case n.Network != "" && n.Instances >= n.hosts():
		return refusal{why: whyAddresses}
	}
	free := n.Free()
	if r := short(&free, &d.Charge); r.why != fits {
		return r
	}
	return n.lacksCard(d, false)
}

// never returns why the node could not take the demand even with nothing on it.
func (n *Node) never(d *Demand) refusal {
	if r := n.mismatch(d); r.why != fits {
		return r
	}
	total := n.Total()
	if r := short(&total, &d.Charge); r.why != fits {
		r.inAll = true
		return r
	}
	return n.lacksCard(d, true)
}

func (n *Node) mismatch(d *Demand) refusal {
	switch {
	case d.Node != "" && d.Node != n.Name:
		return refusal{why: whyNode}
	case d.Architecture != "" && n.Architecture != d.Architecture:
		return refusal{why: whyArchitecture, text: n.Architecture, want: d.Architecture}
	case d.VM && !n.VMs:
		return refusal{why: whyVM}
	case d.GPUType != "" && !slices.ContainsFunc(n.GPUs, func(g NodeGPU) bool { return g.Type == d.GPUType && !g.Gone }):
		return refusal{why: whyGPUType, text: d.GPUType}
	}
	for _, tag := range d.Tags {
		if !slices.Contains(n.Tags, tag) {
			return refusal{why: whyTag, text: tag}
		}
	}
	return refusal{}
}

// short says which dimension of have is too small for want.
func short(have, want *Charge) refusal {
	switch {
	case want.CPUs > have.CPUs:
		return refusal{why: whyCPUs, have: int64(have.CPUs)}
	case want.Memory > have.Memory:
		return refusal{why: whyMemory, have: int64(have.Memory)}
	case want.Disk > have.Disk:
		return refusal{why: whyDisk, have: int64(have.Disk)}
	case want.GPUSlots > have.GPUSlots:
		return refusal{why: whyGPUSlots, have: int64(have.GPUSlots)}
	case want.EncoderSlots > have.EncoderSlots:
		return refusal{why: whyEncoderSlots, have: int64(have.EncoderSlots)}
	case want.VPUSlots > have.VPUSlots:
		return refusal{why: whyVPUSlots, have: int64(have.VPUSlots)}
	}
	return refusal{}
}

// lacksCard says whether there is no single card with all slots that are wanted.
func (n *Node) lacksCard(d *Demand, inAll bool) refusal {
	if d.GPUSlots+d.EncoderSlots > 0 {
		r := refusal{why: whyGPUSlots, inAll: inAll}
		if d.GPUSlots == 0 {
			r.why = whyEncoderSlots
		}
		for i := range n.GPUs {
			slots, encoders := n.TotalSlots(&n.GPUs[i])
			if !inAll {
				slots, encoders = slots-n.GPUs[i].UsedSlots, encoders-n.GPUs[i].UsedEncoders
			}
			switch {
			case d.GPUType != "" && n.GPUs[i].Type != d.GPUType:
			case d.GPUSlots <= slots && d.EncoderSlots <= encoders:
				r.why = fits
			case r.why == whyGPUSlots:
				r.have = max(r.have, int64(slots))
			case r.why == whyEncoderSlots:
				r.have = max(r.have, int64(encoders))
			}
			if r.why == fits {
				break
			}
		}
		if r.why != fits {
			return r
		}
	}
	if d.VPUSlots == 0 {
		return refusal{}
	}
	r := refusal{why: whyVPUSlots, inAll: inAll}
	for i := range n.VPUs {
		v := &n.VPUs[i]
		slots := v.Slots
		if !inAll {
			slots -= v.UsedSlots
		}
		if !v.Gone && d.VPUSlots <= slots {
			return refusal{}
		}
		r.have = max(r.have, int64(slots))
	}
	return r
}

// weights are by how much a CPU, a byte of memory and one of disk each fill a
// node: a third of their share of all it has.
type weights struct{ cpu, memory, disk float64 }

func (n *Node) weights() weights {
	t := n.Total()
	part := func(total float64) float64 {
		if total <= 0 {
			return 1
		}
		return 1 / (3 * total)
	}
	return weights{part(float64(t.CPUs)), part(float64(t.Memory)), part(float64(t.Disk))}
}

// of is how much c fills a node. It grows with each part of c and of w, also
// after rounding: no product is fused into a sum.
func (w weights) of(c *Charge) float64 {
	return float64(float64(c.CPUs)*w.cpu) + float64(float64(c.Memory)*w.memory) + float64(float64(c.Disk)*w.disk)
}

// load is how full the node would be with the demand on it, from 0 to 1: the mean
// of the shares of CPUs, memory and disk.
func (n *Node) load(d *Demand) float64 {
	w := n.weights()
	return w.of(&n.Used) + w.of(&d.Charge)
}

// choose finds the node for the demand among all of them: one look at each. It
// is what Placer.Place must agree with.
func choose(nodes []Node, d *Demand, strategy Strategy, own Scheduler) (string, error) {
	best, score := "", 0.0
	for i := range nodes {
		n := &nodes[i]
		s, r := n.judge(d, strategy, own)
		if r.why == fits && (best == "" || s > score || s == score && n.Name < best) {
			best, score = n.Name, s
		}
	}
	if best == "" {
		return "", noNode(nodes, d, func(n *Node, d *Demand) refusal {
			_, r := n.judge(d, strategy, own)
			return r
		})
	}
	return best, nil
}

// judge scores a node for the demand, or says why it is out of the question.
func (n *Node) judge(d *Demand, strategy Strategy, own Scheduler) (float64, refusal) {
	if r := n.refuses(d); r.why != fits {
		return 0, r
	}
	if own != nil {
		s, text := own.Score(n, d)
		if text != "" {
			return 0, refusal{why: whyScheduler, text: text}
		}
		return s, refusal{}
	}
	if strategy == Binpack {
		return n.load(d), refusal{}
	}
	return -n.load(d), refusal{}
}

// possible returns nil if some node could take the demand once it is empty.
func possible(nodes []Node, d *Demand) error {
	for i := range nodes {
		if nodes[i].never(d).why == fits {
			return nil
		}
	}
	return noNode(nodes, d, (*Node).never)
}
