package main

import (
	"slices"

	"github.com/openams/ams"
)

// flatNode is a node as a program would have it that only places.
type flatNode struct {
	arch                string
	tags                []string
	gpu                 string
	cpus, cpusTotal     int
	memory, memoryTotal int64
	disk, diskTotal     int64
	slots, encoders     [2]int
	cards               int
}

func flatten(n *ams.Node) flatNode {
	t := n.Total()
	f := flatNode{arch: n.Architecture, tags: n.Tags, cpusTotal: t.CPUs, memoryTotal: int64(t.Memory), diskTotal: int64(t.Disk), cards: len(n.GPUs)}
	for i := range n.GPUs {
		f.gpu = n.GPUs[i].Type
		f.slots[i], f.encoders[i] = n.TotalSlots(&n.GPUs[i])
	}
	return f
}

func (f *flatNode) charge(d *ams.Demand, by int) {
	f.cpus += by * d.CPUs
	f.memory += int64(by) * int64(d.Memory)
	f.disk += int64(by) * int64(d.Disk)
	if d.GPUSlots > 0 {
		card := cardOf(by, -f.slots[0], -f.slots[1])
		f.slots[card] -= by * d.GPUSlots
		f.encoders[card] -= by * d.EncoderSlots
	}
}

// byScan looks at every node.
func (w *placeWorld) byScan(d *ams.Demand) int {
	best, score := -1, 0.0
	for i := range w.flat {
		f := &w.flat[i]
		if d.Architecture != "" && f.arch != d.Architecture || d.GPUType != "" && f.gpu != d.GPUType ||
			f.cpus+d.CPUs > f.cpusTotal || f.memory+int64(d.Memory) > f.memoryTotal || f.disk+int64(d.Disk) > f.diskTotal {
			continue
		}
		if d.GPUSlots > 0 && !f.card(d) || slices.ContainsFunc(d.Tags, func(t string) bool { return !slices.Contains(f.tags, t) }) {
			continue
		}
		s := float64(f.cpus+d.CPUs)/float64(f.cpusTotal) + float64(f.memory+int64(d.Memory))/float64(f.memoryTotal) + float64(f.disk+int64(d.Disk))/float64(f.diskTotal)
		if best < 0 || s < score {
			best, score = i, s
		}
	}
	return best
}

func (f *flatNode) card(d *ams.Demand) bool {
	for i := range f.cards {
		if f.slots[i] >= d.GPUSlots && f.encoders[i] >= d.EncoderSlots {
			return true
		}
	}
	return false
}
