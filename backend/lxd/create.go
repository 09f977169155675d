package lxd

import (
	"context"
	"fmt"
	"maps"
	"strconv"

	client "github.com/canonical/lxd/client"
	"github.com/canonical/lxd/shared/api"

	"github.com/openams/ams"
)

// diskUnit is what disk sizes are rounded up to: some storage drivers refuse
// anything that is not a multiple of their block size.
const diskUnit = 64 << 10

// Create implements ams.Backend. An image or node that is not there is
// ErrNotFound. An instance of this attempt that LXD left half made, because it
// died, is made anew.
func (b *Backend) Create(ctx context.Context, spec ams.InstanceSpec) error {
	if err := checkRef(spec.Ref); err != nil {
		return err
	}
	if err := checkLabels(spec.Labels); err != nil {
		return err
	}
	if !b.clustered && spec.Node != b.name {
		return &ams.Error{Code: ams.ErrNotFound, Kind: "node", ID: spec.Node}
	}
	name := instanceName(spec.ID)
	unlock, err := b.locks.lock(ctx, name)
	if err != nil {
		return err
	}
	h := &held{unlock: unlock}
	defer h.release()
	target := ""
	if b.clustered {
		target = spec.Node
	}
	for try := 0; ; try++ {
		err := b.operate(ctx, h, target, func(c server) (client.Operation, error) {
			return c.CreateInstance(b.post(name, spec))
		})
		if err == nil {
			b.known.add(name, spec.Cluster)
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		again, err := b.recreate(ctx, h, spec, err)
		if !again || try == 1 {
			return err
		}
	}
}

// recreate finds out why a creation failed. It reports whether to try again,
// after it has removed a half-made instance.
func (b *Backend) recreate(ctx context.Context, h *held, spec ams.InstanceSpec, failure error) (again bool, err error) {
	name := instanceName(spec.ID)
	if err := b.settle(ctx, name); err != nil {
		return false, err
	}
	var have *api.Instance
	err = b.do(ctx, func(c server) (err error) {
		have, _, err = c.GetInstance(name)
		return err
	})
	switch {
	case ams.CodeOf(err) == ams.ErrNotFound:
		return false, b.blame(ctx, spec, failure)
	case err != nil:
		return false, err
	case !owns(have.Config, spec.Ref) || have.Config[markAttempt] != spec.Attempt:
		return false, &ams.Error{Code: ams.ErrExists, Kind: "instance", ID: spec.ID}
	case !halfMade(have):
		b.known.add(name, spec.Cluster)
		return false, nil
	}
	err = b.operate(ctx, h, "", func(c server) (client.Operation, error) { return c.DeleteInstance(name) })
	return true, err
}

// blame says why an instance could not be made: LXD's operations fail without a
// code.
func (b *Backend) blame(ctx context.Context, spec ams.InstanceSpec, failure error) error {
	if !refused(failure) {
		return failure
	}
	err := b.do(ctx, func(c server) error {
		_, _, err := c.GetImage(spec.Fingerprint)
		return err
	})
	if ams.CodeOf(err) == ams.ErrNotFound {
		return &ams.Error{Code: ams.ErrNotFound, Kind: "image", ID: spec.Fingerprint}
	}
	if spec.VM {
		nodes, err := b.Nodes(ctx)
		if err != nil {
			return err
		}
		for _, n := range nodes {
			if n.Name == spec.Node && n.Online && !n.VMs {
				return ams.Errorf(ams.ErrUnsupported, "node %q cannot run virtual machines", n.Name)
			}
		}
	}
	return failure
}

// post is the request that makes an instance.
func (b *Backend) post(name string, spec ams.InstanceSpec) api.InstancesPost {
	req := api.InstancesPost{
		Name: name,
		Type: api.InstanceTypeContainer,
		Source: api.InstanceSource{
			Type:        "image",
			Fingerprint: spec.Fingerprint,
		},
	}
	req.Profiles = b.cfg.Profiles
	req.Config = map[string]string{
		markCluster:      spec.Cluster,
		markID:           spec.ID,
		markAttempt:      spec.Attempt,
		"boot.autostart": "false",
	}
	if spec.Memory > 0 {
		req.Config["limits.memory"] = strconv.FormatInt(int64(spec.Memory), 10)
	}
	for key, value := range spec.Labels {
		req.Config[labelPrefix+key] = value
	}
	if spec.VM {
		req.Type = api.InstanceTypeVM
	}
	switch {
	case spec.CPUs <= 0:
	case spec.VM || spec.PinCPUs:
		req.Config["limits.cpu"] = strconv.Itoa(spec.CPUs)
	default:
		// A share of the time of all CPUs, rather than some CPUs of its own, which
		// LXD has to balance anew with every start and stop.
		req.Config["limits.cpu.allowance"] = fmt.Sprintf("%dms/100ms", 100*spec.CPUs)
	}
	root := maps.Clone(b.root)
	if spec.Disk > 0 {
		disk := (int64(spec.Disk) + diskUnit - 1) / diskUnit * diskUnit
		root["size"] = strconv.FormatInt(disk, 10)
	}
	req.Devices = map[string]map[string]string{b.rootName: root}
	if b.cfg.Network != "" {
		req.Devices["eth0"] = map[string]string{"type": "nic", "name": "eth0", "network": b.cfg.Network}
	}
	return req
}
