package lxd

import (
	"context"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/openams/ams"
)

// The devices that are ours to make and to remove. All but eth0 begin with the
// prefix.
const (
	nicName = "eth0"
	gpuName = prefix + "gpu"
	vpuName = prefix + "vpu"
)

const maxPort = 1<<16 - 1

// shape is what can be changed of an instance, in LXD's terms.
type shape struct {
	config  map[string]string
	devices map[string]map[string]string // without the root disk
}

// ownKey reports whether a shape decides about a key of the configuration.
func ownKey(key string) bool {
	switch key {
	case "limits.memory", "limits.cpu", "limits.cpu.allowance":
		return true
	}
	return strings.HasPrefix(key, labelPrefix)
}

// ownDevice reports whether a shape decides about a device, eth0 aside.
func ownDevice(name string) bool { return strings.HasPrefix(name, prefix) }

// shape returns what an instance is to be like. Its eth0 is made from base, which
// is nil if it has none of its own; from is the one of its profiles.
func (b *Backend) shape(ctx context.Context, spec ams.InstanceSpec, base map[string]string, from func(context.Context) (map[string]string, error)) (shape, error) {
	s := shape{config: limits(spec), devices: map[string]map[string]string{}}
	for key, value := range spec.Labels {
		s.config[labelPrefix+key] = value
	}
	if spec.GPU != "" {
		s.devices[gpuName] = map[string]string{"type": "gpu", "gputype": "physical", "pci": spec.GPU}
	}
	if spec.VPU != "" {
		cards, err := b.vpu(ctx, spec.Node, spec.VPU)
		if err != nil {
			return shape{}, err
		}
		maps.Copy(s.devices, cards)
	}
	for _, group := range together(spec.Proxies) {
		name, device, err := proxyDevice(spec, group)
		if err != nil {
			return shape{}, err
		}
		s.devices[name] = device
	}
	nic := maps.Clone(base)
	if spec.Address != "" && nic == nil {
		device, err := from(ctx)
		if err != nil {
			return shape{}, err
		}
		nic = maps.Clone(device)
	}
	switch {
	case spec.Address == "":
		delete(nic, "ipv4.address")
	case nic["type"] != "nic" || nic["network"] == "":
		return shape{}, ams.Errorf(ams.ErrUnsupported, "address %s: the instance has no eth0 on a network of LXD's", spec.Address)
	default:
		nic["ipv4.address"] = spec.Address
	}
	if nic != nil {
		s.devices[nicName] = nic
	}
	return s, nil
}

// limits returns the configuration that bounds an instance's CPUs and memory. A
// virtual machine has as many CPUs as it is given, wherever they are: a set would
// be how many it has.
func limits(spec ams.InstanceSpec) map[string]string {
	config := map[string]string{}
	if spec.Memory > 0 {
		config["limits.memory"] = strconv.FormatInt(int64(spec.Memory), 10)
	}
	if spec.CPUSet != "" && !spec.VM {
		config["limits.cpu"] = cpuSet(spec.CPUSet)
	}
	switch {
	case spec.CPUs <= 0:
	case spec.VM || spec.PinCPUs && spec.CPUSet == "":
		config["limits.cpu"] = strconv.Itoa(spec.CPUs)
	case !spec.PinCPUs:
		// A share of the time of all CPUs, rather than some CPUs of its own, which
		// LXD has to balance anew with every start and stop.
		config["limits.cpu.allowance"] = fmt.Sprintf("%dms/100ms", 100*spec.CPUs)
	}
	return config
}

// cpuSet returns a set of CPUs as LXD reads it: to LXD, a single number is how
// many there are.
func cpuSet(set string) string {
	if n, err := strconv.Atoi(set); err == nil {
		return fmt.Sprintf("%d-%d", n, n)
	}
	return set
}

