package fake

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/openams/ams"
)

// instance is an instance as the cluster holds it, and as the journal keeps it.
type instance struct {
	Name        string
	Cluster     string // the marks; all empty in a foreign one
	ID          string
	Attempt     string
	Foreign     bool
	Node        string
	Fingerprint string
	CopyOf      string // the id of the instance it is a copy of
	VM          bool
	CPUs        int
	PinCPUs     bool
	CPUSet      string
	Memory      ams.Size
	Disk        ams.Size
	GPU, VPU    string
	Fixed       string // the address it is to get; empty is any
	Proxies     []ams.Proxy
	Labels      map[string]string
	Power       ams.Power
	Address     string
	Logs        map[string][]byte

	stopped chan struct{}     // closed when a running one stops
	growth  map[string]growth // of the logs
}

// instanceName returns what the cluster calls the instance with an id.
func instanceName(id string) string { return "ams-" + id }

func (i *instance) seen() ams.Seen {
	return ams.Seen{ID: i.ID, Attempt: i.Attempt, Node: i.Node, Power: i.Power, Address: i.Address}
}

// on reports whether an instance runs, frozen or not.
func (i *instance) on() bool { return i.Power == ams.PowerRunning || i.Power == ams.PowerFrozen }

// run turns a stopped instance into a running one. Backend.mu is held.
func (i *instance) run(address string) {
	i.Power, i.Address, i.stopped = ams.PowerRunning, address, make(chan struct{})
}

// stop turns a running instance into a stopped one. Backend.mu is held.
func (i *instance) stop() {
	if i.on() {
		i.Power, i.Address = ams.PowerStopped, ""
		close(i.stopped)
	}
}

// newAddress returns have, or else an address that was not given out before.
// b.mu is held.
func (b *Backend) newAddress(have string) string {
	b.addresses++
	n := b.addresses
	return cmp.Or(have, fmt.Sprintf("10.%d.%d.%d", 64+n/62500%128, n/250%250, 2+n%250))
}

// find returns the instance a Ref names, or nil. b.mu is held.
func (b *Backend) find(ref ams.Ref) *instance {
	i := b.instances[instanceName(ref.ID)]
	if i == nil || i.Foreign || i.Cluster != ref.Cluster {
		return nil
	}
	return i
}

// finds is find for those that need one on a node that answers. b.mu is held.
func (b *Backend) finds(ref ams.Ref) (*instance, error) {
	i := b.find(ref)
	if i == nil {
		return nil, &ams.Error{Code: ams.ErrNotFound, Kind: "instance", ID: ref.ID}
	}
	if err := b.reach(i.Node); err != nil {
		return nil, err
	}
	return i, nil
}

// hold adds an instance, or replaces the one of its name. b.mu is held.
func (b *Backend) hold(i *instance) {
	b.drop(i.Name)
	b.instances[i.Name] = i
	if b.onNode[i.Node] == nil {
		b.onNode[i.Node] = map[string]*instance{}
	}
	b.onNode[i.Node][i.Name] = i
}

// drop takes an instance away. b.mu is held.
func (b *Backend) drop(name string) {
	if i := b.instances[name]; i != nil {
		delete(b.onNode[i.Node], name)
		delete(b.instances, name)
	}
}

// removeInstance forgets an instance. b.mu is held.
func (b *Backend) removeInstance(i *instance) {
	i.stop()
	i.Power = ams.PowerAbsent
	b.drop(i.Name)
	b.save(record{RemoveInstance: i.Name})
}

// Create implements ams.Backend. A fingerprint or node that is not there is
// ErrNotFound.
func (b *Backend) Create(ctx context.Context, spec ams.InstanceSpec) error {
	return b.create(ctx, VerbCreate, spec, func(*instance) error {
		if b.images[spec.Fingerprint] == nil {
			return &ams.Error{Code: ams.ErrNotFound, Kind: "image", ID: spec.Fingerprint}
		}
		return nil
	})
}

// create makes an instance, of whose origin the function says what there is to say,
// with b.mu held.
func (b *Backend) create(ctx context.Context, verb string, spec ams.InstanceSpec, origin func(*instance) error) error {
	return b.verb(ctx, verb, spec.Ref, func(epoch chan struct{}) error {
		if err := checkSpec(spec); err != nil {
			return err
		}
		b.mu.Lock()
		made, err := b.startCreate(spec, origin)
		b.mu.Unlock()
		if made == nil || err != nil {
			return err
		}
		err = sleep(ctx, epoch, b.opts.CreateTime)
		b.mu.Lock()
		defer b.mu.Unlock()
		switch {
		case err == nil:
		case ctx.Err() != nil:
			b.save(record{RemoveInstance: made.Name})
			return err
		default:
			made.Power = ams.PowerBroken
		}
		if b.instances[made.Name] != nil {
			return ams.Errorf(ams.ErrExists, "the name %q is taken", made.Name)
		}
		b.hold(made)
		b.saveInstance(made)
		return cmp.Or(err, b.broken)
	})
}

