package lxd

import (
	"context"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/canonical/lxd/shared/api"

	"github.com/openams/ams"
)

const (
	nodeTime  = 10 * time.Second // for what is asked of one member
	nodeCalls = 8                // members that are asked at once
)

// nodeCache remembers what was last seen of each node, for when it is offline.
type nodeCache struct {
	mu   sync.Mutex
	seen map[string]ams.NodeInfo
}

func (n *nodeCache) put(info ams.NodeInfo) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.seen == nil {
		n.seen = map[string]ams.NodeInfo{}
	}
	n.seen[info.Name] = info
}

func (n *nodeCache) get(name string) ams.NodeInfo {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.seen[name]
}

func (n *nodeCache) forget(name string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.seen, name)
}

// Nodes implements ams.Backend. A daemon that is not clustered is one node, named
// as the server is. A member that does not answer within 10 s is offline; of an
// offline one there is what was last seen of it by this Backend.
//
// Graphics cards are those of AMD, Intel and NVIDIA that can render. Video
// processing units are NETINT's, with eight slots each. The subnet is that of the
// instances' eth0, as the Config or the profiles have it, where that is a bridge
// managed by LXD with an IPv4 address and DHCP; LXD uses the same one on each
// member. CPUs that are isolated from the scheduler are not counted.
func (b *Backend) Nodes(ctx context.Context) ([]ams.NodeInfo, error) {
	network, err := b.uplink(ctx)
	if err != nil {
		return nil, err
	}
	if !b.clustered {
		info, err := b.inspect(ctx, "", network, ams.NodeInfo{Name: b.name})
		if err != nil {
			return nil, err
		}
		return []ams.NodeInfo{info}, nil
	}
	var members []api.ClusterMember
	err = b.do(ctx, func(c server) (err error) {
		members, err = c.GetClusterMembers()
		return err
	})
	if err != nil {
		return nil, err
	}
	b.link.learn(members)
	list := make([]ams.NodeInfo, len(members))
	slots := make(chan struct{}, nodeCalls)
	var all sync.WaitGroup
	for n, m := range members {
		all.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			list[n] = b.member(ctx, network, m)
		})
	}
	all.Wait()
	slices.SortFunc(list, func(x, y ams.NodeInfo) int { return strings.Compare(x.Name, y.Name) })
	return list, ctx.Err()
}

// member returns what is seen of a member of the cluster.
func (b *Backend) member(ctx context.Context, network string, m api.ClusterMember) ams.NodeInfo {
	info := b.nodes.get(m.ServerName)
	info.Name, info.Architecture, info.Online = m.ServerName, m.Architecture, false
	if u, err := url.Parse(m.URL); err == nil {
		info.Address = u.Hostname()
	}
	if m.Status == "Offline" {
		return info
	}
	ctx, cancel := context.WithTimeout(ctx, nodeTime)
	defer cancel()
	seen, err := b.inspect(ctx, m.ServerName, network, info)
	if err != nil {
		return info
	}
	b.nodes.put(seen)
	return seen
}

// inspect asks a daemon, or a member if target is set, what it has. The network is
// that of the instances.
func (b *Backend) inspect(ctx context.Context, target, network string, info ams.NodeInfo) (ams.NodeInfo, error) {
	err := b.doOn(ctx, target, func(c server) error {
		s, _, err := c.GetServer()
		if err != nil {
			return err
		}
		r, err := c.GetServerResources()
		if err != nil {
			return err
		}
		p, err := c.GetStoragePoolResources(b.cfg.Pool)
		if err != nil {
			return err
		}
		info.Online = true
		info.Architecture = s.Environment.KernelArchitecture
		info.VMs = slices.Contains(strings.Split(s.Environment.Driver, " | "), "qemu")
		if info.Address == "" {
			info.Address = hostOf(s.Environment.Addresses)
		}
		detect(&info, r)
		info.Pool = b.cfg.Pool
		info.Capacity.Disk = ams.Size(p.Space.Total)
		info.Capacity.DiskFree = ams.Size(p.Space.Total - min(p.Space.Used, p.Space.Total))
		return b.detectNetwork(c, network, &info)
	})
	return info, err
}

// hostOf returns the host of the first address, or "".
func hostOf(addresses []string) string {
	if len(addresses) == 0 {
		return ""
	}
	u := url.URL{Host: addresses[0]}
	return u.Hostname()
}