// together groups proxies that one device can stand for: those of a protocol and of an
// address to listen on. LXD takes a second to start a device, however many ports it
// has. The price is that a change of one cuts the connections of its group.
func together(proxies []ams.Proxy) [][]ams.Proxy {
	var groups [][]ams.Proxy
	for _, p := range proxies {
		i := slices.IndexFunc(groups, func(g []ams.Proxy) bool { return g[0].Protocol == p.Protocol && g[0].Listen == p.Listen })
		if i < 0 {
			i, groups = len(groups), append(groups, nil)
		}
		groups[i] = append(groups[i], p)
	}
	return groups
}

// proxyDevice returns the device of a group of proxies and its name. In a virtual
// machine nothing of LXD's can pass connections on: the kernel does, to a fixed address.
func proxyDevice(spec ams.InstanceSpec, group []ams.Proxy) (name string, device map[string]string, err error) {
	to := "127.0.0.1"
	if spec.VM {
		if to = spec.Address; to == "" {
			return "", nil, ams.Errorf(ams.ErrUnsupported, "a virtual machine without an address cannot have proxies")
		}
	}
	group = slices.SortedFunc(slices.Values(group), func(a, b ams.Proxy) int { return a.NodePort - b.NodePort })
	var listen, connect []string
	for _, p := range group {
		listen = append(listen, ports(p.NodePort, p.Count))
		connect = append(connect, ports(p.Port, p.Count))
	}
	first := group[0]
	device = map[string]string{
		"type":    "proxy",
		"bind":    "host",
		"listen":  fmt.Sprintf("%s:%s", first.Protocol, net.JoinHostPort(first.Listen, strings.Join(listen, ","))),
		"connect": fmt.Sprintf("%s:%s", first.Protocol, net.JoinHostPort(to, strings.Join(connect, ","))),
	}
	if spec.VM {
		device["nat"] = "true"
	}
	return fmt.Sprintf("%sproxy-%s-%s", prefix, first.Protocol, first.Listen), device, nil
}

// ports returns a range of ports.
func ports(first, count int) string {
	text := strconv.Itoa(first)
	if count > 1 {
		text += "-" + strconv.Itoa(first+count-1)
	}
	return text
}

// checkShape checks what becomes part of devices and limits.
func checkShape(spec ams.InstanceSpec) error {
	if err := checkLabels(spec.Labels); err != nil {
		return err
	}
	if !goodSet(spec.CPUSet) {
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
	taken := map[string]bool{}
	for _, p := range spec.Proxies {
		if err := checkProxy(p); err != nil {
			return err
		}
		key := fmt.Sprint(p.Protocol, p.Listen, p.NodePort)
		if taken[key] {
			return ams.Errorf(ams.ErrInvalid, "proxy of %s port %d of %s: there are two", p.Protocol, p.NodePort, p.Listen)
		}
		taken[key] = true
	}
	return nil
}

func checkProxy(p ams.Proxy) error {
	a, err := netip.ParseAddr(p.Listen)
	switch {
	case p.Protocol != "tcp" && p.Protocol != "udp":
		return ams.Errorf(ams.ErrInvalid, "proxy: the protocol must be tcp or udp, not %q", p.Protocol)
	case err != nil || a.Zone() != "":
		return ams.Errorf(ams.ErrInvalid, "proxy: listens on %q, which must be an IP address", p.Listen)
	case p.Count < 1 || p.NodePort < 1 || p.Port < 1 || p.Count > maxPort ||
		p.NodePort+p.Count-1 > maxPort || p.Port+p.Count-1 > maxPort:
		return ams.Errorf(ams.ErrInvalid, "proxy: %d ports from %d to %d: must be at least one, of 1 to %d", p.Count, p.NodePort, p.Port, maxPort)
	}
	return nil
}

// goodSet reports whether a set of CPUs is well formed.
func goodSet(set string) bool {
	if set == "" {
		return true
	}
	for part := range strings.SplitSeq(set, ",") {
		first, last, ranged := strings.Cut(part, "-")
		low, err := strconv.ParseUint(first, 10, 16)
		if err != nil {
			return false
		}
		if high, err := strconv.ParseUint(last, 10, 16); ranged && (err != nil || high < low) {
			return false
		}
	}
	return true
}
