package lxd

import (
	"encoding/json"
	"testing"

	"github.com/canonical/lxd/shared/api"
	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
)

// twoCards is what LXD says of a machine with two sockets, a card in each, a third
// without a driver, two kinds of console, and two video processing units.
const twoCards = `{
"cpu": {"architecture": "x86_64", "total": 8, "sockets": [
  {"socket": 0, "cores": [
    {"core": 0, "threads": [{"id": 0, "numa_node": 0, "online": true}, {"id": 4, "numa_node": 0, "online": true}]},
    {"core": 1, "threads": [{"id": 1, "numa_node": 0, "online": true}, {"id": 5, "numa_node": 0, "online": true}]}]},
  {"socket": 1, "cores": [
    {"core": 0, "threads": [{"id": 2, "numa_node": 1, "online": true}, {"id": 6, "numa_node": 1, "online": false}]},
    {"core": 1, "threads": [{"id": 3, "numa_node": 1, "online": true}, {"id": 7, "numa_node": 1, "online": true, "isolated": true}]}]}]},
"memory": {"total": 68719476736},
"gpu": {"total": 6, "cards": [
  {"driver": "ast", "pci_address": "0000:03:00.0", "vendor_id": "1a03", "product_id": "2000", "drm": {"id": 0, "card_name": "card0"}},
  {"driver": "nvidia", "pci_address": "0000:C1:00.0", "vendor_id": "10de", "product_id": "1eb8", "numa_node": 1,
   "drm": {"id": 2, "card_name": "card2", "render_name": "renderD129"}, "nvidia": {"model": "Tesla T4"}},
  {"driver": "nvidia", "pci_address": "0000:41:00.0", "vendor_id": "10de", "product_id": "1eb8",
   "drm": {"id": 1, "card_name": "card1", "render_name": "renderD128"}, "nvidia": {"model": "Tesla T4"}},
  {"pci_address": "0000:61:00.0", "vendor_id": "1002", "product_id": "73bf"},
  {"driver": "radeon", "pci_address": "0000:04:00.0", "vendor_id": "1002", "product_id": "515e", "drm": {"id": 3, "card_name": "card3"}},
  {"driver": "virtio-pci", "pci_address": "0000:00:02.0", "vendor_id": "1af4", "drm": {"card_name": "card4", "render_name": "renderD130"}}]},
"pci": {"total": 3, "devices": [
  {"driver": "nvme", "pci_address": "0000:82:00.0", "vendor_id": "1d82", "product_id": "0401", "numa_node": 18446744073709551615},
  {"driver": "nvme", "pci_address": "0000:02:00.0", "vendor_id": "144d", "product": "NVMe SSD Controller"},
  {"driver": "nvme", "pci_address": "0000:81:00.0", "vendor_id": "1D82", "product_id": "0401", "product": "Quadra T1U", "numa_node": 1}]}
}`

