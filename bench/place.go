package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"time"

	"github.com/openams/ams"
)

// placeOn is placements per second on a cluster of n nodes that is kept about two
// thirds full: nodes differ in architecture, size, tags and cards, and launches in
// what they ask for; each placement is given away, and an old one given back. The
// baseline is a plain loop over flat structs with the same filters and the same
// score, which finds the same node.
func placeOn(n int) func(context.Context, options) (result, error) {
	return func(_ context.Context, o options) (result, error) {
		rounds, each := 5, 40_000
		if o.quick {
			rounds, each = 2, 4_000
		}
		ours, plain := newPlaceWorld(n), newPlaceWorld(n)
		used := heap()
		ours.placer = ams.NewPlacer(ours.nodes)
		ours.placer.Place(&ams.Demand{}, ams.Spread) // builds what is built once
		used = heap() - used
		slow := min(each, 20_000_000/n/10)
		a, b, err := interleave(rounds,
			func() (float64, error) { return ours.run(each, ours.byPlacer) },
			func() (float64, error) { return plain.run(slow, plain.byScan) })
		if err != nil {
			return result{}, err
		}
		allocs := allocations(1000, func() { ours.byPlacer(&ours.demands[0]) })
		r := result{Ours: median(a), Baseline: median(b), Unit: "placements/s", Ratio: median(ratios(a, b)), goal: "at 10,000 nodes: ours >= 50000"}
		r.notes = append(r.notes,
			fmt.Sprintf("%d nodes in all kinds, all filters, exact; %d placements in each of %d blocks; the scan %d", n, each, rounds, slow),
			fmt.Sprintf("placements/s by block: %s", figures(a)),
			fmt.Sprintf("scan by block:         %s", figures(b)),
			fmt.Sprintf("%.0f allocations to find a node; %.0f KB for the picture of the nodes, %d bytes each", allocs, float64(used)/1024, int(used)/n))
		return r, nil
	}
}

// heap is how much memory is in use.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// allocations is how often fn allocates memory, on average.
func allocations(n int, fn func()) float64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range n {
		fn()
	}
	runtime.ReadMemStats(&after)
	return float64(after.Mallocs-before.Mallocs) / float64(n)
}

// placeWorld is a cluster and what is placed on it.
type placeWorld struct {
	nodes   []ams.Node
	byName  map[string]int
	placer  *ams.Placer
	demands []ams.Demand
	flat    []flatNode
	placed  []placement // the oldest first
	next    int
	limit   int
}

type placement struct {
	node   int
	demand *ams.Demand
}

func newPlaceWorld(n int) *placeWorld {
	rnd := rand.New(rand.NewPCG(uint64(n), 1))
	w := &placeWorld{byName: map[string]int{}}
	cpus := 0
	for i := range n {
		node := ams.Node{Name: fmt.Sprintf("node%05d", i), Status: ams.NodeOnline, Architecture: "x86_64", VMs: true}
		if i%5 == 0 {
			node.Architecture = "aarch64"
		}
		for k, tag := range []string{"ssd", "eu", "edge"} {
			if rnd.IntN(k+2) == 0 {
				node.Tags = append(node.Tags, tag)
			}
		}
		size := 16 << rnd.IntN(3)
		node.Detected = ams.Capacity{CPUs: size, Memory: ams.Size(4*size) * ams.Gigabyte, Disk: ams.Size(40*size) * ams.Gigabyte, DiskFree: ams.Size(40*size) * ams.Gigabyte}
		if i%4 == 1 {
			node.GPUs = []ams.NodeGPU{{GPU: ams.GPU{PCIAddress: "0000:01:00.0", Type: "nvidia"}}, {GPU: ams.GPU{PCIAddress: "0000:02:00.0", Type: "nvidia"}}}
		}
		cpus += 4 * size
		w.byName[node.Name] = i
		w.nodes = append(w.nodes, node)
		w.flat = append(w.flat, flatten(&node))
	}
	w.limit = cpus * 2 / 3 / 3
	for range 1000 {
		d := ams.Demand{Charge: ams.Charge{CPUs: 2 + rnd.IntN(3), Memory: 3 * ams.Gigabyte, Disk: 3 * ams.Gigabyte}, Architecture: "x86_64"}
		switch rnd.IntN(10) {
		case 0:
			d.Architecture = "aarch64"
		case 1:
			d.Tags = []string{"ssd", "eu"}
		case 2:
			d.GPUSlots, d.GPUType, d.EncoderSlots = 1, "nvidia", 1
		case 3:
			d.Memory = 16 * ams.Gigabyte
		}
		w.demands = append(w.demands, d)
	}
	return w
}

// run places n demands and returns how many per second.
func (w *placeWorld) run(n int, find func(*ams.Demand) int) (float64, error) {
	began := time.Now()
	for range n {
		d := &w.demands[w.next%len(w.demands)]
		w.next++
		i := find(d)
		if i < 0 {
			return 0, fmt.Errorf("nothing fits %s", d.Charge)
		}
		w.charge(i, d, 1)
		w.placed = append(w.placed, placement{i, d})
		if len(w.placed) > w.limit {
			old := w.placed[0]
			w.placed = w.placed[1:]
			w.charge(old.node, old.demand, -1)
		}
	}
	return float64(n) / time.Since(began).Seconds(), nil
}

// charge gives away, or takes back, what a demand takes.
func (w *placeWorld) charge(i int, d *ams.Demand, by int) {
	if w.placer == nil {
		w.flat[i].charge(d, by)
		return
	}
	n := &w.nodes[i]
	n.Used.CPUs += by * d.CPUs
	n.Used.Memory += ams.Size(by) * d.Memory
	n.Used.Disk += ams.Size(by) * d.Disk
	n.Used.GPUSlots += by * d.GPUSlots
	n.Used.EncoderSlots += by * d.EncoderSlots
	if d.GPUSlots > 0 {
		n.GPUs = slices.Clone(n.GPUs) // the placer keeps what it was given
		card := &n.GPUs[cardOf(by, n.GPUs[0].UsedSlots, n.GPUs[1].UsedSlots)]
		card.UsedSlots += by * d.GPUSlots
		card.UsedEncoders += by * d.EncoderSlots
	}
	w.placer.Set(*n)
}

// cardOf is the emptier card to give from, the fuller one to take back from.
func cardOf(by, first, second int) int {
	if (by > 0) == (second < first) {
		return 1
	}
	return 0
}

func (w *placeWorld) byPlacer(d *ams.Demand) int {
	name, ok := w.placer.Place(d, ams.Spread)
	if !ok {
		return -1
	}
	return w.byName[name]
}
