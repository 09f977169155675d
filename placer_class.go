package ams

import (
	"cmp"
	"slices"
)

// class is the nodes of one kind, as a binary tree in an array: the children of
// branch i are 2i and 2i+1, the leaves are from size on.
type class struct {
	key   string
	mask  uint64
	nodes []*placerNode // in order of name, unless stale
	stale bool          // the tree is to be built anew
	size  int           // the number of leaves, a power of two
	tree  []branch
}

// branch is what is known of the nodes below it.
type branch struct {
	free        Charge // the most that any of them has free, in each dimension on its own
	least, most weights
	low, high   float64 // how full the emptiest and the fullest is
	some        bool    // there is one that is not closed
}

// branchOf is the branch above one node.
func branchOf(n *Node) branch {
	if n.Status != NodeOnline || n.Unschedulable || n.Draining {
		return branch{}
	}
	b := branch{some: true, free: n.Free(), least: n.weights()}
	b.most = b.least
	b.low = b.least.of(&n.Used)
	b.high = b.low
	b.free.GPUSlots, b.free.EncoderSlots, b.free.VPUSlots = 0, 0, 0
	for i := range n.GPUs { // slots are of one card
		slots, encoders := n.TotalSlots(&n.GPUs[i])
		b.free.GPUSlots = max(b.free.GPUSlots, slots-n.GPUs[i].UsedSlots)
		b.free.EncoderSlots = max(b.free.EncoderSlots, encoders-n.GPUs[i].UsedEncoders)
	}
	for i := range n.VPUs {
		if v := &n.VPUs[i]; !v.Gone {
			b.free.VPUSlots = max(b.free.VPUSlots, v.Slots-v.UsedSlots)
		}
	}
	return b
}

// over is the branch above two branches.
func over(a, b *branch) branch {
	switch {
	case !a.some:
		return *b
	case !b.some:
		return *a
	}
	return branch{
		some: true,
		free: Charge{
			CPUs: max(a.free.CPUs, b.free.CPUs), Memory: max(a.free.Memory, b.free.Memory), Disk: max(a.free.Disk, b.free.Disk),
			GPUSlots: max(a.free.GPUSlots, b.free.GPUSlots), EncoderSlots: max(a.free.EncoderSlots, b.free.EncoderSlots), VPUSlots: max(a.free.VPUSlots, b.free.VPUSlots),
		},
		least: weights{min(a.least.cpu, b.least.cpu), min(a.least.memory, b.least.memory), min(a.least.disk, b.least.disk)},
		most:  weights{max(a.most.cpu, b.most.cpu), max(a.most.memory, b.most.memory), max(a.most.disk, b.most.disk)},
		low:   min(a.low, b.low), high: max(a.high, b.high),
	}
}

// build makes the tree anew.
func (c *class) build() {
	slices.SortFunc(c.nodes, func(a, b *placerNode) int { return cmp.Compare(a.Name, b.Name) })
	c.size = 1
	for c.size < len(c.nodes) {
		c.size *= 2
	}
	c.tree = make([]branch, 2*c.size)
	for i, n := range c.nodes {
		n.leaf = i
		c.tree[c.size+i] = branchOf(&n.Node)
	}
	for i := c.size - 1; i > 0; i-- {
		c.tree[i] = over(&c.tree[2*i], &c.tree[2*i+1])
	}
	c.stale = false
}

// changed takes over a change of one node.
func (c *class) changed(leaf int) {
	if c.stale {
		return
	}
	i := c.size + leaf
	c.tree[i] = branchOf(&c.nodes[leaf].Node)
	for i /= 2; i > 0; i /= 2 {
		c.tree[i] = over(&c.tree[2*i], &c.tree[2*i+1])
	}
}

// search is a search under way: the best node so far, and its score, which is
// better when it is lower.
type search struct {
	d       *Demand
	binpack bool
	best    *placerNode
	score   float64
}

// bound is the best score that a node below the branch could have, and whether
// any could take the demand.
func (s *search) bound(b *branch) (float64, bool) {
	if d := &s.d.Charge; !b.some || d.CPUs > b.free.CPUs || d.Memory > b.free.Memory || d.Disk > b.free.Disk ||
		d.GPUSlots > b.free.GPUSlots || d.EncoderSlots > b.free.EncoderSlots || d.VPUSlots > b.free.VPUSlots {
		return 0, false
	}
	if s.binpack {
		return -(b.high + b.most.of(&s.d.Charge)), true
	}
	return b.low + b.least.of(&s.d.Charge), true
}

// hopeless reports whether nothing at or after the node named first, with this
// score at best, can be better than what was found.
func (s *search) hopeless(bound float64, first *placerNode) bool {
	return s.best != nil && (bound > s.score || bound == s.score && first.Name >= s.best.Name)
}

func (c *class) search(s *search) {
	if c.stale {
		c.build()
	}
	if bound, ok := s.bound(&c.tree[1]); ok {
		c.descend(s, 1, bound, 0, c.size)
	}
}

// descend looks below branch i, whose leaves are n from first on.
func (c *class) descend(s *search, i int, bound float64, first, n int) {
	if s.hopeless(bound, c.nodes[first]) {
		return
	}
	if n == 1 {
		node := c.nodes[first]
		if node.refuses(s.d).why == fits {
			s.best, s.score = node, bound
		}
		return
	}
	n /= 2
	left, fitsLeft := s.bound(&c.tree[2*i])
	right, fitsRight := s.bound(&c.tree[2*i+1])
	rightFirst := fitsRight && (!fitsLeft || right < left)
	if rightFirst {
		c.descend(s, 2*i+1, right, first+n, n)
	}
	if fitsLeft {
		c.descend(s, 2*i, left, first, n)
	}
	if fitsRight && !rightFirst {
		c.descend(s, 2*i+1, right, first+n, n)
	}
}
