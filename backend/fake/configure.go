package fake

import (
	"context"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/openams/ams"
)

var _ ams.Configurer = (*Backend)(nil)

// Configure implements ams.Configurer. An address counts from the next start. A
// half-made instance is ErrState, and ports that another running one has on the
// node are ErrUnavailable.
func (b *Backend) Configure(ctx context.Context, spec ams.InstanceSpec) error {
	return b.verb(ctx, VerbConfigure, spec.Ref, func(chan struct{}) error {
		if err := checkSpec(spec); err != nil {
			return err
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		i, err := b.finds(spec.Ref)
		switch {
		case err != nil:
			return err
		case i.Attempt != spec.Attempt:
			return &ams.Error{Code: ams.ErrExists, Kind: "instance", ID: spec.ID}
		case i.Power == ams.PowerBroken:
			return ams.Errorf(ams.ErrState, "instance %q is half made", spec.ID)
		}
		if err := b.hasVPU(i.Node, spec.VPU); err != nil {
			return err
		}
		changed := *i
		changed.shape(spec)
		if i.on() {
			if err := b.fits(&changed); err != nil {
				return err
			}
		}
		i.shape(spec)
		b.saveInstance(i)
		return b.broken
	})
}

// shape gives an instance what can be changed of it. Backend.mu is held.
func (i *instance) shape(spec ams.InstanceSpec) {
	i.CPUs, i.PinCPUs, i.CPUSet, i.Memory = spec.CPUs, spec.PinCPUs, spec.CPUSet, spec.Memory
	i.GPU, i.VPU, i.Fixed = spec.GPU, spec.VPU, spec.Address
	i.Proxies, i.Labels = slices.Clone(spec.Proxies), maps.Clone(spec.Labels)
}

// fits returns why an instance cannot run now: a card that its node lacks, ports
// that another one there has, or an address that another one there is to get,
// which matters until that is deleted. b.mu is held.
func (b *Backend) fits(i *instance) error {
	if n := b.node(i.Node); i.GPU != "" && !slices.ContainsFunc(n.GPUs, func(g ams.GPU) bool { return g.PCIAddress == i.GPU }) {
		return ams.Errorf(ams.ErrUnavailable, "node %q has no GPU at %s", i.Node, i.GPU)
	}
	for _, other := range b.onNode[i.Node] {
		if other.Name == i.Name {
			continue
		}
		if i.Fixed != "" && other.Fixed == i.Fixed {
			return &ams.Error{
				Code: ams.ErrUnavailable, Kind: ams.KindAddress,
				Err: ams.Errorf(ams.ErrUnavailable, "address %s is that of another instance", i.Fixed),
			}
		}
		if other.on() && slices.ContainsFunc(i.Proxies, func(p ams.Proxy) bool {
			return slices.ContainsFunc(other.Proxies, func(q ams.Proxy) bool { return overlap(p, q) })
		}) {
			return &ams.Error{
				Code: ams.ErrUnavailable, Kind: ams.KindPort,
				Err: ams.Errorf(ams.ErrUnavailable, "a port of the node is another instance's"),
			}
		}
	}
	return nil
}

// overlap reports whether two proxies need the same port of a node.
func overlap(p, q ams.Proxy) bool {
	all := func(s string) bool { a, err := netip.ParseAddr(s); return err == nil && a.IsUnspecified() }
	return p.Protocol == q.Protocol && (p.Listen == q.Listen || all(p.Listen) || all(q.Listen)) &&
		p.NodePort < q.NodePort+q.Count && q.NodePort < p.NodePort+p.Count
}

// hasVPU returns ErrUnsupported unless the node has that unit. b.mu is held.
func (b *Backend) hasVPU(node, address string) error {
	if address == "" || slices.ContainsFunc(b.node(node).VPUs, func(v ams.VPU) bool { return v.PCIAddress == address }) {
		return nil
	}
	return ams.Errorf(ams.ErrUnsupported, "node %q has no VPU at %s", node, address)
}

// checkSpec checks a spec as backend/lxd does.
func checkSpec(spec ams.InstanceSpec) error {
	if spec.ID == "" || spec.Cluster == "" {
		return ams.Errorf(ams.ErrInvalid, "cluster and id must be set")
	}
	if err := checkLabels(spec.Labels); err != nil {
		return err
	}
	if spec.CPUSet != "" && !goodSet(spec.CPUSet) {
		return ams.Errorf(ams.ErrInvalid, "CPU set %q: must be numbers and ranges, such as 0-7,16-23", spec.CPUSet)
	}
	for _, card := range []string{spec.GPU, spec.VPU} {
		if strings.Trim(card, "0123456789abcdefABCDEF:.") != "" {
			return ams.Errorf(ams.ErrInvalid, "card %q: must be a PCI address", card)
		}
	}
	if a, err := netip.ParseAddr(spec.Address); spec.Address != "" && (err != nil || !a.Is4()) {
		return ams.Errorf(ams.ErrInvalid, "address %q: must be an IPv4 address", spec.Address)
	}
	for n, p := range spec.Proxies {
		_, err := netip.ParseAddr(p.Listen)
		const most = 1<<16 - 1
		if err != nil || p.Protocol != "tcp" && p.Protocol != "udp" || p.Count < 1 || p.Count > most ||
			p.NodePort < 1 || p.NodePort+p.Count-1 > most || p.Port < 1 || p.Port+p.Count-1 > most {
			return ams.Errorf(ams.ErrInvalid, "proxy %+v: must be tcp or udp, and have an IP address and ports of 1 to %d", p, most)
		}
		if slices.ContainsFunc(spec.Proxies[:n], func(q ams.Proxy) bool { return overlap(p, q) }) {
			return ams.Errorf(ams.ErrInvalid, "proxy %+v: its ports are another proxy's", p)
		}
	}
	return nil
}

// goodSet reports whether a set of CPUs is well formed.
func goodSet(set string) bool {
	for part := range strings.SplitSeq(set, ",") {
		first, last, ranged := strings.Cut(part, "-")
		if !ranged {
			last = first
		}
		low, lowErr := strconv.ParseUint(first, 10, 16)
		high, highErr := strconv.ParseUint(last, 10, 16)
		if lowErr != nil || highErr != nil || high < low {
			return false
		}
	}
	return true
}
