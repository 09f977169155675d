package e2e_test

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	lxdclient "github.com/canonical/lxd/client"
	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
	"github.com/openams/ams/backend/lxd"
	"github.com/openams/ams/guest/android"
	"github.com/openams/ams/internal/audit"
	"github.com/openams/ams/internal/lxdrun"
	"github.com/openams/ams/internal/lxdtest"
	"github.com/openams/ams/storage/sqlite"
)

// helloPackage is the example application.
const helloPackage = "../../examples/apps/hello/package"

// world is a Manager on a real LXD, with an image.
type world struct {
	*ams.Manager
	t       testing.TB
	ctx     context.Context
	daemon  *lxdrun.Daemon
	store   *sqlite.Store
	backend *lxd.Backend
	client  lxdclient.InstanceServer
	change  []func(*ams.Config)
	stop    func()
}

// newWorld starts a Manager on the daemon. When the test ends, ledger, store and
// LXD must agree; then everything is deleted, and LXD must be as it was before.
func newWorld(t testing.TB, d *lxdrun.Daemon, change ...func(*ams.Config)) *world {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute) // t.Context ends before the clean-up
	t.Cleanup(cancel)
	store, err := sqlite.Open(filepath.Join(t.TempDir(), "ams.db"), nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	backend, err := lxd.Open(ctx, lxd.Config{Socket: d.Socket})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, backend.Close()) })
	w := &world{t: t, ctx: ctx, daemon: d, store: store, backend: backend, client: lxdtest.Connect(t, d), change: change}
	w.start()
	before := w.inventory()
	t.Cleanup(func() {
		if !t.Failed() {
			w.audit()
			w.deleteAll()
			require.Equal(t, before, w.inventory(), "LXD must be as it was")
		}
		w.stop()
	})
	// The machine is small; what is tested is not its size.
	rate := 100.0
	nodes, _, err := w.Nodes.List(ctx, ams.NodeFilter{}, ams.Page{})
	require.NoError(t, err)
	require.Len(t, nodes, 1)
	disk := 1000 * ams.Gigabyte
	require.NoError(t, w.Nodes.Set(ctx, nodes[0].Name, ams.NodePatch{CPURate: &rate, MemoryRate: &rate, Disk: &disk}))
	image, err := os.Open(lxdtest.ImageFile(t))
	require.NoError(t, err)
	defer image.Close()
	w.wait(w.Images.Add(ctx, "jammy:android15:amd64", image, ams.ImageOptions{}))
	return w
}

func (w *world) start() {
	cfg := ams.Config{
		Store: w.store, Backend: w.backend, Guest: android.New(android.Options{}),
		Logger:          slog.New(slog.NewTextHandler(logWriter{w.t}, &slog.HandlerOptions{Level: slog.LevelWarn})),
		CompareInterval: 2 * time.Second, StopTimeout: 20 * time.Second,
	}
	for _, change := range w.change {
		change(&cfg)
	}
	m, err := ams.New(cfg)
	require.NoError(w.t, err)
	w.Manager = m
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- m.Run(ctx) }()
	w.stop = func() {
		cancel()
		require.NoError(w.t, <-ended)
	}
	require.NoError(w.t, m.Ready(w.ctx))
}

// logWriter shows the Manager's warnings in the test's log.
type logWriter struct{ t testing.TB }

func (l logWriter) Write(p []byte) (int, error) {
	l.t.Log(strings.TrimSpace(string(p)))
	return len(p), nil
}

func (w *world) wait(op ams.Operation, err error) ams.Operation {
	w.t.Helper()
	require.NoError(w.t, err)
	op, err = w.Operations.Wait(w.ctx, op.ID)
	require.NoError(w.t, err)
	return op
}

func (w *world) fails(code ams.Code, op ams.Operation, err error) string {
	w.t.Helper()
	require.NoError(w.t, err)
	_, err = w.Operations.Wait(w.ctx, op.ID)
	require.ErrorIs(w.t, err, code)
	return err.Error()
}

