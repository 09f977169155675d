package lxd

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/canonical/lxd/shared/api"

	"github.com/openams/ams"
)

// Get implements ams.Backend. What is not there may be about to appear: only when
// nothing works on it any more is it certain that it does not exist.
func (b *Backend) Get(ctx context.Context, ref ams.Ref) (ams.Seen, error) {
	seen, err := b.glance(ctx, ref)
	if ams.CodeOf(err) != ams.ErrNotFound {
		return seen, err
	}
	unlock, err := b.locks.lock(ctx, instanceName(ref.ID))
	if err != nil {
		return ams.Seen{}, err
	}
	defer unlock()
	if err := b.settle(ctx, instanceName(ref.ID)); err != nil {
		return ams.Seen{}, err
	}
	return b.glance(ctx, ref)
}

// glance returns what there is now.
func (b *Backend) glance(ctx context.Context, ref ams.Ref) (ams.Seen, error) {
	if err := checkRef(ref); err != nil {
		return ams.Seen{}, err
	}
	var full *api.InstanceFull
	var i *api.Instance
	err := b.do(ctx, func(c server) (err error) {
		if full, _, err = c.GetInstanceFull(instanceName(ref.ID)); err == nil {
			i = &full.Instance
		}
		return err
	})
	if err := b.claim(ref, i, err); err != nil {
		return ams.Seen{}, err
	}
	seen, err := b.see(ctx, []api.Instance{*i})
	if err != nil {
		return ams.Seen{}, err
	}
	if on(seen[0].Power) && full.State != nil {
		seen[0].Address = stateAddress(full.State)
	}
	return seen[0], nil
}

// List implements ams.Backend. Addresses are those of the DHCP leases of LXD's
// own networks; what has none there has one in Get only. An instance on a member
// that is offline has no Attempt. The list is sorted by id.
func (b *Backend) List(ctx context.Context, cluster string) ([]ams.Seen, error) {
	if err := checkCluster(cluster); err != nil {
		return nil, err
	}
	all, err := b.marked(ctx, cluster)
	if err != nil {
		return nil, err
	}
	list, err := b.see(ctx, all)
	if err != nil {
		return nil, err
	}
	leases := b.leases(ctx, all)
	for n, i := range all {
		if on(list[n].Power) {
			list[n].Address = leaseAddress(&i, leases)
		}
	}
	slices.SortFunc(list, func(x, y ams.Seen) int { return strings.Compare(x.ID, y.ID) })
	return list, nil
}

// marked returns the instances that carry the cluster's mark. Of those on members
// that are offline LXD tells the name only: they are taken for ours unless they
// are known to be another cluster's, which is safe, since every verb looks at the
// mark before it acts.
func (b *Backend) marked(ctx context.Context, cluster string) ([]api.Instance, error) {
	var all []api.Instance
	filter := fmt.Sprintf("config.%s eq %s or status eq %s", markCluster, cluster, api.Error)
	err := b.do(ctx, func(c server) error {
		resp, _, err := c.RawQuery(http.MethodGet, b.path("instances")+"&recursion=1&filter="+url.QueryEscape(filter), nil, "")
		if err != nil {
			return err
		}
		return resp.MetadataAsStruct(&all)
	})
	if err != nil {
		return nil, err
	}
	ours := all[:0]
	for _, i := range all {
		id, ok := strings.CutPrefix(i.Name, prefix)
		have := b.known.cluster(i.Name)
		switch {
		case !ok:
		case owns(i.Config, ams.Ref{Cluster: cluster, ID: id}):
			b.known.add(i.Name, cluster)
			ours = append(ours, i)
		case i.StatusCode == api.Error && len(i.Config) == 0 && (have == "" || have == cluster):
			i.Config = map[string]string{markID: id}
			ours = append(ours, i)
		}
	}
	return ours, nil
}

