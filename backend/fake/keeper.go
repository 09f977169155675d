package fake

import (
	"context"
	"fmt"

	"github.com/openams/ams"
)

var _ ams.NodeKeeper = (*Backend)(nil)

// AddNode implements ams.NodeKeeper. It takes JoinTime, and the node is like those
// that a cluster has without being told.
func (b *Backend) AddNode(ctx context.Context, join ams.NodeJoin) error {
	return b.call(ctx, VerbAddNode, join.Name, func() error {
		b.mu.Lock()
		epoch := b.epoch
		have, number := b.node(join.Name) != nil, len(b.nodes)
		b.mu.Unlock()
		switch {
		case have:
			return nil
		case join.Unmanaged:
			return ams.Errorf(ams.ErrNotFound, "there is no member %q", join.Name)
		}
		if err := sleep(ctx, epoch, b.opts.JoinTime); err != nil {
			return err
		}
		n := defaultNode(number)
		n.Name = join.Name
		n.Address = fmt.Sprintf("10.63.%d.%d", number/250, number%250+1)
		n.Pool, n.NetworkMTU = join.StoragePool, join.NetworkMTU
		b.SetNode(n)
		b.mu.Lock()
		defer b.mu.Unlock()
		b.save(record{Node: &n})
		return b.broken
	})
}

// RemoveNode implements ams.NodeKeeper.
func (b *Backend) RemoveNode(ctx context.Context, name string, force bool) error {
	return b.call(ctx, VerbRemoveNode, name, func() error {
		b.mu.Lock()
		n := b.node(name)
		var err error
		switch {
		case n == nil:
		case len(b.nodes) == 1:
			err = ams.Errorf(ams.ErrState, "node %q is the last one", name)
		case force:
		case !n.Online:
			err = ams.Errorf(ams.ErrUnavailable, "node %q does not answer", name)
		default:
			for _, i := range b.instances {
				if i.Node == name {
					err = ams.Errorf(ams.ErrState, "instance %q is on node %q", i.Name, name)
				}
			}
		}
		b.mu.Unlock()
		if n == nil || err != nil {
			return err
		}
		b.RemoveNodeBehindBack(name)
		b.mu.Lock()
		defer b.mu.Unlock()
		b.save(record{RemoveNode: name})
		return b.broken
	})
}
