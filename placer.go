package ams

import (
	"fmt"
	"hash/maphash"
	"math"
	"slices"
	"strings"
	"sync"
)

// Placer chooses nodes from a picture of them in memory, for demands in the
// thousands per second on clusters of thousands of nodes. It takes no samples: a
// node it names is the best one of all that fit, the one that a look at each of
// them would find. It is for what-if questions too: Set a node as it would be, and
// ask.
//
// Nodes of one kind (architecture, tags, cards, about the same size) form a class. A
// class is a tree over its nodes in order of name, in which every branch knows the
// most that is free in any node below it, and how little, and how much, a demand
// could fill one: what cannot fit, or cannot be better than what was found, is not
// looked at.
//
// A Placer is safe for concurrent use.
type Placer struct {
	mu      sync.Mutex
	seed    maphash.Seed
	nodes   map[string]*placerNode
	classes map[string]*class
	order   []*class
}

type placerNode struct {
	Node
	class *class
	leaf  int // its place in the class
}

// NewPlacer returns a Placer of the nodes.
func NewPlacer(nodes []Node) *Placer {
	p := &Placer{seed: maphash.MakeSeed(), nodes: map[string]*placerNode{}, classes: map[string]*class{}}
	for i := range nodes {
		p.Set(nodes[i])
	}
	return p
}

// Len returns how many nodes there are.
func (p *Placer) Len() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.nodes)
}

// Node returns a node as it is pictured, and whether there is one.
func (p *Placer) Node(name string) (Node, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := p.nodes[name]; n != nil {
		return n.Node, true
	}
	return Node{}, false
}

// Set adds a node, or replaces the one of its name. The Placer keeps n's slices
// and does not change them; nor must the caller.
func (p *Placer) Set(n Node) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.set(n)
}

// Remove takes a node out; there need not be one.
func (p *Placer) Remove(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.remove(name)
}

func (p *Placer) set(n Node) {
	if old := p.nodes[n.Name]; old != nil {
		if sameClass(&old.Node, &n) {
			old.Node = n
			old.class.changed(old.leaf)
			return
		}
		p.remove(n.Name)
	}
	key := classKey(&n)
	c := p.classes[key]
	if c == nil {
		c = &class{key: key, mask: p.maskOf(&n)}
		p.classes[key] = c
		p.order = append(p.order, c)
	}
	node := &placerNode{Node: n, class: c}
	p.nodes[n.Name] = node
	c.nodes = append(c.nodes, node)
	c.stale = true
}

func (p *Placer) remove(name string) {
	n := p.nodes[name]
	if n == nil {
		return
	}
	delete(p.nodes, name)
	c := n.class
	c.nodes = slices.DeleteFunc(c.nodes, func(m *placerNode) bool { return m == n })
	c.stale = true
	if len(c.nodes) == 0 {
		delete(p.classes, c.key)
		p.order = slices.DeleteFunc(p.order, func(o *class) bool { return o == c })
	}
}

// classKey is the same for nodes that differ only in what is theirs and what is
// free of it.
func classKey(n *Node) string {
	parts := []string{n.Architecture, string(n.Status), sizeOf(n)}
	if n.VMs {
		parts = append(parts, "\x01vm")
	}
	if n.Unschedulable || n.Draining {
		parts = append(parts, "\x01closed")
	}
	tags := slices.Sorted(slices.Values(n.Tags))
	for _, tag := range tags {
		parts = append(parts, "\x02"+tag)
	}
	types := []string{}
	for _, g := range n.GPUs {
		if !g.Gone && !slices.Contains(types, g.Type) {
			types = append(types, g.Type)
		}
	}
	slices.Sort(types)
	for _, t := range types {
		parts = append(parts, "\x03"+t)
	}
	return strings.Join(parts, "\x00")
}

// sizeOf is the same for nodes of about the same size, a twentieth more or less: the
// closer they are, the less is looked at in vain.
func sizeOf(n *Node) string {
	t := n.Total()
	about := func(v float64) int { return int(16 * math.Log2(max(v, 1))) }
	return fmt.Sprint(about(float64(t.CPUs)), about(float64(t.Memory)), about(float64(t.Disk)))
}

// sameClass reports whether a node that changed is certainly of the class it was of.
func sameClass(a, b *Node) bool {
	return a.Architecture == b.Architecture && a.Status == b.Status && a.VMs == b.VMs &&
		a.CPUs == b.CPUs && a.Memory == b.Memory && a.Disk == b.Disk && a.CPURate == b.CPURate && a.MemoryRate == b.MemoryRate &&
		a.Detected.CPUs == b.Detected.CPUs && a.Detected.Memory == b.Detected.Memory && a.Detected.Disk == b.Detected.Disk &&
		a.Unschedulable == b.Unschedulable && a.Draining == b.Draining && slices.Equal(a.Tags, b.Tags) &&
		slices.EqualFunc(a.GPUs, b.GPUs, func(x, y NodeGPU) bool { return x.Type == y.Type && x.Gone == y.Gone })
}

// maskOf has a bit for each thing that a demand can ask of a class. Two things may
// have the same bit: the mask excludes, and never proves.
func (p *Placer) maskOf(n *Node) uint64 {
	mask := p.bit('a', n.Architecture)
	if n.VMs {
		mask |= p.bit('v', "")
	}
	for _, tag := range n.Tags {
		mask |= p.bit('t', tag)
	}
	for _, g := range n.GPUs {
		if !g.Gone {
			mask |= p.bit('g', g.Type)
		}
	}
	return mask
}

func (p *Placer) maskFor(d *Demand) uint64 {
	var mask uint64
	if d.Architecture != "" {
		mask |= p.bit('a', d.Architecture)
	}
	if d.VM {
		mask |= p.bit('v', "")
	}
	for _, tag := range d.Tags {
		mask |= p.bit('t', tag)
	}
	if d.GPUType != "" {
		mask |= p.bit('g', d.GPUType)
	}
	return mask
}

func (p *Placer) bit(kind byte, text string) uint64 {
	return 1 << ((maphash.String(p.seed, text) ^ uint64(kind)*0x9e3779b97f4a7c15) >> 58)
}

// Place returns the best node for the demand, of equal ones that whose name sorts
// first, and whether any fits. It does not give anything away: Set the node with
// what is used by then.
func (p *Placer) Place(d *Demand, strategy Strategy) (node string, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if d.Node != "" {
		n := p.nodes[d.Node]
		if n == nil || n.refuses(d).why != fits {
			return "", false
		}
		return n.Name, true
	}
	s := search{d: d, binpack: strategy == Binpack}
	mask := p.maskFor(d)
	for _, c := range p.order {
		if c.mask&mask == mask {
			c.search(&s)
		}
	}
	if s.best == nil {
		return "", false
	}
	return s.best.Name, true
}