// see is what is seen of instances, without addresses. Those that look half made
// may be in the making, which takes another look.
func (b *Backend) see(ctx context.Context, all []api.Instance) ([]ams.Seen, error) {
	var ops []api.Operation
	if slices.ContainsFunc(all, func(i api.Instance) bool { return halfMade(&i) }) {
		err := b.do(ctx, func(c server) (err error) {
			ops, err = c.GetOperations()
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	list := make([]ams.Seen, 0, len(all))
	for _, i := range all {
		s := ams.Seen{
			ID:      i.Config[markID],
			Attempt: i.Config[markAttempt],
			Node:    b.nodeOf(&i),
			Power:   power(&i),
		}
		if halfMade(&i) && !slices.ContainsFunc(ops, func(op api.Operation) bool { return concerns(op, i.Name) }) {
			s.Power = ams.PowerBroken
		}
		list = append(list, s)
	}
	return list, nil
}

// nodeOf returns where an instance is.
func (b *Backend) nodeOf(i *api.Instance) string {
	if b.clustered {
		return i.Location
	}
	return b.name
}

// power returns the power of an instance, which may be half made.
func power(i *api.Instance) ams.Power {
	switch i.StatusCode {
	case api.Stopped, api.Aborting, api.Starting:
		return ams.PowerStopped
	case api.Running, api.Ready, api.Freezing, api.Thawed, api.Stopping:
		return ams.PowerRunning
	case api.Frozen:
		return ams.PowerFrozen
	}
	return ams.PowerUnknown // api.Error: LXD, or the member it is on, cannot tell
}

// on reports whether an instance runs, frozen or not.
func on(p ams.Power) bool { return p == ams.PowerRunning || p == ams.PowerFrozen }

// halfMade reports whether an instance is stopped, was never started, and lacks
// what LXD writes last when it makes one: that its templates are to be applied
// when it starts. A copy may have had the map of its source from the beginning.
func halfMade(i *api.Instance) bool {
	idmap := i.Config["volatile.last_state.idmap"]
	return i.StatusCode == api.Stopped &&
		i.Config["volatile.apply_template"] == "" &&
		i.Config["volatile.last_state.power"] == "" &&
		(idmap == "" || idmap == "[]" || i.Config[markSource] != "")
}

// stateAddress returns the first global IPv4 address of an instance, of eth0 if
// it has that.
func stateAddress(state *api.InstanceState) string {
	names := slices.SortedFunc(maps.Keys(state.Network), func(x, y string) int {
		if (x == "eth0") != (y == "eth0") {
			if x == "eth0" {
				return -1
			}
			return 1
		}
		return strings.Compare(x, y)
	})
	for _, name := range names {
		for _, a := range state.Network[name].Addresses {
			if a.Family == "inet" && a.Scope == "global" {
				return a.Address
			}
		}
	}
	return ""
}

// leases returns the IPv4 addresses that LXD's networks gave out, by hardware
// address, for the networks that the instances are on. A network that is not
// LXD's has none.
func (b *Backend) leases(ctx context.Context, all []api.Instance) map[string]string {
	networks := map[string]bool{}
	for _, i := range all {
		if !on(power(&i)) {
			continue
		}
		for _, d := range i.ExpandedDevices {
			if d["type"] == "nic" && d["network"] != "" {
				networks[d["network"]] = true
			}
		}
	}
	addresses := map[string]string{}
	for name := range networks {
		// An address that is not known now is told later: no error.
		_ = b.do(ctx, func(c server) error {
			leases, err := c.GetNetworkLeases(name)
			for _, l := range leases {
				if a, err := netip.ParseAddr(l.Address); err == nil && a.Is4() && l.Hwaddr != "" {
					addresses[l.Hwaddr] = l.Address
				}
			}
			return err
		})
	}
	return addresses
}

// leaseAddress returns the address of an instance's first NIC by name.
func leaseAddress(i *api.Instance, leases map[string]string) string {
	for _, name := range slices.Sorted(maps.Keys(i.ExpandedDevices)) {
		if a := leases[i.Config["volatile."+name+".hwaddr"]]; a != "" {
			return a
		}
	}
	return ""
}