// create makes the application of a package directory.
func (w *world) create(dir string) (ams.Operation, error) {
	w.t.Helper()
	p, err := ams.OpenPackage(dir)
	require.NoError(w.t, err)
	defer p.Close()
	return w.Applications.Create(w.ctx, p, ams.CreateOptions{})
}

func (w *world) launch(req ams.LaunchRequest) ams.Instance {
	w.t.Helper()
	op := w.wait(w.Instances.Launch(w.ctx, req))
	return w.instance(op.Resources["instance"][0])
}

func (w *world) instance(id string) ams.Instance {
	w.t.Helper()
	in, err := w.Instances.Get(w.ctx, id)
	require.NoError(w.t, err)
	return in
}

// sh runs a command line inside an instance and returns its output.
func (w *world) sh(id, line string) string {
	w.t.Helper()
	var out, errs bytes.Buffer
	code, err := w.Instances.Exec(w.ctx, id, ams.ExecRequest{Command: []string{"sh", "-c", line}, Stdout: &out, Stderr: &errs})
	require.NoError(w.t, err)
	require.Zero(w.t, code, "%s: %s", line, errs.String())
	return out.String()
}

// eventually polls until the condition holds, for a minute at most.
func (w *world) eventually(what string, cond func() bool) {
	w.t.Helper()
	require.Eventually(w.t, cond, time.Minute, 100*time.Millisecond, what)
}

// audit requires that ledger, store and LXD agree, within a minute.
func (w *world) audit() {
	w.t.Helper()
	var faults []string
	for until := time.Now().Add(time.Minute); time.Now().Before(until); {
		var err error
		faults, err = audit.Check(w.ctx, w.store, w.backend)
		require.NoError(w.t, err)
		if len(faults) == 0 {
			return
		}
		<-time.After(200 * time.Millisecond)
	}
	require.Empty(w.t, faults)
}

func (w *world) deleteAll() {
	var ops []ams.Operation
	keep := func(op ams.Operation, err error) {
		require.NoError(w.t, err)
		ops = append(ops, op)
	}
	instances, _, err := w.Instances.List(w.ctx, ams.InstanceFilter{}, ams.Page{})
	require.NoError(w.t, err)
	for _, in := range instances {
		keep(w.Instances.Delete(w.ctx, in.ID, true))
	}
	apps, _, err := w.Applications.List(w.ctx, ams.ApplicationFilter{}, ams.Page{})
	require.NoError(w.t, err)
	for _, app := range apps {
		keep(w.Applications.Delete(w.ctx, app.ID, true))
	}
	for _, op := range ops {
		w.wait(op, nil)
	}
	images, _, err := w.Images.List(w.ctx, ams.ImageFilter{}, ams.Page{})
	require.NoError(w.t, err)
	for _, last := range []bool{false, true} { // the default goes last
		for _, im := range images {
			if im.Default == last {
				w.wait(w.Images.Delete(w.ctx, im.ID, true))
			}
		}
	}
	addons, _, err := w.Addons.List(w.ctx, ams.AddonFilter{}, ams.Page{})
	require.NoError(w.t, err)
	for _, addon := range addons {
		w.wait(w.Addons.Delete(w.ctx, addon.Name))
	}
}

// inventory is everything there is in LXD, ours or not.
func (w *world) inventory() []string {
	w.t.Helper()
	var all []string
	names, err := w.client.GetInstanceNames("")
	require.NoError(w.t, err)
	fingerprints, err := w.client.GetImageFingerprints()
	require.NoError(w.t, err)
	aliases, err := w.client.GetImageAliasNames()
	require.NoError(w.t, err)
	profiles, err := w.client.GetProfileNames()
	require.NoError(w.t, err)
	for kind, list := range map[string][]string{"instance": names, "image": fingerprints, "alias": aliases, "profile": profiles} {
		for _, name := range list {
			all = append(all, kind+" "+name)
		}
	}
	return sorted(all)
}
