package fake

import (
	"context"
	"maps"
	"reflect"
	"slices"

	"github.com/openams/ams"
)

var (
	_ ams.Configurer = (*Backend)(nil)
	_ ams.Freezer    = (*Backend)(nil)
	_ ams.Copier     = (*Backend)(nil)
)

// shape is what Configure can change of an instance.
type shape struct {
	CPUs     int
	PinCPUs  bool
	CPUSet   string
	Memory   ams.Size
	GPU, VPU string
	Static   string // the address it was given; empty is one of the cluster's choice
	Proxies  []ams.Proxy
	Labels   map[string]string
}

func shapeOf(spec ams.InstanceSpec) shape {
	return shape{
		CPUs: spec.CPUs, PinCPUs: spec.PinCPUs, CPUSet: spec.CPUSet, Memory: spec.Memory,
		GPU: spec.GPU, VPU: spec.VPU, Static: spec.Address,
		Proxies: slices.Clone(spec.Proxies), Labels: maps.Clone(spec.Labels),
	}
}

// fitsIn returns an error if the node of an instance cannot give it the shape: a
// card it does not have is ErrInvalid, an address that another instance has is
// ErrUnavailable, for that may be on its way out. b.mu is held.
func (b *Backend) fitsIn(name, node string, s *shape) error {
	n := b.node(node)
	if s.GPU != "" && !slices.ContainsFunc(n.GPUs, func(g ams.GPU) bool { return g.PCIAddress == s.GPU }) {
		return ams.Errorf(ams.ErrInvalid, "node %q has no GPU at %q", node, s.GPU)
	}
	if s.VPU != "" && !slices.ContainsFunc(n.VPUs, func(v ams.VPU) bool { return v.PCIAddress == s.VPU }) {
		return ams.Errorf(ams.ErrInvalid, "node %q has no VPU at %q", node, s.VPU)
	}
	for _, other := range b.instances {
		if s.Static != "" && other.Name != name && other.Node == node && other.Static == s.Static {
			return ams.Errorf(ams.ErrUnavailable, "address %s is that of another instance: %q", s.Static, other.Name)
		}
	}
	return nil
}

// listen returns an error if another running instance listens on a port of the
// proxies. b.mu is held.
func (b *Backend) listen(name, node string, proxies []ams.Proxy) error {
	if len(proxies) == 0 {
		return nil
	}
	for _, other := range b.instances {
		if other.Name == name || other.Node != node || !other.alive() {
			continue
		}
		for _, p := range proxies {
			for _, q := range other.Proxies {
				if p.Protocol == q.Protocol && p.NodePort < q.NodePort+q.Count && q.NodePort < p.NodePort+p.Count {
					return ams.Errorf(ams.ErrFailed, "port %s:%d is in use by %q", p.Protocol, max(p.NodePort, q.NodePort), other.Name)
				}
			}
		}
	}
	return nil
}

// Configure implements ams.Configurer.
func (b *Backend) Configure(ctx context.Context, spec ams.InstanceSpec) error {
	return b.verb(ctx, VerbConfigure, spec.Ref, func(chan struct{}) error {
		if err := checkLabels(spec.Labels); err != nil {
			return err
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		i, err := b.finds(spec.Ref)
		if err != nil {
			return err
		}
		s := shapeOf(spec)
		switch {
		case i.Attempt != spec.Attempt:
			return &ams.Error{Code: ams.ErrExists, Kind: "instance", ID: spec.ID}
		case i.Power == ams.PowerBroken:
			return ams.Errorf(ams.ErrState, "instance %q is half made", spec.ID)
		case reflect.DeepEqual(i.shape, s):
			return nil
		}
		if err := b.fitsIn(i.Name, i.Node, &s); err != nil {
			return err
		}
		if i.alive() {
			if err := b.listen(i.Name, i.Node, s.Proxies); err != nil {
				return err
			}
		}
		i.shape = s
		b.saveInstance(i)
		return b.broken
	})
}

// Freeze implements ams.Freezer.
func (b *Backend) Freeze(ctx context.Context, ref ams.Ref) error {
	return b.freeze(ctx, VerbFreeze, ref, ams.PowerRunning, ams.PowerFrozen)
}

// Unfreeze implements ams.Freezer.
func (b *Backend) Unfreeze(ctx context.Context, ref ams.Ref) error {
	return b.freeze(ctx, VerbUnfreeze, ref, ams.PowerFrozen, ams.PowerRunning)
}

func (b *Backend) freeze(ctx context.Context, verb string, ref ams.Ref, from, to ams.Power) error {
	return b.verb(ctx, verb, ref, func(epoch chan struct{}) error {
		if err := sleep(ctx, epoch, b.opts.FreezeTime); err != nil {
			return err
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		i, err := b.finds(ref)
		switch {
		case err != nil:
			return err
		case i.Power == to:
			return nil
		case i.Power != from:
			return ams.Errorf(ams.ErrState, "instance %q is %s", ref.ID, i.Power)
		}
		i.Power = to
		b.saveInstance(i)
		return b.broken
	})
}

// Copy implements ams.Copier. It takes CreateTime.
func (b *Backend) Copy(ctx context.Context, spec ams.InstanceSpec, source ams.Ref) error {
	return b.create(ctx, VerbCopy, spec, func(made *instance) error {
		from, err := b.finds(source)
		switch {
		case err != nil:
			return err
		case from.alive():
			return ams.Errorf(ams.ErrState, "instance %q runs: only stopped ones are copied", source.ID)
		case from.Power == ams.PowerBroken:
			return ams.Errorf(ams.ErrState, "instance %q is half made", source.ID)
		}
		made.Fingerprint, made.VM, made.CopyOf = from.Fingerprint, from.VM, from.ID
		return nil
	})
}
