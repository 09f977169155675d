package ams

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// reason is why a node cannot take a demand.
type reason int

const (
	fits reason = iota // it can
	whyNode
	whyArchitecture
	whyVM
	whyGPUType
	whyTag
	whyOffline
	whyUnschedulable
	whyDraining
	whyPool
	whyAddresses
	whyCPUs
	whyMemory
	whyDisk
	whyGPUSlots
	whyEncoderSlots
	whyVPUSlots
	whyScheduler
)

// reasonNames are the reasons in a word or two, as Verdict.Limit has them.
var reasonNames = [...]string{
	"", "node", "architecture", "virtual machines", "GPU type", "tags", "offline", "unschedulable", "draining",
	"pool space", "addresses", "CPUs", "memory", "disk", "GPU slots", "encoder slots", "VPU slots", "scheduler",
}

// refusal is why a node cannot take a demand, with what there is to say of it. It
// is a value, so that a search costs no memory.
type refusal struct {
	why   reason
	have  int64  // of what is short
	inAll bool   // have is what the node has with nothing on it, not what is free
	text  string // the wrong architecture, the missing tag, …
	want  string // the right architecture
}

// amount returns how much of what is short there is, for people.
func (r refusal) amount() string {
	if r.why == whyMemory || r.why == whyDisk {
		return Size(max(r.have, 0)).round().String()
	}
	return fmt.Sprint(max(r.have, 0))
}

// String is what stands after the node's name.
func (r refusal) String() string {
	how := "free"
	if r.inAll {
		how = "in all"
	}
	switch r.why {
	case fits:
		return "fits"
	case whyNode:
		return "not the node asked for"
	case whyArchitecture:
		return "is " + r.text + ", not " + r.want
	case whyVM:
		return "cannot run virtual machines"
	case whyGPUType:
		return "has no GPU of type " + r.text
	case whyTag:
		return fmt.Sprintf("has no tag %q", r.text)
	case whyPool:
		return "less than 5 % of the storage pool is free"
	case whyAddresses:
		return "has no address free"
	case whyCPUs:
		return fmt.Sprintf("has %s CPUs %s", r.amount(), how)
	case whyMemory, whyDisk:
		return fmt.Sprintf("has %s %s %s", r.amount(), reasonNames[r.why], how)
	case whyGPUSlots, whyEncoderSlots, whyVPUSlots:
		if r.inAll {
			return fmt.Sprintf("has %s %s on a card", r.amount(), reasonNames[r.why])
		}
		return fmt.Sprintf("has %s %s free on one card", r.amount(), reasonNames[r.why])
	case whyScheduler:
		return r.text
	}
	return reasonNames[r.why]
}

// mostNamed is of how many nodes an error tells each one's reason. Of more it
// tells how many have which.
const mostNamed = 8

// noNode is the error of a demand that no node can take.
func noNode(nodes []Node, d *Demand, why func(*Node, *Demand) refusal) error {
	var e Explanation
	for i := range nodes {
		if d.Node == "" || nodes[i].Name == d.Node {
			e.Verdicts = append(e.Verdicts, verdict(&nodes[i], 0, why(&nodes[i], d)))
		}
	}
	var reasons []string
	switch {
	case len(e.Verdicts) == 0:
		reasons = append(reasons, "there is no node")
	case len(e.Verdicts) <= mostNamed:
		for _, v := range e.Verdicts {
			reasons = append(reasons, v.Node+" "+v.Reason)
		}
	default:
		for _, g := range e.groups() {
			reasons = append(reasons, g.String())
		}
	}
	return Errorf(ErrNoCapacity, "no suitable node to satisfy instance requirement available: %s: %s", d.Charge, strings.Join(reasons, "; "))
}

// Verdict is what the scheduler says of one node.
type Verdict struct {
	Node  string
	Fits  bool
	Score float64 // higher is better; 0 unless it fits
	// Limit is what the node lacks, in a word: "memory", "tags", "offline", …;
	// Reason is it in a sentence. Both are empty if it fits.
	Limit  string
	Reason string

	have   int64
	amount string
}

func verdict(n *Node, score float64, r refusal) Verdict {
	v := Verdict{Node: n.Name, Fits: r.why == fits, Score: score}
	if !v.Fits {
		v.Limit, v.Reason = reasonNames[r.why], r.String()
		if r.why >= whyCPUs && r.why <= whyVPUSlots {
			v.have, v.amount = r.have, r.amount()
		}
	}
	return v
}

// refused is the nodes that lack the same.
type refused struct {
	limit  string
	nodes  []string
	best   string // the node that has the most of it
	have   int64
	amount string // what that is; "" where it is nothing that can be counted
}

// groups returns the refusals, the most frequent first.
func (e *Explanation) groups() []refused {
	var groups []refused
	for _, v := range e.Verdicts {
		if v.Fits {
			continue
		}
		i := slices.IndexFunc(groups, func(g refused) bool { return g.limit == v.Limit })
		if i < 0 {
			i = len(groups)
			groups = append(groups, refused{limit: v.Limit, best: v.Node, have: v.have, amount: v.amount})
		}
		g := &groups[i]
		g.nodes = append(g.nodes, v.Node)
		if v.have > g.have {
			g.best, g.have, g.amount = v.Node, v.have, v.amount
		}
	}
	slices.SortStableFunc(groups, func(a, b refused) int { return cmp.Compare(len(b.nodes), len(a.nodes)) })
	return groups
}

// detail says which nodes a group is, or which of them comes nearest.
func (g refused) detail() string {
	if g.amount != "" {
		return fmt.Sprintf("at most %s, on %s", g.amount, g.best)
	}
	named := g.nodes[:min(len(g.nodes), 3)]
	text := strings.Join(named, ", ")
	if len(named) < len(g.nodes) {
		text += ", …"
	}
	return text
}

func (g refused) String() string {
	nodes := "nodes"
	if len(g.nodes) == 1 {
		nodes = "node"
	}
	return fmt.Sprintf("%s: %d %s (%s)", g.limit, len(g.nodes), nodes, g.detail())
}

// String names what is charged.
func (c Charge) String() string {
	text := fmt.Sprintf("%d CPUs, %s memory, %s disk", c.CPUs, c.Memory, c.Disk)
	for _, slots := range []struct {
		n    int
		what string
	}{{c.GPUSlots, "GPU slots"}, {c.EncoderSlots, "encoder slots"}, {c.VPUSlots, "VPU slots"}} {
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
