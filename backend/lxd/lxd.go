// Package lxd runs instances on LXD, a single daemon or a cluster.
//
// Every instance is named "ams-<id>" and carries user.ams.cluster, user.ams.id
// and user.ams.op; every image carries ams.cluster and ams.alias in the name of
// its file, and every alias a description with the cluster. What lacks the mark is
// never touched. An instance's labels are its user.ams.label.<key>, for people to
// read, and a copy has the id of its source in user.ams.copy.
//
// Of an instance's configuration limits.cpu, limits.cpu.allowance, limits.memory
// and the labels are this package's, and of its devices those whose names begin with
// "ams-", and the address of eth0. The rest is for people to change.
//
// LXD copies an image to further members of a cluster before an import or a
// publication ends: cluster.images_minimal_replica, by default 3, says how many
// have it then, and -1 is all. Where a copy fails, because a member does just
// then, LXD makes up for it within the hour. With 1 there are no copies, and an
// image is lost with the member that it was made on.
//
// Of a cluster, any living member serves: a connection that one does not take goes
// to the next, and a call whose connection was lost is made again there. Commands
// and uploads are not repeated. AddNode joins machines to the cluster and RemoveNode
// removes them.
//
// What LXD makes of a cluster: pools, networks and profiles have the same names and
// settings on each member, subnets included, and bridges of different members are
// not connected. A lost member's instances are unknown, not gone. When a leader is
// lost, LXD answers nothing for some seconds, and while it has no majority of its
// voters, nothing at all.
//
// The package is tested with LXD 5.0.2. Later versions' trust tokens are coded for, but
// not tested.
package lxd

import (
	"cmp"
	"context"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/canonical/lxd/shared/api"

	"github.com/openams/ams"
)

var (
	_ ams.Backend       = (*Backend)(nil)
	_ ams.Watcher       = (*Backend)(nil)
	_ ams.Execer        = (*Backend)(nil)
	_ ams.LogReader     = (*Backend)(nil)
	_ ams.ImageKeeper   = (*Backend)(nil)
	_ ams.Publisher     = (*Backend)(nil)
	_ ams.ImageExporter = (*Backend)(nil)
)

// Config says which LXD to use, and how. The zero value is the local daemon with
// its default profile.
type Config struct {
	// Socket is the daemon's unix socket. Default: $LXD_SOCKET, else
	// $LXD_DIR/unix.socket, else that of the snap if it exists, else
	// /var/lib/lxd/unix.socket.
	Socket string

	// URL is that of a daemon, or of any member of a cluster, that is used over
	// the network instead: "https://host:8443". URLs are those of further members
	// of the same cluster, to be tried when that one does not answer; those that
	// the cluster tells of itself are tried after them. ClientCert, ClientKey and
	// ServerCert are PEM and must be set with a URL; ServerCert is the daemon's or
	// the cluster's certificate, and members must show it.
	URL        string
	URLs       []string
	ClientCert string
	ClientKey  string
	ServerCert string

	Project  string   // default "default"
	Profiles []string // of every instance; default "default"
	// Pool is the storage pool of the instances' disks. Default: that of the root
	// disk in Profiles, else "default".
	Pool string
	// Network is what the instances' eth0 is connected to. Default: what Profiles
	// say.
	Network string
}

// Backend runs instances on LXD. It is safe for concurrent use.
type Backend struct {
	cfg  Config
	link *link

	name      string // of the daemon, or of the member that answers
	clustered bool
	rootName  string            // of the root disk device
	root      map[string]string // that device, as the profiles have it

	locks locks
	known known
	nodes nodeCache

	awaited awaited

	consoles consoles

	life   context.Context // ends with Close
	stop   context.CancelFunc
	mu     sync.Mutex
	closed bool
	work   sync.WaitGroup // requests, also those whose callers have given up
}

