package lxd

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"time"

	client "github.com/canonical/lxd/client"
	"github.com/canonical/lxd/shared/api"

	"github.com/openams/ams"
)

// discardTime bounds the deletion of the instances of a node that is forced out.
const discardTime = 2 * time.Minute

// RemoveNode implements ams.NodeKeeper. LXD resets itself on a member that
// answers: it has no pools, networks, images and trust password then, and may join
// again. With force, its instances are deleted first, whosever they are. A member
// that does not answer must be forced; when it comes back it still takes itself for
// a member, its instances go on, and its LXD has to be set up anew. What was only on
// it is lost.
func (b *Backend) RemoveNode(ctx context.Context, name string, force bool) error {
	if !b.clustered {
		if name != b.name {
			return nil
		}
		return &ams.Error{Code: ams.ErrState, Kind: "node", ID: name, Err: fmt.Errorf("it is the only one")}
	}
	unlock, err := b.locks.lock(ctx, joinKey)
	if err != nil {
		return err
	}
	defer unlock()
	members, err := b.members(ctx)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(members, func(m api.ClusterMember) bool { return m.ServerName == name })
	switch {
	case i < 0:
		return nil
	case len(members) == 1:
		return &ams.Error{Code: ams.ErrState, Kind: "node", ID: name, Err: fmt.Errorf("it is the only one")}
	case !force && members[i].Status == "Offline":
		return ams.Errorf(ams.ErrUnavailable, "node %q does not answer; it can be removed by force", name)
	}
	if !force {
		if err := b.empty(ctx, name); err != nil {
			return err
		}
	}
	b.leave(members, name)
	discarded := force && members[i].Status != "Offline" && b.discard(ctx, name)
	err = b.do(ctx, func(c server) error { return c.DeleteClusterMember(name, force && !discarded) })
	if err != nil && discarded && ctx.Err() == nil {
		err = b.do(ctx, func(c server) error { return c.DeleteClusterMember(name, true) })
	}
	if err != nil && ctx.Err() == nil {
		// What counts is whether it is still there.
		left, lookErr := b.members(ctx)
		if lookErr == nil && !slices.ContainsFunc(left, func(m api.ClusterMember) bool { return m.ServerName == name }) {
			err = nil
		}
	}
	if ams.CodeOf(err) == ams.ErrInvalid {
		err = &ams.Error{Code: ams.ErrState, Kind: "node", ID: name, Err: err}
	}
	if err == nil {
		b.nodes.forget(name)
		members = slices.Delete(members, i, i+1)
		b.link.learn(members)
	}
	return err
}

// empty returns ErrState if instances are on a member, whosever they are.
func (b *Backend) empty(ctx context.Context, name string) error {
	on, err := b.instancesOn(ctx, name)
	if err == nil && len(on) > 0 {
		err = &ams.Error{Code: ams.ErrState, Kind: "node", ID: name, Err: fmt.Errorf("it has %d instances, among them %q", len(on), on[0].Name)}
	}
	return err
}

// instancesOn returns the instances on a member, of all projects.
func (b *Backend) instancesOn(ctx context.Context, name string) (on []api.Instance, err error) {
	err = b.do(ctx, func(c server) (err error) {
		on, err = c.GetInstancesAllProjects(api.InstanceTypeAny)
		return err
	})
	return slices.DeleteFunc(on, func(i api.Instance) bool { return i.Location != name }), err
}

// discard deletes the instances on a member that answers, and reports whether it
// could: LXD resets a member only that has none.
func (b *Backend) discard(ctx context.Context, name string) bool {
	ctx, cancel := context.WithTimeout(ctx, discardTime)
	defer cancel()
	if !b.answers(ctx, name) {
		return false // LXD has not noticed yet
	}
	on, err := b.instancesOn(ctx, name)
	for _, i := range on {
		if err == nil {
			err = b.discardInstance(ctx, i)
		}
	}
	return err == nil
}

// answers reports whether a member does.
func (b *Backend) answers(ctx context.Context, name string) bool {
	ctx, cancel := context.WithTimeout(ctx, nodeTime)
	defer cancel()
	err := b.doOn(ctx, name, func(c server) error {
		_, err := c.GetServerResources()
		return err
	})
	return err == nil
}

func (b *Backend) discardInstance(ctx context.Context, i api.Instance) error {
	c, s, err := b.link.session(ctx, i.Project, "", false)
	if err != nil {
		return err
	}
	defer s.close()
	finish := func(op client.Operation, err error) error {
		if err != nil {
			return err
		}
		return b.wait(ctx, op.Get())
	}
	// It may be stopped, or stop just now.
	_ = finish(c.UpdateInstanceState(i.Name, api.InstanceStatePut{Action: "stop", Timeout: -1, Force: true}, ""))
	return finish(c.DeleteInstance(i.Name))
}

// leave has another member asked from now on than the one that is to be removed.
func (b *Backend) leave(members []api.ClusterMember, name string) {
	if b.cfg.URL == "" {
		return
	}
	for _, m := range members {
		u, err := url.Parse(m.URL)
		if err == nil && m.ServerName != name && m.Status == "Online" && b.link.route.use(hostPort(u)) {
			b.link.shared.CloseIdleConnections()
			return
		}
	}
}
