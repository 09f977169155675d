package lxd

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/canonical/lxd/shared/api"

	"github.com/openams/ams"
)

var _ ams.NodeKeeper = (*Backend)(nil)

const (
	joinKey = "cluster" // the lock of who changes the cluster's members

	joinTime    = 10 * time.Minute // LXD makes pools and networks, and copies its database
	onlineTime  = time.Minute      // until the new member is seen to be online
	lostTime    = 10 * time.Second // of no answer from a machine that was told to join
	welcomeTime = 20 * time.Second
	undoTime    = time.Minute
	pollTime    = 250 * time.Millisecond

	defaultPort = "8443"
)

// AddNode implements ams.NodeKeeper. It has the machine's LXD join with a token
// that it makes for it; the password or token of the NodeJoin is what makes that LXD
// accept the order. LXD needs a machine that was not set up: one that has storage
// pools, networks or instances is ErrState, and so is one with another version of
// LXD. LXD itself must be clustered, or it is ErrUnsupported.
//
// A cluster's pools and networks have the same names, drivers and subnets on each
// member, so a pool or network that the cluster lacks, or a subnet or MTU other than
// its, is ErrInvalid; empty is what the cluster has. StorageDevice is the pool's
// "source" on the machine. An Unmanaged machine that is no member is ErrNotFound.
//
// The machine's certificate is not known beforehand. A TrustToken names it, and
// another one is ErrInvalid before anything was sent. With a TrustPassword, whoever
// answers at the address is believed, and learns the password: it does not prove
// who answers. All that follows goes to the one that answered first, and to nobody
// else. What such a one could get in the end is a place in the cluster, so use
// passwords in networks that you trust, and tokens elsewhere.
//
// When ctx ends, the join goes on, or is undone; AddNode waits for that when it is
// called again. A trust token is spent by a join that fails, as LXD takes it once.
// An undone join leaves the settings, pools, networks and certificates of the
// machine as they were; if it dies midway, the next AddNode clears up, unless LXD
// takes itself for a member by then and has to be set up anew. What AddNode can
// find out, it finds out before the machine's LXD is told to join, for LXD 5.0 that
// failed to join makes no instances of its own before it is restarted. It may be
// told to join again at once.
func (b *Backend) AddNode(ctx context.Context, join ams.NodeJoin) error {
	address, err := memberAddress(join.Address)
	if err != nil {
		return err
	}
	if join.Name == "" {
		return ams.Errorf(ams.ErrInvalid, "a node needs a name")
	}
	if !b.clustered {
		return ams.Errorf(ams.ErrUnsupported, "LXD is not clustered: enable clustering on %q first", b.name)
	}
	unlock, err := b.locks.lock(ctx, joinKey)
	if err != nil {
		return err
	}
	if err := b.begin(); err != nil {
		unlock()
		return err
	}
	done := make(chan error, 1)
	go func() { // it must not be left half done, whoever waits for it
		defer b.work.Done()
		defer unlock()
		joining, cancel := context.WithTimeout(b.life, joinTime)
		defer cancel()
		done <- b.classify(joining, b.join(joining, ctx, join, address))
	}()
	select {
	case err := <-done:
		return b.classify(ctx, err)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// memberAddress returns the host and port of a machine.
func memberAddress(address string) (string, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		host, port = address, defaultPort
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || host == "" {
		return "", ams.Errorf(ams.ErrInvalid, "address %q: must be a host or host:port", address)
	}
	return net.JoinHostPort(host, port), nil
}

// join joins a machine. Until it has asked the machine to join, it is given up when
// asked ends, which is its caller's context; from then on only when ctx ends.
func (b *Backend) join(ctx, asked context.Context, join ams.NodeJoin, address string) error {
	members, err := b.members(asked)
	if err != nil {
		return err
	}
	switch there, err := isMember(asked, members, join.Name, address); {
	case err != nil || there:
		return err
	case join.Unmanaged:
		return &ams.Error{Code: ams.ErrNotFound, Kind: "node", ID: join.Name, Err: fmt.Errorf("it is no member of LXD's cluster")}
	}
	config, err := b.memberConfig(asked, join)
	if err != nil {
		return err
	}
	m, err := b.meet(asked, join, address)
	if err != nil {
		return err
	}
	defer m.link.close()
	back := &joinUndo{b: b, m: m, name: join.Name}
	err = func() error {
		if err := m.trust(asked, join); err != nil {
			return err
		}
		if err := b.fit(asked, m); err != nil {
			return err
		}
		if err := back.look(asked); err != nil {
			return err
		}
		if err := b.tryPool(asked, m, join); err != nil {
			return err
		}
		token, err := b.joinToken(asked, back, join.Name)
		if err != nil {
			return err
		}
		return b.order(ctx, m, join.Name, token, config, members)
	}()
	if err == nil {
		b.welcome(ctx, join.Name)
		return nil
	}
	undoing, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTime)
	defer cancel()
	back.undo(undoing)
	return err
}

// members returns the members of the cluster.
func (b *Backend) members(ctx context.Context) (members []api.ClusterMember, err error) {
	err = b.do(ctx, func(c server) (err error) {
		members, err = c.GetClusterMembers()
		return err
	})
	return members, err
}

// isMember reports whether there is a member of that name and address. One that
// has only one of them is ErrExists.
func isMember(ctx context.Context, members []api.ClusterMember, name, address string) (bool, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return false, err
	}
	hosts := []string{host}
	if _, err := netip.ParseAddr(host); err != nil {
		more, _ := net.DefaultResolver.LookupHost(ctx, host) // else the name is compared alone
		hosts = append(hosts, more...)
	}
	for _, m := range members {
		u, err := url.Parse(m.URL)
		same := err == nil && cmp.Or(u.Port(), "443") == port && slices.Contains(hosts, u.Hostname())
		switch {
		case m.ServerName == name && same:
			return true, nil
		case m.ServerName == name:
			return false, &ams.Error{Code: ams.ErrExists, Kind: "node", ID: name, Err: fmt.Errorf("it is a member of LXD's cluster with the address %s", m.URL)}
		case same:
			return false, &ams.Error{Code: ams.ErrExists, Kind: "node", ID: name, Err: fmt.Errorf("its address is that of the member %q", m.ServerName)}
		}
	}
	return false, nil
}

