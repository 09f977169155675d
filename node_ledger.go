package ams

import (
	"errors"
	"net/netip"
	"slices"
)

// held is how much an instance holds of its node.
type held int

const (
	holdsNothing held = iota
	holdsDisk         // its disk, if that is reserved, and its address
	holdsAll          // what it needs to run as well
)

// takes is what the instance is charged.
func (in *Instance) takes(h held) Charge {
	switch h {
	case holdsNothing:
		return Charge{}
	case holdsDisk:
		return in.Resources.stopped()
	}
	return in.running()
}

// hold makes the ledger of the instance's node hold exactly that for it. More than
// before must fit, unless forced: what already runs is a fact.
func (c *change) hold(in *Instance, h held, forced bool) error {
	take := in.takes(h)
	if h == in.Held && take == in.Charged || in.Node == "" {
		return nil
	}
	n, err := c.Nodes().Get(in.Node)
	if h == holdsNothing && CodeOf(err) == ErrNotFound { // its node was removed with it
		in.Charged, in.Held, in.Host = Charge{}, holdsNothing, 0
		return nil
	}
	if err != nil {
		return err
	}
	if !forced && in.Held < h {
		d := in.demand()
		d.Charge, d.Node, d.resident = take.minus(in.Charged), n.Name, in.Held != holdsNothing
		if n.refuses(&d).why != fits {
			return noNode([]Node{n}, &d, (*Node).refuses)
		}
	}
	if in.Held > h {
		c.wake = append(c.wake, wakePlace) // somebody may be waiting for it
		if n.Draining {
			c.wake = append(c.wake, wakeNode(n.Name))
		}
	}
	services := slices.Clone(in.Services)
	if h == holdsAll {
		if err := n.takePorts(services); err != nil && !forced {
			return err
		}
	} else {
		n.givePorts(services)
	}
	in.Services = services
	n.releaseCards(in)
	if h == holdsAll {
		n.takeCards(in, &take)
	}
	n.Used = n.Used.minus(in.Charged.minus(take))
	switch {
	case in.Held == holdsNothing:
		n.Instances++
		n.takeHost(in)
	case h == holdsNothing:
		n.Instances--
		n.giveHost(in)
	}
	in.Charged, in.Held = take, h
	if h == holdsAll && in.Host != 0 {
		in.Address = n.address(in.Host)
	}
	return c.storeNode(n)
}

// takeCards chooses the cards that an instance gets its slots of. If it must have
// some and none fits, it gets the first, over its capacity.
func (n *Node) takeCards(in *Instance, take *Charge) {
	if take.GPUSlots+take.EncoderSlots > 0 {
		g := n.chooseGPU(take, in.Resources.GPUType)
		if g == nil && len(n.GPUs) > 0 {
			g = &n.GPUs[0]
		}
		if g != nil {
			in.GPU = g.PCIAddress
			g.UsedSlots += take.GPUSlots
			g.UsedEncoders += take.EncoderSlots
		}
	}
	if take.VPUSlots > 0 {
		v := n.chooseVPU(take.VPUSlots)
		if v == nil && len(n.VPUs) > 0 {
			v = &n.VPUs[0]
		}
		if v != nil {
			in.VPU = v.PCIAddress
			v.UsedSlots += take.VPUSlots
		}
	}
}

// releaseCards gives back what takeCards took.
func (n *Node) releaseCards(in *Instance) {
	if g := n.GPU(in.GPU); g != nil {
		g.UsedSlots -= in.Charged.GPUSlots
		g.UsedEncoders -= in.Charged.EncoderSlots
	}
	if v := n.VPU(in.VPU); v != nil {
		v.UsedSlots -= in.Charged.VPUSlots
	}
	in.GPU, in.VPU = "", ""
}

// takeHost gives an instance an address on the node's network, if AMS gives them
// out there: not the one that was given back last, for the network may not have
// forgotten it.
func (n *Node) takeHost(in *Instance) {
	most := n.hosts()
	if most == 0 {
		return
	}
	own := n.ownHost()
	taken := n.Hosts.union(Spans{{own, own}})
	first := max(n.NextHost, 1)
	host, ok := taken.gap(1, first, most+1)
	if !ok {
		if host, ok = taken.gap(1, 1, most+1); !ok {
			return // the backend chooses one
		}
	}
	n.Hosts, n.NextHost = n.Hosts.add(Span{host, host}), host+1
	in.Host = host
}

