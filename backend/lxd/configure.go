package lxd

import (
	"context"
	"maps"

	client "github.com/canonical/lxd/client"
	"github.com/canonical/lxd/shared/api"

	"github.com/openams/ams"
)

var _ ams.Configurer = (*Backend)(nil)

// staleTries is how often a change is asked for when the instance had changed
// since it was looked at.
const staleTries = 10

// Configure implements ams.Configurer. Proxies and limits change at once, as does
// a card of a container that runs; an address is what the instance is told when it
// asks for one again. What people have set on the instance by other names stays.
// A half-made instance is ErrState.
func (b *Backend) Configure(ctx context.Context, spec ams.InstanceSpec) error {
	if err := checkShape(spec); err != nil {
		return err
	}
	return b.change(ctx, spec.Ref, func(h *held) error { return b.configure(ctx, h, spec) })
}

// configure is Configure for a caller that holds the lock. LXD refuses a change
// when the instance has changed since it was looked at, or is being changed: then
// another look is taken. LXD does not say which it was, nor whether it was that, so
// what has failed is asked for once more in any case.
func (b *Backend) configure(ctx context.Context, h *held, spec ams.InstanceSpec) error {
	name := instanceName(spec.ID)
	var failure error
	for try, same, seen := 1, 0, ""; ; try++ {
		have, etag, err := b.getTagged(ctx, spec.Ref)
		switch {
		case err != nil:
			return err
		case have.Config[markAttempt] != spec.Attempt:
			return &ams.Error{Code: ams.ErrExists, Kind: "instance", ID: spec.ID}
		case have.StatusCode == api.Error:
			return ams.Errorf(ams.ErrUnavailable, "instance %q cannot be seen now", spec.ID)
		case halfMade(have):
			return ams.Errorf(ams.ErrState, "instance %q is half made", spec.ID)
		}
		put, changed, err := b.reshape(ctx, have, spec)
		if etag == seen {
			same++
		}
		switch {
		case err != nil || !changed:
			return err
		case try > staleTries || same > 1:
			return failure
		}
		failure = b.operate(ctx, h, "", func(c server) (client.Operation, error) { return c.UpdateInstance(name, put, etag) })
		if failure == nil || ctx.Err() != nil {
			return failure
		}
		busy, err := b.running(ctx, name)
		if err != nil {
			return err
		}
		if err := b.settle(ctx, name); err != nil {
			return err
		}
		if seen = etag; len(busy) > 0 {
			seen = ""
		}
	}
}

// getTagged is get, with what tells whether the instance has changed since.
func (b *Backend) getTagged(ctx context.Context, ref ams.Ref) (i *api.Instance, etag string, err error) {
	err = b.do(ctx, func(c server) (err error) {
		i, etag, err = c.GetInstance(instanceName(ref.ID))
		return err
	})
	return i, etag, b.claim(ref, i, err)
}

// reshape returns what an instance is to be changed to, and whether that is a
// change.
func (b *Backend) reshape(ctx context.Context, have *api.Instance, spec ams.InstanceSpec) (put api.InstancePut, changed bool, err error) {
	spec.VM = have.Type == string(api.InstanceTypeVM)
	spec.Node = b.nodeOf(have)
	sh, err := b.shape(ctx, spec, have.Devices[nicName], func(context.Context) (map[string]string, error) {
		return have.ExpandedDevices[nicName], nil
	})
	if err != nil {
		return put, false, err
	}
	put = have.Writable()
	put.Config = maps.Clone(have.Config)
	maps.DeleteFunc(put.Config, func(key, _ string) bool { return ownKey(key) })
	maps.Copy(put.Config, sh.config)
	put.Devices = maps.Clone(have.Devices)
	maps.DeleteFunc(put.Devices, func(name string, _ map[string]string) bool { return ownDevice(name) })
	maps.Copy(put.Devices, sh.devices)
	changed = !maps.Equal(put.Config, have.Config) || !maps.EqualFunc(put.Devices, have.Devices, maps.Equal)
	return put, changed, nil
}
