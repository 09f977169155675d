package ams

import (
	"slices"
	"strings"
)

// NodeGPU is a graphics card of a node, with its slots and those given away.
type NodeGPU struct {
	GPU
	// Slots and EncoderSlots are what the operator set for this card. Nil is what
	// is set for the node's cards, else the default: 32 slots for NVIDIA and 10 for
	// AMD and Intel; 32 encoder slots for NVIDIA, 5 for AMD and 10 for Intel.
	Slots        *int
	EncoderSlots *int
	UsedSlots    int
	UsedEncoders int
	// Gone is a card that is not detected any more. It is kept, without slots,
	// for what the operator set and for what holds it.
	Gone bool
}

// NodeVPU is a video processing unit of a node.
type NodeVPU struct {
	VPU
	UsedSlots int
	Gone      bool
}

// Default slots of a graphics card, by its type.
var (
	defaultGPUSlots     = map[string]int{"nvidia": 32, "amd": 10, "intel": 10}
	defaultEncoderSlots = map[string]int{"nvidia": 32, "amd": 5, "intel": 10}
)

// TotalSlots are the slots of a card and its encoder slots.
func (n *Node) TotalSlots(g *NodeGPU) (slots, encoders int) {
	if g.Gone {
		return 0, 0
	}
	return firstOf(g.Slots, n.GPUSlots, defaultGPUSlots[g.Type]), firstOf(g.EncoderSlots, n.EncoderSlots, defaultEncoderSlots[g.Type])
}

// firstOf returns the first number that is set.
func firstOf(a, b *int, otherwise int) int {
	switch {
	case a != nil:
		return *a
	case b != nil:
		return *b
	}
	return otherwise
}

// GPU returns the card with the PCI address, or nil.
func (n *Node) GPU(pci string) *NodeGPU {
	for i := range n.GPUs {
		if n.GPUs[i].PCIAddress == pci {
			return &n.GPUs[i]
		}
	}
	return nil
}

// VPU returns the unit with the PCI address, or nil.
func (n *Node) VPU(pci string) *NodeVPU {
	for i := range n.VPUs {
		if n.VPUs[i].PCIAddress == pci {
			return &n.VPUs[i]
		}
	}
	return nil
}

// chooseGPU returns the card with the smallest share of its slots given away that
// fits, or nil.
func (n *Node) chooseGPU(c *Charge, kind string) *NodeGPU {
	var best *NodeGPU
	var load float64
	for i := range n.GPUs {
		g := &n.GPUs[i]
		slots, encoders := n.TotalSlots(g)
		if kind != "" && g.Type != kind || c.GPUSlots > slots-g.UsedSlots || c.EncoderSlots > encoders-g.UsedEncoders {
			continue
		}
		if l := float64(g.UsedSlots+1)/float64(slots+1) + float64(g.UsedEncoders+1)/float64(encoders+1); best == nil || l < load {
			best, load = g, l
		}
	}
	return best
}

// chooseVPU does the same for video processing units.
func (n *Node) chooseVPU(slots int) *NodeVPU {
	var best *NodeVPU
	for i := range n.VPUs {
		v := &n.VPUs[i]
		if v.Gone || slots > v.Slots-v.UsedSlots {
			continue
		}
		if best == nil || v.Slots-v.UsedSlots > best.Slots-best.UsedSlots {
			best = v
		}
	}
	return best
}

// detectCards takes over the cards that were detected. What is set and given away
// stays; a new card is added, one that is missing is marked.
func (n *Node) detectCards(info *NodeInfo) {
	n.GPUs, n.VPUs = slices.Clone(n.GPUs), slices.Clone(n.VPUs)
	for i := range n.GPUs {
		n.GPUs[i].Gone = true
	}
	for i := range n.VPUs {
		n.VPUs[i].Gone = true
	}
	for _, found := range info.GPUs {
		if g := n.GPU(found.PCIAddress); g != nil {
			g.GPU, g.Gone = found, false
		} else {
			n.GPUs = append(n.GPUs, NodeGPU{GPU: found})
		}
	}
	for _, found := range info.VPUs {
		if v := n.VPU(found.PCIAddress); v != nil {
			v.VPU, v.Gone = found, false
		} else {
			n.VPUs = append(n.VPUs, NodeVPU{VPU: found})
		}
	}
	n.GPUs = slices.DeleteFunc(n.GPUs, func(g NodeGPU) bool {
		return g.Gone && g.UsedSlots+g.UsedEncoders == 0 && g.Slots == nil && g.EncoderSlots == nil
	})
	n.VPUs = slices.DeleteFunc(n.VPUs, func(v NodeVPU) bool { return v.Gone && v.UsedSlots == 0 })
	slices.SortFunc(n.GPUs, func(a, b NodeGPU) int { return strings.Compare(a.PCIAddress, b.PCIAddress) })
	slices.SortFunc(n.VPUs, func(a, b NodeVPU) int { return strings.Compare(a.PCIAddress, b.PCIAddress) })
}

// cpusNear are the CPUs near a card, on a machine whose CPUs are not all equally
// near; else "".
func (n *Node) cpusNear(pci string) string {
	g := n.GPU(pci)
	if g == nil || len(n.NUMA) < 2 {
		return ""
	}
	for _, numa := range n.NUMA {
		if numa.ID == g.NUMANode {
			return numa.CPUs
		}
	}
	return ""
}