// Open connects to LXD and checks that the project, profiles and pool are there.
// The caller closes the Backend. It is ErrUnavailable if LXD does not answer,
// ErrInvalid if the Config does not fit, and ErrNotFound if something it names
// is missing.
func Open(ctx context.Context, cfg Config) (*Backend, error) {
	cfg.Project = cmp.Or(cfg.Project, "default")
	cfg.Profiles = slices.Clone(cfg.Profiles)
	if len(cfg.Profiles) == 0 {
		cfg.Profiles = []string{"default"}
	}
	cfg.URLs = slices.Clone(cfg.URLs)
	if cfg.URL == "" && len(cfg.URLs) > 0 {
		cfg.URL, cfg.URLs = cfg.URLs[0], cfg.URLs[1:]
	}
	if cfg.URL == "" {
		cfg.Socket = cmp.Or(cfg.Socket, defaultSocket())
	}
	link, err := newLink(cfg)
	if err != nil {
		return nil, err
	}
	b := &Backend{cfg: cfg, link: link}
	b.life, b.stop = context.WithCancel(context.WithoutCancel(ctx))
	if err := b.look(ctx); err != nil {
		return nil, ams.Errorf(ams.CodeOf(err), "opening LXD at %s: %w", cmp.Or(cfg.URL, cfg.Socket), err)
	}
	return b, nil
}

// Close ends requests under way and closes the connections. The Backend cannot be
// used any more.
func (b *Backend) Close() error {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	b.stop()
	b.work.Wait()
	b.link.close()
	return nil
}

// begin counts a request that Close waits for.
func (b *Backend) begin() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return ams.Errorf(ams.ErrUnavailable, "LXD: the backend is closed")
	}
	b.work.Add(1)
	return nil
}

// look reads what does not change.
func (b *Backend) look(ctx context.Context) error {
	return b.do(ctx, func(c server) error {
		s, _, err := c.GetServer()
		if err != nil {
			return err
		}
		if s.Auth != "trusted" {
			return ams.Errorf(ams.ErrInvalid, "LXD does not trust this client's certificate")
		}
		b.name, b.clustered = s.Environment.ServerName, s.Environment.ServerClustered
		b.rootName, b.root = "root", map[string]string{"type": "disk", "path": "/", "pool": cmp.Or(b.cfg.Pool, "default")}
		for _, name := range b.cfg.Profiles {
			p, _, err := c.GetProfile(name)
			if err != nil {
				return ams.Errorf(ams.CodeOf(b.classify(ctx, err)), "profile %q: %w", name, err)
			}
			for name, device := range p.Devices {
				if device["type"] == "disk" && device["path"] == "/" {
					b.rootName, b.root = name, device
				}
			}
		}
		b.root["pool"] = cmp.Or(b.cfg.Pool, b.root["pool"])
		b.cfg.Pool = b.root["pool"]
		if _, _, err := c.GetStoragePool(b.cfg.Pool); err != nil {
			return ams.Errorf(ams.CodeOf(b.classify(ctx, err)), "storage pool %q: %w", b.cfg.Pool, err)
		}
		if !b.clustered {
			return nil
		}
		members, err := c.GetClusterMembers()
		if err == nil {
			b.link.learn(members)
		}
		return err
	})
}

func defaultSocket() string {
	const snap = "/var/snap/lxd/common/lxd/unix.socket"
	if s := os.Getenv("LXD_SOCKET"); s != "" {
		return s
	}
	if dir := os.Getenv("LXD_DIR"); dir != "" {
		return dir + "/unix.socket"
	}
	if _, err := os.Stat(snap); err == nil {
		return snap
	}
	return "/var/lib/lxd/unix.socket"
}

// The marks of an instance, in its configuration.
const (
	markCluster = "user.ams.cluster"
	markID      = "user.ams.id"
	markAttempt = "user.ams.op"
)

// labelPrefix is what a label's key comes after in the configuration.
const labelPrefix = "user.ams.label."

const prefix = "ams-"

func instanceName(id string) string { return prefix + id }

