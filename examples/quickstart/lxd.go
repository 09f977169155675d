package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	client "github.com/canonical/lxd/client"
	"github.com/canonical/lxd/shared/api"

	"github.com/openams/ams"
	"github.com/openams/ams/backend/lxd"
	"github.com/openams/ams/guest/android"
	"github.com/openams/ams/internal/lxdrun"
)

// machineLXD uses the LXD that runs on this machine, in a project, with a storage
// pool and a network that are made for it. The error is errNoLXD if there is none.
func machineLXD(ctx context.Context, socket string) (*place, error) {
	c, path, err := connect(ctx, socket)
	if err != nil {
		return nil, err
	}
	// Two runs at a time would remove each other's project.
	lock, err := net.Listen("unix", "@ams-quickstart")
	if err != nil {
		return nil, errors.New("another quickstart is running on this machine")
	}
	box, err := newSandbox(c)
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	p, err := newLXD(ctx, c, lxd.Config{Socket: path, Project: project, Pool: pool, Network: network})
	if err != nil {
		return nil, errors.Join(err, box.remove(), lock.Close())
	}
	p.about = fmt.Sprintf("On the LXD at %s, in its project %s", path, project)
	backend := p.close
	p.close = func(ctx context.Context) error {
		return errors.Join(backend(ctx), box.remove(), lock.Close())
	}
	return p, nil
}

// privateLXD starts an LXD that goes when this program does.
func privateLXD(ctx context.Context) (*place, error) {
	d, err := lxdrun.Start(ctx, lxdrun.Options{})
	if err != nil {
		return nil, err
	}
	c, err := client.ConnectLXDUnixWithContext(ctx, d.Socket, nil)
	if err != nil {
		return nil, errors.Join(err, d.Stop(ctx))
	}
	p, err := newLXD(ctx, c, lxd.Config{Socket: d.Socket})
	if err != nil {
		return nil, errors.Join(err, d.Stop(ctx))
	}
	p.about = "On an LXD started for this run, in " + d.Dir + ", as none runs on this machine"
	backend := p.close
	p.close = func(ctx context.Context) error { return errors.Join(backend(ctx), d.Stop(ctx)) }
	return p, nil
}

// connect finds LXD's socket and sees whether LXD answers there.
func connect(ctx context.Context, socket string) (client.InstanceServer, string, error) {
	candidates := []string{socket}
	if socket == "" {
		candidates = []string{os.Getenv("LXD_SOCKET"), "/var/snap/lxd/common/lxd/unix.socket", "/var/lib/lxd/unix.socket"}
		if dir := os.Getenv("LXD_DIR"); dir != "" {
			candidates = append([]string{filepath.Join(dir, "unix.socket")}, candidates...)
		}
	}
	failure := fmt.Errorf("%w: none runs on this machine", errNoLXD)
	for _, path := range candidates {
		if _, err := os.Stat(path); path == "" || err != nil {
			continue
		}
		// The context is that of the connection; its end is what bounds the wait,
		// as LXD may have to be started by systemd first.
		life, cancel := context.WithCancel(context.WithoutCancel(ctx))
		slow := time.AfterFunc(30*time.Second, cancel)
		c, err := client.ConnectLXDUnixWithContext(life, path, nil)
		if !slow.Stop() || err != nil {
			cancel()
			failure = fmt.Errorf("%w: the one at %s does not answer: %w", errNoLXD, path, err)
			continue
		}
		if c.IsClustered() {
			cancel()
			failure = fmt.Errorf("%w: the one at %s is a cluster, where storage and networks are the operator's to make", errNoLXD, path)
			continue
		}
		return c, path, nil
	}
	return nil, "", failure
}

// newLXD opens the backend and says how to see what LXD has.
func newLXD(ctx context.Context, c client.InstanceServer, cfg lxd.Config) (*place, error) {
	b, err := lxd.Open(ctx, cfg)
	if err != nil {
		return nil, err
	}
	if cfg.Project != "" {
		c = c.UseProject(cfg.Project)
	}
	return &place{
		backend: b,
		guest:   android.New(android.Options{}),
		image:   standIn,
		command: []string{"dumpsys", "package", "org.openams.hello"},
		log:     "hello-hooks.log",
		seenBy:  "What LXD itself says",
		list:    func(ctx context.Context, _ *ams.Manager) ([]string, error) { return listLXD(ctx, c) },
		close: func(context.Context) error {
			c.Disconnect()
			return b.Close()
		},
	}, nil
}

// listLXD returns the instances as LXD lists them, without asking the Manager.
// It gives them some time to get their addresses.
func listLXD(ctx context.Context, c client.InstanceServer) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	for {
		all, err := c.GetInstancesFull(api.InstanceTypeAny)
		if err != nil {
			return nil, err
		}
		lines, complete := []string{fmt.Sprintf("%-26s %-9s %-16s %s", "NAME", "STATUS", "IPV4", "PROCESSES")}, true
		for _, in := range all {
			address := addressOf(in.State)
			complete = complete && address != ""
			lines = append(lines, fmt.Sprintf("%-26s %-9s %-16s %d", in.Name, in.State.Status, address, in.State.Processes))
		}
		if complete || ctx.Err() != nil {
			return lines, nil
		}
		select {
		case <-ctx.Done():
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func addressOf(s *api.InstanceState) string {
	for _, a := range s.Network["eth0"].Addresses {
		if a.Family == "inet" && a.Scope == "global" {
			return a.Address
		}
	}
	return ""
}
