package lxd

import (
	"context"
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
	return b.prepare(ctx, spec, func(h *held, sh shape) error {
		return b.make(ctx, h, spec, b.post(instanceName(spec.ID), spec, sh))
	})
}

// prepare checks a spec and runs f with the instance's lock and what it is to be
// like.
func (b *Backend) prepare(ctx context.Context, spec ams.InstanceSpec, f func(*held, shape) error) error {
	if err := checkRef(spec.Ref); err != nil {
		return err
	}
	if err := checkShape(spec); err != nil {
		return err
	}
	if !b.clustered && spec.Node != b.name {
		return &ams.Error{Code: ams.ErrNotFound, Kind: "node", ID: spec.Node}
	}
	unlock, err := b.locks.lock(ctx, instanceName(spec.ID))
	if err != nil {
		return err
	}
	h := &held{unlock: unlock}
	defer h.release()
	sh, err := b.shape(ctx, spec, b.nic(), b.profileNIC)
	if err != nil {
		return err
	}
	return f(h, sh)
}

// make makes an instance, unless it is there.
func (b *Backend) make(ctx context.Context, h *held, spec ams.InstanceSpec, post api.InstancesPost) error {
	target := ""
	if b.clustered {
		target = spec.Node
	}
	for try := 0; ; try++ {
		err := b.operate(ctx, h, target, func(c server) (client.Operation, error) {
			return c.CreateInstance(post)
		})
		if err == nil {
			b.known.add(post.Name, spec.Cluster)
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
	if spec.Fingerprint != "" {
		err := b.do(ctx, func(c server) error {
			_, _, err := c.GetImage(spec.Fingerprint)
			return err
		})
		if ams.CodeOf(err) == ams.ErrNotFound {
			return &ams.Error{Code: ams.ErrNotFound, Kind: "image", ID: spec.Fingerprint}
		}
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
func (b *Backend) post(name string, spec ams.InstanceSpec, sh shape) api.InstancesPost {
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
	maps.Copy(req.Config, sh.config)
	if spec.VM {
		req.Type = api.InstanceTypeVM
	}
	root := maps.Clone(b.root)
	if spec.Disk > 0 {
		disk := (int64(spec.Disk) + diskUnit - 1) / diskUnit * diskUnit
		root["size"] = strconv.FormatInt(disk, 10)
	}
	req.Devices = map[string]map[string]string{b.rootName: root}
	maps.Copy(req.Devices, sh.devices)
	return req
}

// nic returns the eth0 of an instance that is to be made, or nil if that is for
// the profiles to say.
func (b *Backend) nic() map[string]string {
	if b.cfg.Network == "" {
		return nil
	}
	return map[string]string{"type": "nic", "name": nicName, "network": b.cfg.Network}
}

// profileNIC returns the eth0 in the profiles, or nil.
func (b *Backend) profileNIC(ctx context.Context) (nic map[string]string, err error) {
	err = b.do(ctx, func(c server) error {
		for _, name := range b.cfg.Profiles {
			p, _, err := c.GetProfile(name)
			if err != nil {
				return err
			}
			if device, ok := p.Devices[nicName]; ok {
				nic = device
			}
		}
		return nil
	})
	return nic, err
}
