package lxd

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/openams/ams"
)

// vpu returns the devices of a video processing unit by its name and PCI address.
// What can be found is an NVMe device, as NETINT's cards are: an instance gets its
// block device and its control device. LXD keeps their names, not the address: an
// instance must be configured anew when these have changed with a reboot. A unit
// that is not found is ErrUnsupported.
func (b *Backend) vpu(ctx context.Context, node, address string) (map[string]map[string]string, error) {
	path := "/1.0/resources"
	if b.clustered {
		path += "?target=" + url.QueryEscape(node)
	}
	var have resources
	err := b.do(ctx, func(c server) error {
		resp, _, err := c.RawQuery(http.MethodGet, path, nil, "")
		if err != nil {
			return err
		}
		return resp.MetadataAsStruct(&have)
	})
	if err != nil {
		return nil, err
	}
	block, control, ok := have.nvme(address)
	if !ok {
		return nil, ams.Errorf(ams.ErrUnsupported, "node %q: no NVMe device at PCI address %s", node, address)
	}
	return map[string]map[string]string{
		vpuName:              {"type": "unix-block", "source": "/dev/" + block, "path": "/dev/" + block},
		vpuName + "-control": {"type": "unix-char", "source": "/dev/" + control, "path": "/dev/" + control},
	}, nil
}

// resources is what is needed of LXD's resources. Its client's type lacks some.
type resources struct {
	Storage struct {
		Disks []disk `json:"disks"`
	} `json:"storage"`
}

type disk struct {
	ID         string `json:"id"`          // "nvme0n1"
	PCIAddress string `json:"pci_address"` // "0000:01:00.0"
	DevicePath string `json:"device_path"` // "pci-0000:01:00.0-nvme-1"
}

// nvme returns the names of the devices of the first NVMe disk at an address.
func (r *resources) nvme(address string) (block, control string, ok bool) {
	for _, d := range r.Storage.Disks {
		number, isNVMe := strings.CutPrefix(d.ID, "nvme")
		control, _, hasName := strings.Cut(number, "n")
		there := strings.EqualFold(d.PCIAddress, address) || strings.HasPrefix(d.DevicePath, "pci-"+strings.ToLower(address)+"-nvme-")
		if isNVMe && hasName && there {
			return d.ID, "nvme" + control, true
		}
	}
	return "", "", false
}
