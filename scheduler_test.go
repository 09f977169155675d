package ams

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func testNode(name string, cpus int, used Charge) Node {
	n := Node{Name: name, Status: NodeOnline, Architecture: "x86_64", Used: used}
	n.Detected = Capacity{CPUs: cpus, Memory: 64 * Gigabyte, Disk: 1000 * Gigabyte, DiskFree: 1000 * Gigabyte}
	return n
}

func TestPlace(t *testing.T) {
	small := Demand{Charge: Charge{CPUs: 2, Memory: 3 * Gigabyte, Disk: 3 * Gigabyte}}
	with := func(f func(*Demand)) Demand { d := small; f(&d); return d }
	busy := Charge{CPUs: 8, Memory: 12 * Gigabyte, Disk: 12 * Gigabyte}
	arm, tagged, offline, unschedulable, full := testNode("arm", 8, Charge{}), testNode("tagged", 8, busy), testNode("offline", 8, Charge{}), testNode("unschedulable", 8, Charge{}), testNode("full", 8, Charge{})
	arm.Architecture = "aarch64"
	tagged.Tags = []string{"gpu", "ssd"}
	offline.Status = NodeOffline
	unschedulable.Unschedulable = true
	full.Detected.DiskFree = full.Detected.Disk/20 - 1
	vm := testNode("vm", 8, busy)
	vm.VMs = true
	for _, c := range []struct {
		name     string
		nodes    []Node
		demand   Demand
		strategy Strategy
		want     string
		err      string
	}{
		{name: "spread takes the emptiest", nodes: []Node{testNode("a", 8, busy), testNode("b", 8, Charge{})}, demand: small, strategy: Spread, want: "b"},
		{name: "binpack takes the fullest", nodes: []Node{testNode("a", 8, busy), testNode("b", 8, Charge{})}, demand: small, strategy: Binpack, want: "a"},
		{name: "equals go by name", nodes: []Node{testNode("b", 8, busy), testNode("a", 8, busy)}, demand: small, want: "a"},
		{name: "over-commit counts", nodes: []Node{testNode("a", 1, Charge{CPUs: 2})}, demand: small, want: "a"},
		{name: "but not more", nodes: []Node{testNode("a", 1, Charge{CPUs: 3})}, demand: small, err: "a has 1 CPUs free"},
		{name: "architecture", nodes: []Node{arm, vm}, demand: with(func(d *Demand) { d.Architecture = "aarch64" }), want: "arm"},
		{name: "tags, all of them", nodes: []Node{testNode("a", 8, Charge{}), tagged}, demand: with(func(d *Demand) { d.Tags = []string{"ssd", "gpu"} }), want: "tagged"},
		{name: "a tag nobody has", nodes: []Node{tagged}, demand: with(func(d *Demand) { d.Tags = []string{"ssd", "x"} }), err: `tagged has no tag "x"`},
		{name: "only the node asked for", nodes: []Node{testNode("a", 8, Charge{}), tagged}, demand: with(func(d *Demand) { d.Node = "tagged" }), want: "tagged"},
		{name: "offline, unschedulable, full", nodes: []Node{offline, unschedulable, full}, demand: small, err: "offline offline; unschedulable unschedulable; full less than 5 % of the storage pool is free"},
		{name: "virtual machines", nodes: []Node{testNode("a", 8, Charge{}), vm}, demand: with(func(d *Demand) { d.VM = true }), want: "vm"},
		{name: "no node", demand: small, err: "there is no node"},
		{name: "memory", nodes: []Node{testNode("a", 8, Charge{})}, demand: with(func(d *Demand) { d.Memory = 129 * Gigabyte }), err: "a has 128GB memory free"},
		{name: "disk is not over-committed", nodes: []Node{testNode("a", 8, Charge{Disk: 998 * Gigabyte})}, demand: small, err: "a has 2GB disk free"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := choose(c.nodes, &c.demand, c.strategy, nil)
			require.Equal(t, c.want, got)
			if c.err != "" {
				require.ErrorIs(t, err, ErrNoCapacity)
				require.ErrorContains(t, err, "no suitable node to satisfy instance requirement available: ")
				require.ErrorContains(t, err, c.err)
			} else {
				require.NoError(t, err)
			}
		})
	}
}

func TestPlaceNamesFewNodes(t *testing.T) {
	var nodes []Node
	for i := range 100 {
		nodes = append(nodes, testNode(fmt.Sprint("n", i), 1, Charge{CPUs: 4}))
	}
	_, err := choose(nodes, &Demand{Charge: Charge{CPUs: 1}}, Spread, nil)
	require.ErrorContains(t, err, "CPUs: 100 nodes (at most 0, on n0)")
	require.Less(t, len(err.Error()), 500)
}

// TestPlaceNeverOverfills fills clusters with random demands: what is placed fits,
// and what is refused fits nowhere.
func TestPlaceNeverOverfills(t *testing.T) {
	for seed := range uint64(50) {
		rnd := rand.New(rand.NewPCG(seed, 0))
		var nodes []Node
		for i := range 1 + rnd.IntN(8) {
			nodes = append(nodes, testNode(fmt.Sprint("n", i), 1+rnd.IntN(16), Charge{}))
		}
		for range 500 {
			d := Demand{Charge: Charge{CPUs: rnd.IntN(8), Memory: Size(rnd.IntN(16)) * Gigabyte, Disk: Size(rnd.IntN(50)) * Gigabyte}}
			strategy := []Strategy{Spread, Binpack}[rnd.IntN(2)]
			name, err := choose(nodes, &d, strategy, nil)
			fits := 0
			for i := range nodes {
				if f := nodes[i].Free(); f.CPUs >= d.CPUs && f.Memory >= d.Memory && f.Disk >= d.Disk {
					fits++
				}
				if nodes[i].Name == name {
					u := &nodes[i].Used
					u.CPUs, u.Memory, u.Disk = u.CPUs+d.CPUs, u.Memory+d.Memory, u.Disk+d.Disk
					f := nodes[i].Free()
					require.True(t, f.CPUs >= 0 && f.Memory >= 0 && f.Disk >= 0, "seed %d", seed)
				}
			}
			require.Equal(t, fits > 0, err == nil, "seed %d", seed)
		}
	}
}