// maxLabels bounds the keys and values of all labels.
const maxLabels = 1 << 10

// checkLabels checks the labels as backend/lxd does.
func checkLabels(labels map[string]string) error {
	size := 0
	for key, value := range labels {
		if key == "" || strings.Trim(key, "abcdefghijklmnopqrstuvwxyz-") != "" || strings.Contains(value, "\n") {
			return ams.Errorf(ams.ErrInvalid, "label %q: a key must be of a-z and -, and a value one line", key)
		}
		size += len(key) + len(value)
	}
	if size > maxLabels {
		return ams.Errorf(ams.ErrInvalid, "labels: must be %d bytes in all at most, not %d", maxLabels, size)
	}
	return nil
}

// startCreate returns the instance to be made, or nil if it exists. It is in the
// journal already: if the process dies, the cluster goes on. b.mu is held.
func (b *Backend) startCreate(spec ams.InstanceSpec, origin func(*instance) error) (*instance, error) {
	if err := b.reach(spec.Node); err != nil {
		return nil, err
	}
	name := instanceName(spec.ID)
	if i := b.instances[name]; i != nil {
		if i.Foreign || i.Cluster != spec.Cluster || i.Attempt != spec.Attempt || i.Power == ams.PowerBroken {
			return nil, &ams.Error{Code: ams.ErrExists, Kind: "instance", ID: spec.ID}
		}
		return nil, nil
	}
	if spec.VM && !b.node(spec.Node).VMs {
		return nil, ams.Errorf(ams.ErrUnsupported, "node %q cannot run virtual machines", spec.Node)
	}
	if err := b.hasVPU(spec.Node, spec.VPU); err != nil {
		return nil, err
	}
	made := &instance{
		Name:        name,
		Cluster:     spec.Cluster,
		ID:          spec.ID,
		Attempt:     spec.Attempt,
		Node:        spec.Node,
		Fingerprint: spec.Fingerprint,
		VM:          spec.VM,
		Disk:        spec.Disk,
		Power:       ams.PowerStopped,
	}
	made.shape(spec)
	if err := origin(made); err != nil {
		return nil, err
	}
	b.saveInstance(made)
	return made, b.broken
}

// Delete implements ams.Backend.
func (b *Backend) Delete(ctx context.Context, ref ams.Ref) error {
	return b.verb(ctx, VerbDelete, ref, func(epoch chan struct{}) error {
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, took := range []time.Duration{b.opts.DeleteTime, 0} {
			i := b.find(ref)
			if i == nil {
				return nil
			}
			if err := b.reach(i.Node); err != nil {
				return err
			}
			if i.on() {
				return ams.Errorf(ams.ErrState, "instance %q is %s", ref.ID, i.Power)
			}
			if took == 0 {
				b.removeInstance(i)
				return b.broken
			}
			b.mu.Unlock()
			err := sleep(ctx, epoch, took)
			b.mu.Lock()
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// verb is call for a change of one instance: at most one is under way, and the
// watchers hear of it.
func (b *Backend) verb(ctx context.Context, verb string, ref ams.Ref, work func(epoch chan struct{}) error) error {
	return b.call(ctx, verb, ref.ID, func() error {
		unlock, err := b.lock(ctx, "instance "+ref.ID)
		if err != nil {
			return err
		}
		defer b.tell(ref.Cluster, ref.ID)
		defer unlock()
		b.mu.Lock()
		epoch := b.epoch
		b.mu.Unlock()
		return work(epoch)
	})
}

// Get implements ams.Backend. An instance on a node that does not answer has
// PowerUnknown.
func (b *Backend) Get(ctx context.Context, ref ams.Ref) (seen ams.Seen, err error) {
	err = b.call(ctx, VerbGet, ref.ID, func() error {
		b.mu.Lock()
		defer b.mu.Unlock()
		i := b.find(ref)
		if i == nil {
			return &ams.Error{Code: ams.ErrNotFound, Kind: "instance", ID: ref.ID}
		}
		seen = b.see(i)
		return nil
	})
	return seen, err
}

// List implements ams.Backend. It is sorted by id.
func (b *Backend) List(ctx context.Context, cluster string) (list []ams.Seen, err error) {
	err = b.call(ctx, VerbList, "", func() error {
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, i := range b.instances {
			if !i.Foreign && i.Cluster == cluster {
				list = append(list, b.see(i))
			}
		}
		return nil
	})
	slices.SortFunc(list, func(x, y ams.Seen) int { return cmp.Compare(x.ID, y.ID) })
	return list, err
}

// see is what is seen of an instance now. b.mu is held.
func (b *Backend) see(i *instance) ams.Seen {
	s := i.seen()
	if b.reach(i.Node) != nil {
		s.Power, s.Address = ams.PowerUnknown, ""
	}
	return s
}
