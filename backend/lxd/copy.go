package lxd

import (
	"context"
	"maps"

	"github.com/canonical/lxd/shared/api"

	"github.com/openams/ams"
)

var _ ams.Copier = (*Backend)(nil)

// markSource is the mark of a copy: the id of what it was copied from.
const markSource = "user.ams.copy"

// Copy implements ams.Copier. LXD brings along the configuration of the source,
// which is made that of the spec before Copy returns. What people have set on the
// source by other names is copied with it.
func (b *Backend) Copy(ctx context.Context, spec ams.InstanceSpec, source ams.Ref) error {
	if err := checkRef(source); err != nil {
		return err
	}
	if source.Cluster != spec.Cluster || source.ID == spec.ID {
		return ams.Errorf(ams.ErrInvalid, "copying %q: the source must be another instance of the same cluster", source.ID)
	}
	spec.Fingerprint = ""
	return b.prepare(ctx, spec, func(h *held, sh shape) error {
		done, err := b.copied(ctx, spec)
		if err != nil {
			return err
		}
		if !done {
			from, err := b.copySource(ctx, source)
			if err != nil {
				return err
			}
			if err := b.make(ctx, h, spec, b.copyPost(spec, sh, from)); err != nil {
				return err
			}
		}
		return b.configure(ctx, h, spec)
	})
}

// copied reports whether a copy is there. One of another attempt is ErrExists.
func (b *Backend) copied(ctx context.Context, spec ams.InstanceSpec) (bool, error) {
	if err := b.settle(ctx, instanceName(spec.ID)); err != nil {
		return false, err
	}
	var have *api.Instance
	err := b.do(ctx, func(c server) (err error) {
		have, _, err = c.GetInstance(instanceName(spec.ID))
		return err
	})
	switch {
	case ams.CodeOf(err) == ams.ErrNotFound:
		return false, nil
	case err != nil:
		return false, err
	case have.StatusCode == api.Error:
		return false, ams.Errorf(ams.ErrUnavailable, "instance %q cannot be seen now", spec.ID)
	case !owns(have.Config, spec.Ref) || have.Config[markAttempt] != spec.Attempt:
		return false, &ams.Error{Code: ams.ErrExists, Kind: "instance", ID: spec.ID}
	}
	return !halfMade(have), nil
}

// copySource returns the instance to be copied, which must be stopped.
func (b *Backend) copySource(ctx context.Context, ref ams.Ref) (*api.Instance, error) {
	i, err := b.get(ctx, ref)
	switch {
	case err != nil:
		return nil, err
	case power(i) == ams.PowerUnknown:
		return nil, ams.Errorf(ams.ErrUnavailable, "instance %q cannot be seen now", ref.ID)
	case power(i) != ams.PowerStopped:
		return nil, ams.Errorf(ams.ErrState, "instance %q is %s, not stopped", ref.ID, power(i))
	case halfMade(i):
		return nil, ams.Errorf(ams.ErrState, "instance %q is half made", ref.ID)
	}
	return i, nil
}

// copyPost is the request that makes a copy. A device of the source's that the copy
// is not to have is taken out of effect until it is removed.
func (b *Backend) copyPost(spec ams.InstanceSpec, sh shape, from *api.Instance) api.InstancesPost {
	spec.VM = from.Type == string(api.InstanceTypeVM)
	post := b.post(instanceName(spec.ID), spec, sh)
	post.Source = api.InstanceSource{Type: "copy", Source: from.Name, InstanceOnly: true}
	post.Architecture = from.Architecture
	post.Config[markSource] = from.Config[markID]
	if nic := maps.Clone(from.Devices[nicName]); nic != nil && post.Devices[nicName] == nil {
		delete(nic, "ipv4.address")
		post.Devices[nicName] = nic
	}
	for name := range from.Devices {
		if _, wanted := post.Devices[name]; ownDevice(name) && !wanted {
			post.Devices[name] = map[string]string{"type": "none"}
		}
	}
	for key := range from.Config {
		if _, wanted := post.Config[key]; ownKey(key) && !wanted {
			post.Config[key] = ""
		}
	}
	return post
}
