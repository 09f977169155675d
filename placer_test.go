package ams

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// anyNode returns a node with anything that a scheduler looks at.
func anyNode(rnd *rand.Rand, name string) Node {
	pick := func(of ...string) string { return of[rnd.IntN(len(of))] }
	n := testNode(name, 4+4*rnd.IntN(4), Charge{})
	n.Architecture = pick("x86_64", "x86_64", "aarch64")
	n.VMs = rnd.IntN(3) == 0
	n.Unschedulable, n.Draining = rnd.IntN(20) == 0, rnd.IntN(20) == 0
	if rnd.IntN(20) == 0 {
		n.Status = NodeOffline
	}
	if rnd.IntN(20) == 0 {
		n.Detected.DiskFree = 0
	}
	for _, tag := range []string{"ssd", "fast", "eu"} {
		if rnd.IntN(3) == 0 {
			n.Tags = append(n.Tags, tag)
		}
	}
	for i := range rnd.IntN(3) {
		g := NodeGPU{GPU: GPU{PCIAddress: fmt.Sprint(i), Type: pick("nvidia", "amd")}, Gone: rnd.IntN(10) == 0}
		slots := rnd.IntN(4)
		g.Slots = &slots
		n.GPUs = append(n.GPUs, g)
	}
	if rnd.IntN(4) == 0 {
		n.VPUs = append(n.VPUs, NodeVPU{VPU: VPU{PCIAddress: "v", Slots: 3}})
	}
	if rnd.IntN(8) == 0 {
		n.Network = "10.0.0.1/29" // five addresses
	}
	return n
}

func anyDemand(rnd *rand.Rand) Demand {
	d := Demand{Charge: Charge{CPUs: 1 + rnd.IntN(4), Memory: Size(1+rnd.IntN(8)) * Gigabyte, Disk: Size(rnd.IntN(50)) * Gigabyte}}
	some := func() bool { return rnd.IntN(4) == 0 }
	if some() {
		d.Architecture = []string{"x86_64", "aarch64", "riscv64"}[rnd.IntN(3)]
	}
	d.VM = rnd.IntN(8) == 0
	if some() {
		d.Tags = []string{"ssd", "eu"}[:1+rnd.IntN(2)]
	}
	if some() {
		d.GPUSlots = 1 + rnd.IntN(2)
		d.EncoderSlots = rnd.IntN(2)
	}
	if some() {
		d.GPUType = []string{"nvidia", "amd", "intel"}[rnd.IntN(3)]
	}
	if rnd.IntN(8) == 0 {
		d.VPUSlots = 1 + rnd.IntN(2)
	}
	return d
}

// TestPlacerIsExact fills, empties and changes clusters at random: the placer must
// choose the node that a look at each of them finds, or none where there is none.
func TestPlacerIsExact(t *testing.T) {
	for seed := range uint64(60) {
		rnd := rand.New(rand.NewPCG(seed, 7))
		nodes := map[string]*Node{}
		p := NewPlacer(nil)
		list := func() (all []Node) {
			for _, n := range nodes {
				all = append(all, *n)
			}
			return all
		}
		for i := range 1 + rnd.IntN(40) {
			n := anyNode(rnd, fmt.Sprint("n", i))
			nodes[n.Name] = &n
			p.Set(n)
		}
		for step := range 400 {
			d := anyDemand(rnd)
			if rnd.IntN(10) == 0 {
				d.Node = fmt.Sprint("n", rnd.IntN(41))
			}
			strategy := []Strategy{Spread, Binpack}[rnd.IntN(2)]
			want, err := choose(list(), &d, strategy, nil)
			got, ok := p.Place(&d, strategy)
			require.Equal(t, want, got, "seed %d, step %d: %+v", seed, step, d)
			require.Equal(t, err == nil, ok)
			if ok {
				n := nodes[got]
				in := Instance{ID: fmt.Sprint(step), Resources: Resources{GPUType: d.GPUType}}
				n.GPUs = append([]NodeGPU(nil), n.GPUs...) // the placer keeps the old ones
				n.VPUs = append([]NodeVPU(nil), n.VPUs...)
				n.takeCards(&in, &d.Charge)
				n.Used = n.Used.minus(Charge{}.minus(d.Charge))
				n.Instances++
				p.Set(*n)
			}
			switch name := fmt.Sprint("n", rnd.IntN(41)); rnd.IntN(12) {
			case 0:
				p.Remove(name)
				delete(nodes, name)
			case 1:
				n := anyNode(rnd, name)
				nodes[name] = &n
				p.Set(n)
			}
		}
		require.Equal(t, len(nodes), p.Len())
	}
}

