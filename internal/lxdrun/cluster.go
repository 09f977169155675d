package lxdrun

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os/exec"
	"strings"
)

// TrustPassword is that of every daemon in a Cluster.
const TrustPassword = "trust-password"

// Cluster is a private LXD cluster on one machine. Each member has a network
// namespace of its own, with an address that this machine reaches, and a bridge
// "amsbr0" for its instances. Its methods are not safe for concurrent use.
type Cluster struct {
	Members []*Daemon // in the order in which they were made; "lxd0", "lxd1", …

	network netip.Prefix // of the switch that joins them
	link    string       // the switch's bridge
	owner   *Daemon      // of the switch: the directory it is removed with
}

// memberConfig is the configuration of the first member; the others get it when
// they join. The bridge's network is the same on each, as it is on real ones.
const memberConfig = `
config:
  core.https_address: @ADDRESS@:8443
  core.trust_password: @PASSWORD@
networks:
- name: amsbr0
  type: bridge
  config:
    ipv4.address: 10.77.0.1/20
    ipv4.nat: "true"
    ipv6.address: none
storage_pools:
- {name: default, driver: dir}
profiles:
- name: default
  config:
    boot.host_shutdown_timeout: "5"
  devices:
    root: {type: disk, path: /, pool: default}
    eth0: {type: nic, name: eth0, network: amsbr0}
cluster: {server_name: lxd0, enabled: true}
`

const joinConfig = `
cluster: {enabled: true, server_name: @NAME@, server_address: "@ADDRESS@:8443", cluster_token: @TOKEN@, member_config: []}
`

// aloneConfig is for a daemon that is to be joined by somebody else.
const aloneConfig = `
config:
  core.https_address: @ADDRESS@:8443
  core.trust_password: @PASSWORD@
`

// StartCluster runs a cluster of n members. A member that is killed counts as
// offline after eleven seconds. It takes about two seconds per member. The caller
// must Stop the cluster; if the caller's process ends without doing so, it is
// removed all the same.
func StartCluster(ctx context.Context, n int) (*Cluster, error) {
	if m := Missing(); m != "" {
		return nil, fmt.Errorf("cannot run LXD here: missing %s", m)
	}
	for _, name := range []string{"nsenter", "unshare", "ip"} {
		if _, err := exec.LookPath(name); err != nil {
			return nil, fmt.Errorf("cannot run an LXD cluster here: missing %s", name)
		}
	}
	c := &Cluster{}
	if err := c.connect(ctx); err != nil {
		return nil, errors.Join(err, c.Stop(context.WithoutCancel(ctx)))
	}
	for i := range n {
		_, err := c.add(ctx, i > 0)
		if err == nil && i == 0 {
			err = c.Members[0].run(ctx, nil, "lxc", "config", "set", "cluster.offline_threshold", "11")
		}
		if err != nil {
			return nil, errors.Join(err, c.Stop(context.WithoutCancel(ctx)))
		}
	}
	return c, nil
}

// connect makes the switch.
func (c *Cluster) connect(ctx context.Context) error {
	unlock, err := lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	sweep()
	if c.owner, err = prepare(Options{}); err != nil {
		return err
	}
	if c.network, err = netip.ParsePrefix(c.owner.Subnet); err != nil {
		return err
	}
	c.link = c.owner.Bridge
	for _, args := range []string{
		"link add " + c.link + " type bridge",
		"addr add " + c.network.String() + " dev " + c.link,
		"link set " + c.link + " up",
	} {
		if out, err := exec.CommandContext(ctx, "ip", strings.Fields(args)...).CombinedOutput(); err != nil {
			return fmt.Errorf("ip %s: %w: %s", args, err, out)
		}
	}
	return nil
}

// add starts another daemon, as a member, or as the first of all.
func (c *Cluster) add(ctx context.Context, join bool) (*Daemon, error) {
	config := memberConfig
	name := fmt.Sprint("lxd", len(c.Members))
	if join {
		token, err := c.token(ctx, name)
		if err != nil {
			return nil, err
		}
		config = strings.NewReplacer("@NAME@", name, "@TOKEN@", token).Replace(joinConfig)
	}
	return c.start(ctx, config)
}

// Alone starts another daemon on the switch, which is no member: it listens, and
// its trust password is TrustPassword. It is stopped with the cluster.
func (c *Cluster) Alone(ctx context.Context) (*Daemon, error) { return c.start(ctx, aloneConfig) }

func (c *Cluster) start(ctx context.Context, config string) (*Daemon, error) {
	unlock, err := lock(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	address := c.network.Addr()
	for range 9 + len(c.Members) {
		address = address.Next()
	}
	h := &host{link: c.link, address: netip.PrefixFrom(address, c.network.Bits()).String(), gateway: c.network.Addr().String()}
	d, err := prepare(Options{
		Preseed: strings.NewReplacer("@ADDRESS@", address.String(), "@PASSWORD@", TrustPassword).Replace(config),
		host:    h,
	})
	if err != nil {
		return nil, err
	}
	c.Members = append(c.Members, d)
	if err := d.start(ctx); err != nil {
		return nil, err
	}
	return d, d.preseed(ctx)
}

// Cut takes a daemon off the switch, as a broken cable does: what is sent to it, or
// by it, is lost, and nobody is told.
func (c *Cluster) Cut(ctx context.Context, d *Daemon) error { return c.cable(ctx, d, "down") }

// Mend undoes Cut.
func (c *Cluster) Mend(ctx context.Context, d *Daemon) error { return c.cable(ctx, d, "up") }

func (c *Cluster) cable(ctx context.Context, d *Daemon, state string) error {
	out, err := exec.CommandContext(ctx, "ip", "link", "set", hostEnd(d.Dir), state).CombinedOutput()
	if err != nil {
		return fmt.Errorf("ip link set %s: %w: %s", state, err, out)
	}
	return nil
}

// token is what a new member joins with.
func (c *Cluster) token(ctx context.Context, name string) (string, error) {
	cmd := exec.CommandContext(ctx, "lxc", "cluster", "add", name)
	cmd.Env = c.Members[0].Env()
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("lxc cluster add: %w", err)
	}
	lines := strings.Fields(string(out))
	if len(lines) == 0 {
		return "", errors.New("lxc cluster add printed no token")
	}
	return lines[len(lines)-1], nil
}

// Stop stops all daemons and removes everything that belongs to the cluster.
func (c *Cluster) Stop(ctx context.Context) error {
	var errs []error
	for _, d := range c.Members {
		// At once: members that are asked one after another wait for each other.
		errs = append(errs, d.Kill())
	}
	for _, d := range c.Members {
		errs = append(errs, d.Stop(ctx))
	}
	if c.owner != nil {
		errs = append(errs, c.owner.Stop(ctx))
	}
	return errors.Join(errs...)
}
