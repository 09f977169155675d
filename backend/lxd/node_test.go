package lxd_test

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/canonical/lxd/shared/api"
	"github.com/stretchr/testify/require"

	"github.com/openams/ams/backend/lxd"
	"github.com/openams/ams/internal/lxdtest"
)

// TestDetected looks at what is detected of this machine and of its networks.
func TestDetected(t *testing.T) {
	d := lxdtest.Require(t)
	c := lxdtest.Connect(t, d)
	nodes, err := open(t, lxd.Config{Socket: d.Socket}).Nodes(t.Context())
	require.NoError(t, err)
	require.Len(t, nodes, 1)
	n := nodes[0]
	require.Equal(t, runtime.NumCPU(), n.Capacity.CPUs)
	require.Positive(t, n.Capacity.Memory)
	require.Len(t, n.NUMA, 1)
	require.Equal(t, fmt.Sprintf("0-%d", runtime.NumCPU()-1), n.NUMA[0].CPUs)
	require.Equal(t, "default", n.Pool)
	require.Equal(t, d.Subnet, n.Subnet, "of the profile's network")
	require.Equal(t, 1500, n.NetworkMTU)
	require.Empty(t, n.VPUs)

	post := api.NetworksPost{Name: "amsdet", Type: "bridge"}
	post.Config = map[string]string{
		"ipv4.address": "10.253.251.1/24", "ipv4.nat": "false", "ipv4.firewall": "false",
		"ipv6.address": "none", "ipv6.firewall": "false", "bridge.mtu": "1400",
	}
	require.NoError(t, c.CreateNetwork(post))
	t.Cleanup(func() { require.NoError(t, c.DeleteNetwork("amsdet")) })
	profile := api.ProfilesPost{Name: "no-nic"}
	profile.Devices = map[string]map[string]string{"root": {"type": "disk", "path": "/", "pool": "default"}}
	require.NoError(t, c.CreateProfile(profile))
	t.Cleanup(func() { require.NoError(t, c.DeleteProfile("no-nic")) })
	look := func(cfg lxd.Config) (string, int) {
		cfg.Socket = d.Socket
		nodes, err := open(t, cfg).Nodes(t.Context())
		require.NoError(t, err)
		require.True(t, nodes[0].Online)
		return nodes[0].Subnet, nodes[0].NetworkMTU
	}
	subnet, mtu := look(lxd.Config{Network: "amsdet"})
	require.Equal(t, "10.253.251.1/24", subnet)
	require.Equal(t, 1400, mtu)
	subnet, mtu = look(lxd.Config{Profiles: []string{"no-nic"}})
	require.Empty(t, subnet)
	require.Zero(t, mtu)
	subnet, _ = look(lxd.Config{Network: "eth0"})
	require.Empty(t, subnet, "not LXD's to give addresses in")
	subnet, _ = look(lxd.Config{Network: "no-such-network"})
	require.Empty(t, subnet)
	network, etag, err := c.GetNetwork("amsdet")
	require.NoError(t, err)
	network.Config["ipv4.dhcp"] = "false"
	require.NoError(t, c.UpdateNetwork("amsdet", network.Writable(), etag))
	subnet, _ = look(lxd.Config{Network: "amsdet"})
	require.Empty(t, subnet, "without DHCP nobody gives addresses")
}
