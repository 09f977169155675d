package audit

import (
	"fmt"

	"github.com/openams/ams"
)

// sum is what the instances of a node hold together.
type sum struct {
	used      ams.Charge
	instances int
	cards     map[string][2]int // slots and encoder slots by card
	units     map[string]int    // slots by video processing unit
	owners    map[string]string // of each port and address: the instance
}

// ledger adds up what the instances hold, node by node.
func (a *audit) ledger() {
	sums := map[string]*sum{}
	for i := range a.nodes {
		sums[a.nodes[i].Name] = &sum{cards: map[string][2]int{}, units: map[string]int{}, owners: map[string]string{}}
	}
	for i := range a.rows {
		in := &a.rows[i]
		if in.Held == 0 {
			if in.Charged != (ams.Charge{}) || in.Host != 0 {
				a.fault("instance %s holds nothing and is charged %+v", in.ID, in.Charged)
			}
			continue
		}
		s := sums[in.Node]
		if s == nil {
			a.fault("instance %s holds something of node %q, which is not there", in.ID, in.Node)
			continue
		}
		s.add(a, in)
	}
	for i := range a.nodes {
		a.node(&a.nodes[i], sums[a.nodes[i].Name])
	}
}

// add adds what an instance holds.
func (s *sum) add(a *audit, in *ams.Instance) {
	u, c := s.used, in.Charged
	s.used = ams.Charge{
		CPUs: u.CPUs + c.CPUs, Memory: u.Memory + c.Memory, Disk: u.Disk + c.Disk,
		GPUSlots: u.GPUSlots + c.GPUSlots, EncoderSlots: u.EncoderSlots + c.EncoderSlots, VPUSlots: u.VPUSlots + c.VPUSlots,
	}
	s.instances++
	if in.GPU != "" {
		have := s.cards[in.GPU]
		s.cards[in.GPU] = [2]int{have[0] + c.GPUSlots, have[1] + c.EncoderSlots}
	}
	if in.VPU != "" {
		s.units[in.VPU] += c.VPUSlots
	}
	own := func(what string) {
		if other, ok := s.owners[what]; ok {
			a.fault("%s of node %s belongs to instances %s and %s", what, in.Node, other, in.ID)
		}
		s.owners[what] = in.ID
	}
	if in.Host != 0 {
		own(fmt.Sprint("host ", in.Host))
	}
	for _, service := range in.Services {
		if service.NodePort == 0 {
			continue
		}
		for port := range max(service.PortEnd, service.Port) - service.Port + 1 {
			for _, protocol := range service.Protocols {
				own(fmt.Sprint(protocol, " ", service.NodePort+port))
			}
		}
	}
}

// node compares a node's ledger with what its instances hold.
func (a *audit) node(n *ams.Node, s *sum) {
	if n.Used != s.used || n.Instances != s.instances {
		a.fault("the ledger of node %s holds %+v for %d instances, they hold %+v and are %d", n.Name, n.Used, n.Instances, s.used, s.instances)
	}
	if free := n.Free(); free.CPUs < 0 || free.Memory < 0 || free.Disk < 0 || free.GPUSlots < 0 || free.EncoderSlots < 0 || free.VPUSlots < 0 {
		a.fault("node %s is over its capacity: %+v", n.Name, free)
	}
	for i := range n.GPUs {
		g := &n.GPUs[i]
		slots, encoders := n.TotalSlots(g)
		if used := s.cards[g.PCIAddress]; used != [2]int{g.UsedSlots, g.UsedEncoders} {
			a.fault("card %s of node %s has given away %d and %d slots, its instances hold %v", g.PCIAddress, n.Name, g.UsedSlots, g.UsedEncoders, used)
		}
		if g.UsedSlots > slots || g.UsedEncoders > encoders {
			a.fault("card %s of node %s is over its slots", g.PCIAddress, n.Name)
		}
	}
	for i := range n.VPUs {
		if v := &n.VPUs[i]; v.UsedSlots != s.units[v.PCIAddress] {
			a.fault("unit %s of node %s has given away %d slots, its instances hold %d", v.PCIAddress, n.Name, v.UsedSlots, s.units[v.PCIAddress])
		}
	}
	ledger := map[string]bool{}
	for what, spans := range map[string]ams.Spans{"tcp": n.TCPPorts, "udp": n.UDPPorts, "host": n.Hosts} {
		for _, span := range spans {
			for i := span.First; i <= span.Last; i++ {
				ledger[fmt.Sprint(what, " ", i)] = true
			}
		}
	}
	for what := range ledger {
		if s.owners[what] == "" {
			a.fault("%s of node %s is given to nobody", what, n.Name)
		}
	}
	for what, owner := range s.owners {
		if !ledger[what] {
			a.fault("instance %s has %s of node %s, which the ledger does not know", owner, what, n.Name)
		}
	}
}