// memberConfig returns what is particular to the machine in the cluster's pools and
// networks, and checks that they are what is asked for.
func (b *Backend) memberConfig(ctx context.Context, join ams.NodeJoin) ([]api.ClusterMemberConfigKey, error) {
	poolName := cmp.Or(join.StoragePool, b.cfg.Pool)
	networkName := join.Network
	if networkName == "" && (join.Subnet != "" || join.NetworkMTU > 0) {
		var err error
		if networkName, err = b.uplink(ctx); err != nil {
			return nil, err
		}
	}
	var config []api.ClusterMemberConfigKey
	err := b.do(ctx, func(c server) error {
		_, _, err := c.GetStoragePool(poolName)
		if api.StatusErrorCheck(err, 404) {
			return ams.Errorf(ams.ErrInvalid, "the cluster has no storage pool %q, and a member can have no other pools than the cluster", poolName)
		}
		if err != nil {
			return err
		}
		if err := checkNetwork(c, networkName, join); err != nil {
			return err
		}
		have, _, err := c.GetCluster()
		if err != nil {
			return err
		}
		config = nil
		for _, key := range have.MemberConfig {
			key.Value = ""
			if key.Entity == "storage-pool" && key.Name == poolName && key.Key == "source" {
				key.Value = join.StorageDevice
			}
			config = append(config, key)
		}
		return nil
	})
	return config, err
}

// checkNetwork checks that the network is the cluster's, with the subnet and MTU
// that the cluster gives it.
func checkNetwork(c server, name string, join ams.NodeJoin) error {
	if name == "" {
		return nil
	}
	n, _, err := c.GetNetwork(name)
	switch {
	case api.StatusErrorCheck(err, 404):
		return ams.Errorf(ams.ErrInvalid, "the cluster has no network %q, and a member can have no other networks than the cluster", name)
	case err != nil:
		return err
	case join.Subnet != "" && join.Subnet != n.Config["ipv4.address"]:
		return ams.Errorf(ams.ErrInvalid, "subnet %s: network %q is %s on all members", join.Subnet, name, cmp.Or(n.Config["ipv4.address"], "without IPv4"))
	}
	if have := mtu(n.Config["bridge.mtu"]); join.NetworkMTU > 0 && join.NetworkMTU != have {
		return ams.Errorf(ams.ErrInvalid, "MTU %d: that of network %q is %d on all members; 0 is LXD's default", join.NetworkMTU, name, have)
	}
	return nil
}
