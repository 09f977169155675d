package lxd

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNVMe(t *testing.T) {
	var r resources
	require.NoError(t, json.Unmarshal([]byte(`{"storage": {"disks": [
		{"id": "vda", "pci_address": "0000:01:00.0"},
		{"id": "nvme0n1", "pci_address": "0000:02:00.0", "device_path": "pci-0000:02:00.0-nvme-1"},
		{"id": "nvme1n1", "device_path": "pci-0000:0a:00.0-nvme-1"},
		{"id": "nvme12n1", "pci_address": "0000:04:00.0"}
	]}}`), &r))
	for address, want := range map[string][2]string{
		"0000:02:00.0": {"nvme0n1", "nvme0"},
		"0000:0A:00.0": {"nvme1n1", "nvme1"},
		"0000:04:00.0": {"nvme12n1", "nvme12"},
		"0000:01:00.0": {}, // not NVMe
		"0000:0a:00":   {},
		"0000:05:00.0": {},
	} {
		block, control, ok := r.nvme(address)
		require.Equal(t, want, [2]string{block, control}, address)
		require.Equal(t, want[0] != "", ok, address)
	}
}