func TestPlacerCostsNoMemory(t *testing.T) {
	p := NewPlacer(nil)
	for i := range 1000 {
		n := testNode(fmt.Sprintf("n%04d", i), 64, Charge{})
		n.Tags = []string{"ssd"}
		p.Set(n)
	}
	d := Demand{Charge: Charge{CPUs: 2, Memory: 3 * Gigabyte, Disk: 3 * Gigabyte}, Architecture: "x86_64", Tags: []string{"ssd"}}
	p.Place(&d, Spread) // builds the tree
	require.Zero(t, testing.AllocsPerRun(100, func() {
		if _, ok := p.Place(&d, Spread); !ok {
			t.Fatal("nothing fits")
		}
	}))
}

// TestExplanationFitsTheTerminal explains an impossible launch on forty nodes that
// lack different things.
func TestExplanationFitsTheTerminal(t *testing.T) {
	var nodes []Node
	for i := range 40 {
		n := testNode(fmt.Sprintf("a-node-with-quite-a-long-name-%02d", i), 8, Charge{Memory: Size(i) * Gigabyte})
		switch {
		case i < 3:
			n.Status = NodeOffline
		case i < 5:
			n.Unschedulable = true
		case i < 12:
			n.Architecture = "aarch64"
		}
		nodes = append(nodes, n)
	}
	d := Demand{Charge: Charge{CPUs: 2, Memory: 200 * Gigabyte, Disk: 3 * Gigabyte}, Architecture: "x86_64"}
	e := explain(nodes, &d, Spread, nil)
	require.Empty(t, e.Node)
	require.Equal(t, `no node can take 2 CPUs, 200GB memory, 3GB disk
limited by memory
  memory           28 of 40 nodes  at most 116GB, on a-node-with-quite-a-l…
  architecture      7 of 40 nodes  a-node-with-quite-a-long-name-05, a-nod…
  offline           3 of 40 nodes  a-node-with-quite-a-long-name-00, a-nod…
  unschedulable     2 of 40 nodes  a-node-with-quite-a-long-name-03, a-nod…
`, e.String())
	d.Memory = 100 * Gigabyte
	e = explain(nodes, &d, Spread, nil)
	require.Equal(t, nodes[12].Name, e.Node)
	require.Contains(t, e.String(), "goes to node "+e.Node)
	require.Less(t, len(e.String()), 24*80)
}

// bestTagged prefers nodes with a tag, and refuses one.
type bestTagged struct{}

func (bestTagged) Score(n *Node, _ *Demand) (float64, string) {
	if n.Name == "c" {
		return 0, "nobody likes it"
	}
	return float64(len(n.Tags)), ""
}

func TestOwnScheduler(t *testing.T) {
	nodes := []Node{testNode("a", 8, Charge{}), testNode("b", 8, Charge{}), testNode("c", 8, Charge{})}
	nodes[1].Tags, nodes[2].Tags = []string{"x"}, []string{"x", "y"}
	d := Demand{Charge: Charge{CPUs: 1}}
	got, err := choose(nodes, &d, Spread, bestTagged{})
	require.NoError(t, err)
	require.Equal(t, "b", got)
	_, err = choose(nodes[2:], &d, Spread, bestTagged{})
	require.ErrorContains(t, err, "c nobody likes it")
}