// otherHost gives an instance another address, where something that AMS knows nothing of
// has the one it was given.
func (c *change) otherHost(in *Instance) error {
	n, err := c.Nodes().Get(in.Node)
	if err != nil || in.Host == 0 {
		return ignoreNotFound(err)
	}
	n.giveHost(in)
	n.takeHost(in)
	in.Stale = staleDevices
	if in.Held == holdsAll {
		in.Address = n.address(in.Host)
	}
	return c.storeNode(n)
}

// otherPorts gives the services of an instance other ports, where something that AMS knows
// nothing of has those they were given: the next ones.
func (c *change) otherPorts(in *Instance) error {
	n, err := c.Nodes().Get(in.Node)
	if err != nil {
		return ignoreNotFound(err)
	}
	services, low := slices.Clone(in.Services), FirstNodePort
	for i := range services {
		low = max(low, services[i].NodePort+services[i].size())
	}
	n.givePorts(services)
	if err := n.takePortsAbove(services, low); err != nil {
		return err
	}
	in.Services, in.Stale = services, staleDevices
	return c.storeNode(n)
}

// taken reports whether a backend refused because something else has what an instance
// was to get: of kind KindAddress or KindPort.
func taken(err error, kind string) bool {
	for ; err != nil; err = errors.Unwrap(err) {
		if e, ok := err.(*Error); ok && e.Kind == kind { //nolint:errorlint // each is looked at
			return true
		}
	}
	return false
}

func (n *Node) giveHost(in *Instance) {
	if in.Host != 0 {
		n.Hosts = n.Hosts.remove(Span{in.Host, in.Host})
		in.Host = 0
	}
}

// network returns the node's network and its own address there.
func (n *Node) network() (netip.Prefix, bool) {
	p, err := netip.ParsePrefix(n.Network)
	return p, err == nil && p.Addr().Is4() && p.Bits() <= 30
}

// hosts is how many addresses there are for instances: all but those of the
// network itself, the node, and the broadcast. 0 means that the backend gives them.
func (n *Node) hosts() int {
	p, ok := n.network()
	if !ok {
		return 0
	}
	return 1<<(32-p.Bits()) - 3
}

// ownHost is the number of the node's own address in its network.
func (n *Node) ownHost() int {
	p, _ := n.network()
	a, base := p.Addr().As4(), p.Masked().Addr().As4()
	return int(number(a) - number(base))
}

// address is the address of a host of the node's network; "" for none.
func (n *Node) address(host int) string {
	p, ok := n.network()
	if !ok || host == 0 {
		return ""
	}
	sum := number(p.Masked().Addr().As4()) + uint32(host)
	return netip.AddrFrom4([4]byte{byte(sum >> 24), byte(sum >> 16), byte(sum >> 8), byte(sum)}).String()
}

func number(a [4]byte) uint32 {
	return uint32(a[0])<<24 | uint32(a[1])<<16 | uint32(a[2])<<8 | uint32(a[3])
}

// storeNode stores a node row; the placer knows it as it will be.
func (c *change) storeNode(n Node) error {
	if err := c.Nodes().Put(n); err != nil {
		return err
	}
	n.Rev++ // as Put stored it
	c.nodes = append(c.nodes, n.Name)
	c.placer.Set(n)
	return nil
}

// deleteNode deletes a node row.
func (c *change) deleteNode(name string) error {
	c.nodes = append(c.nodes, name)
	c.placer.Remove(name)
	return c.Nodes().Delete(name)
}

// running is what an instance takes while it runs.
func (r Resources) running() Charge {
	c := r.stopped()
	c.CPUs, c.Memory = r.CPUs, r.Memory
	if r.GPUSlots != nil {
		c.GPUSlots = *r.GPUSlots
	}
	if r.VPUSlots != nil {
		c.VPUSlots = *r.VPUSlots
	}
	return c
}

// stopped is what an instance takes while it does not run: its disk, if that is
// reserved.
func (r Resources) stopped() Charge {
	if r.NoDiskReserve {
		return Charge{}
	}
	return Charge{Disk: r.DiskSize}
}

// running is what the instance takes while it runs.
func (in *Instance) running() Charge {
	c := in.Resources.running()
	if in.GPUEncoder {
		c.EncoderSlots = 1
	}
	return c
}