// checkCluster checks what becomes part of a filter.
func checkCluster(cluster string) error {
	bad := func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '-' || r == '_')
	}
	if cluster == "" || len(cluster) > 64 || strings.ContainsFunc(cluster, bad) {
		return ams.Errorf(ams.ErrInvalid, "cluster %q: must be 1 to 64 of a-z, A-Z, 0-9, - and _", cluster)
	}
	return nil
}

// checkRef checks what becomes part of a name.
func checkRef(ref ams.Ref) error {
	if err := checkCluster(ref.Cluster); err != nil {
		return err
	}
	bad := func(r rune) bool { return !('a' <= r && r <= 'z' || '0' <= r && r <= '9' || r == '-') }
	if ref.ID == "" || len(ref.ID) > 59 || strings.ContainsFunc(ref.ID, bad) || strings.HasSuffix(ref.ID, "-") {
		return ams.Errorf(ams.ErrInvalid, "instance id %q: must be 1 to 59 of a-z, 0-9 and -, not ending in -", ref.ID)
	}
	return nil
}

// maxLabels bounds the keys and values of all labels.
const maxLabels = 1 << 10

// checkLabels checks what becomes part of the configuration.
func checkLabels(labels map[string]string) error {
	size := 0
	for key, value := range labels {
		if key == "" || strings.Trim(key, "abcdefghijklmnopqrstuvwxyz-") != "" {
			return ams.Errorf(ams.ErrInvalid, "label %q: a key must be of a-z and -", key)
		}
		if strings.Contains(value, "\n") {
			return ams.Errorf(ams.ErrInvalid, "label %q: a value must be one line", key)
		}
		size += len(key) + len(value)
	}
	if size > maxLabels {
		return ams.Errorf(ams.ErrInvalid, "labels: must be %d bytes in all at most, not %d", maxLabels, size)
	}
	return nil
}

// owns reports whether an instance carries the marks of ref.
func owns(config map[string]string, ref ams.Ref) bool {
	return ref.Cluster != "" && config[markCluster] == ref.Cluster && config[markID] == ref.ID
}

// known remembers which instances were seen with which cluster's mark, so that
// the usual path needs no look before it leaps.
type known struct {
	mu       sync.Mutex
	clusters map[string]string // by instance name
}

func (k *known) add(name, cluster string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.clusters == nil {
		k.clusters = map[string]string{}
	}
	k.clusters[name] = cluster
}

func (k *known) remove(name string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.clusters, name)
}

// cluster returns the mark an instance was seen with, or "".
func (k *known) cluster(name string) string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.clusters[name]
}

// own returns ErrNotFound unless the instance carries the marks of ref.
func (b *Backend) own(ctx context.Context, ref ams.Ref) error {
	if b.known.cluster(instanceName(ref.ID)) == ref.Cluster && ref.Cluster != "" {
		return nil
	}
	_, err := b.get(ctx, ref)
	return err
}

// get returns an instance that carries the marks of ref, without its state, or
// ErrNotFound.
func (b *Backend) get(ctx context.Context, ref ams.Ref) (*api.Instance, error) {
	name := instanceName(ref.ID)
	if err := checkRef(ref); err != nil {
		return nil, err
	}
	var i *api.Instance
	err := b.do(ctx, func(c server) (err error) {
		i, _, err = c.GetInstance(name)
		return err
	})
	return i, b.claim(ref, i, err)
}

// claim remembers that an instance is ours, or returns ErrNotFound. It passes on
// the error of having got it.
func (b *Backend) claim(ref ams.Ref, i *api.Instance, err error) error {
	name := instanceName(ref.ID)
	if ams.CodeOf(err) == ams.ErrNotFound || err == nil && !owns(i.Config, ref) {
		b.known.remove(name)
		return &ams.Error{Code: ams.ErrNotFound, Kind: "instance", ID: ref.ID}
	}
	if err == nil {
		b.known.add(name, ref.Cluster)
	}
	return err
}
