package lxd

import (
	"context"
	"net/netip"
	"strconv"

	"github.com/canonical/lxd/shared/api"

	"github.com/openams/ams"
)

// uplink returns the name of the network that the instances' eth0 is on, or of the
// bridge if LXD does not manage it. It is empty if they have none.
func (b *Backend) uplink(ctx context.Context) (string, error) {
	nic := b.nic()
	if nic == nil {
		var err error
		if nic, err = b.profileNIC(ctx); err != nil {
			return "", err
		}
	}
	switch {
	case nic["type"] != "nic":
		return "", nil
	case nic["network"] != "":
		return nic["network"], nil
	}
	return nic["parent"], nil
}

// detectNetwork fills in what the instances' network is like on a machine. A
// network that is not there, or not LXD's, is no error: addresses are not ours to
// choose then.
func (b *Backend) detectNetwork(c server, name string, info *ams.NodeInfo) error {
	info.Subnet, info.NetworkMTU = "", 0
	if name == "" {
		return nil
	}
	n, _, err := c.GetNetwork(name)
	if api.StatusErrorCheck(err, 404) {
		return nil
	}
	if err != nil {
		return err
	}
	info.Subnet = subnet(n)
	if info.NetworkMTU = mtu(n.Config["bridge.mtu"]); info.NetworkMTU > 0 {
		return nil
	}
	if state, err := c.GetNetworkState(name); err == nil && state != nil {
		info.NetworkMTU = max(0, state.Mtu)
	}
	return nil
}

// subnet returns a network's IPv4 address and prefix length if LXD gives out its
// addresses, and else nothing.
func subnet(n *api.Network) string {
	if !n.Managed || n.Type != "bridge" || n.Config["bridge.mode"] == "fan" {
		return ""
	}
	switch n.Config["ipv4.dhcp"] {
	case "", "true", "1", "yes", "on": // LXD's ways to say so
	default:
		return ""
	}
	p, err := netip.ParsePrefix(n.Config["ipv4.address"])
	if err != nil || !p.Addr().Is4() { // "none", "auto" while it is pending
		return ""
	}
	return p.String()
}

// mtu reads the size of packets that a network is configured for; 0 is not known.
func mtu(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return 0
	}
	return n
}