func TestDetect(t *testing.T) {
	for name, c := range map[string]struct {
		resources string
		want      ams.NodeInfo
	}{
		"two cards": {twoCards, ams.NodeInfo{
			Capacity: ams.Capacity{CPUs: 6, Memory: 64 << 30},
			NUMA:     []ams.NUMANode{{ID: 0, CPUs: "0-1,4-5"}, {ID: 1, CPUs: "2-3"}},
			GPUs: []ams.GPU{
				{PCIAddress: "0000:41:00.0", Type: "nvidia", RenderName: "renderD128"},
				{PCIAddress: "0000:c1:00.0", Type: "nvidia", RenderName: "renderD129", NUMANode: 1},
			},
			VPUs: []ams.VPU{
				{PCIAddress: "0000:81:00.0", Type: "netint", Model: "Quadra T1U", NUMANode: 1, Slots: 8},
				{PCIAddress: "0000:82:00.0", Type: "netint", Model: "1d82:0401", Slots: 8},
			},
		}},
		"two makers": {`{"cpu": {"total": 4, "sockets": [{"cores": [{"threads": [{"id": 0, "online": true}]}]}]}, "gpu": {"cards": [
			{"pci_address": "0000:00:02.0", "vendor_id": "8086", "drm": {"render_name": "renderD129"}},
			{"pci_address": "0000:0a:00.0", "vendor_id": "1002", "drm": {"render_name": "renderD128"}, "numa_node": 18446744073709551615}]}}`, ams.NodeInfo{
			Capacity: ams.Capacity{CPUs: 1},
			NUMA:     []ams.NUMANode{{CPUs: "0"}},
			GPUs: []ams.GPU{
				{PCIAddress: "0000:00:02.0", Type: "intel", RenderName: "renderD129"},
				{PCIAddress: "0000:0a:00.0", Type: "amd", RenderName: "renderD128"},
			},
		}},
		"a card for computing only": {`{"gpu": {"cards": [{"pci_address": "0000:17:00.0", "vendor_id": "10de", "nvidia": {"model": "A16"}}]}}`, ams.NodeInfo{
			GPUs: []ams.GPU{{PCIAddress: "0000:17:00.0", Type: "nvidia"}},
		}},
		"no sockets":     {`{"cpu": {"total": 4}}`, ams.NodeInfo{Capacity: ams.Capacity{CPUs: 4}}},
		"a card by USB":  {`{"gpu": {"cards": [{"vendor_id": "8086", "usb_address": "2:7", "drm": {"render_name": "renderD128"}}]}}`, ams.NodeInfo{}},
		"nothing at all": {`{}`, ams.NodeInfo{}},
	} {
		t.Run(name, func(t *testing.T) {
			var r api.Resources
			require.NoError(t, json.Unmarshal([]byte(c.resources), &r))
			// What was seen before does not stay.
			got := ams.NodeInfo{GPUs: []ams.GPU{{PCIAddress: "old"}}, VPUs: []ams.VPU{{}}, NUMA: []ams.NUMANode{{}}}
			detect(&got, &r)
			require.Equal(t, c.want, got)
		})
	}
}

func TestFormatSet(t *testing.T) {
	for want, cpus := range map[string][]int{
		"":           nil,
		"3":          {3},
		"0-7,16-23":  {23, 22, 21, 20, 19, 18, 17, 16, 0, 1, 2, 3, 4, 5, 6, 7},
		"0,2,4-5,63": {63, 2, 0, 5, 4, 4},
	} {
		require.Equal(t, want, formatSet(cpus))
		require.True(t, goodSet(want))
	}
}

func TestSubnet(t *testing.T) {
	config := func(pairs ...string) map[string]string {
		m := map[string]string{}
		for i := 0; i < len(pairs); i += 2 {
			m[pairs[i]] = pairs[i+1]
		}
		return m
	}
	good := config("ipv4.address", "10.77.0.1/20")
	for _, c := range []struct {
		network api.Network
		want    string
	}{
		{api.Network{Managed: true, Type: "bridge", Config: good}, "10.77.0.1/20"},
		{api.Network{Managed: true, Type: "bridge", Config: config("ipv4.address", "10.77.0.1/20", "ipv4.dhcp", "true")}, "10.77.0.1/20"},
		{api.Network{Managed: true, Type: "bridge", Config: config("ipv4.address", "10.77.0.1/20", "ipv4.dhcp", "false")}, ""},
		{api.Network{Managed: true, Type: "bridge", Config: config("ipv4.address", "none")}, ""},
		{api.Network{Managed: true, Type: "bridge", Config: config("ipv6.address", "fd42::1/64")}, ""},
		{api.Network{Managed: true, Type: "bridge", Config: config("ipv4.address", "fd42::1/64")}, ""},
		{api.Network{Managed: true, Type: "bridge", Config: config("bridge.mode", "fan", "ipv4.address", "240.0.0.1/8")}, ""},
		{api.Network{Managed: true, Type: "ovn", Config: good}, ""},
		{api.Network{Type: "bridge", Config: good}, ""},
	} {
		require.Equal(t, c.want, subnet(&c.network), "%v", c.network)
	}
	require.Equal(t, []int{0, 0, 0, 1450}, []int{mtu(""), mtu("-5"), mtu("x"), mtu("1450")})
}
