package lxd

import (
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/canonical/lxd/shared/api"

	"github.com/openams/ams"
)

// gpuVendors are the types of graphics cards by the PCI id of who made them. Other
// display devices, such as those of hypervisors and of management controllers,
// draw a console at best.
var gpuVendors = map[string]string{
	"1002": "amd",
	"8086": "intel",
	"10de": "nvidia",
}

// NETINT's video processing units: the PCI id of their maker, and how many
// instances share one unless the operator says otherwise. A T408 encodes eight
// streams of 1080 lines at 30 frames; later ones more.
const (
	netintVendor = "1d82"
	netintSlots  = 8
)

// unnamed is the prefix of a VPU's model that is only known by its PCI id.
const unnamed = netintVendor + ":"

// detect fills in what a machine has, from LXD's description of it.
func detect(info *ams.NodeInfo, r *api.Resources) {
	info.NUMA = numaNodes(&r.CPU)
	info.GPUs = gpus(&r.GPU)
	info.VPUs = vpus(&r.PCI)
	info.Capacity.CPUs = int(r.CPU.Total)
	if n := countCPUs(&r.CPU); n > 0 {
		info.Capacity.CPUs = n
	}
	info.Capacity.Memory = ams.Size(r.Memory.Total)
}

// usable calls f with each CPU that instances can run on: neither switched off nor
// kept from the scheduler.
func usable(c *api.ResourcesCPU, f func(api.ResourcesCPUThread)) {
	for _, socket := range c.Sockets {
		for _, core := range socket.Cores {
			for _, thread := range core.Threads {
				if thread.Online && !thread.Isolated && thread.ID >= 0 {
					f(thread)
				}
			}
		}
	}
}

func countCPUs(c *api.ResourcesCPU) (n int) {
	usable(c, func(api.ResourcesCPUThread) { n++ })
	return n
}

// numaNodes returns the NUMA nodes that have CPUs, by their numbers.
func numaNodes(c *api.ResourcesCPU) []ams.NUMANode {
	sets := map[int][]int{}
	usable(c, func(t api.ResourcesCPUThread) {
		node := numaNode(t.NUMANode)
		sets[node] = append(sets[node], int(t.ID))
	})
	var list []ams.NUMANode
	for _, id := range slices.Sorted(maps.Keys(sets)) {
		list = append(list, ams.NUMANode{ID: id, CPUs: formatSet(sets[id])})
	}
	return list
}

// formatSet writes numbers as "0-7,16-23".
func formatSet(cpus []int) string {
	slices.Sort(cpus)
	cpus = slices.Compact(cpus)
	var b strings.Builder
	for first := 0; first < len(cpus); {
		last := first
		for last+1 < len(cpus) && cpus[last+1] == cpus[last]+1 {
			last++
		}
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.Itoa(cpus[first]))
		if last > first {
			b.WriteString("-" + strconv.Itoa(cpus[last]))
		}
		first = last + 1
	}
	return b.String()
}

// numaNode returns the number of a NUMA node. The kernel's -1, which is none, is 0.
func numaNode(n uint64) int {
	if n > math.MaxInt32 {
		return 0
	}
	return int(n)
}

// gpus returns the graphics cards, by their addresses. One that nothing can render
// with, because its driver is missing or because it only shows a console, is none.
func gpus(r *api.ResourcesGPU) []ams.GPU {
	var list []ams.GPU
	for _, card := range r.Cards {
		kind := gpuVendors[strings.ToLower(card.VendorID)]
		render := ""
		if card.DRM != nil {
			render = card.DRM.RenderName
		}
		if kind == "" || card.PCIAddress == "" || render == "" && card.Nvidia == nil {
			continue
		}
		list = append(list, ams.GPU{
			PCIAddress: strings.ToLower(card.PCIAddress),
			Type:       kind,
			RenderName: render,
			NUMANode:   numaNode(card.NUMANode),
		})
	}
	slices.SortFunc(list, func(x, y ams.GPU) int { return strings.Compare(x.PCIAddress, y.PCIAddress) })
	return list
}

// vpus returns the video processing units, by their addresses.
func vpus(r *api.ResourcesPCI) []ams.VPU {
	var list []ams.VPU
	for _, device := range r.Devices {
		if strings.ToLower(device.VendorID) != netintVendor || device.PCIAddress == "" {
			continue
		}
		model := device.Product
		if model == "" {
			model = unnamed + strings.ToLower(device.ProductID)
		}
		list = append(list, ams.VPU{
			PCIAddress: strings.ToLower(device.PCIAddress),
			Type:       "netint",
			Model:      model,
			NUMANode:   numaNode(device.NUMANode),
			Slots:      netintSlots,
		})
	}
	slices.SortFunc(list, func(x, y ams.VPU) int { return strings.Compare(x.PCIAddress, y.PCIAddress) })
	return list
}
