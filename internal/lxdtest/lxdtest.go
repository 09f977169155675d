// Package lxdtest gives tests a real LXD: one private daemon per test process,
// started when first asked for and removed when the process ends.
package lxdtest

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	lxd "github.com/canonical/lxd/client"
	"github.com/stretchr/testify/require"

	"github.com/openams/ams/internal/lxdrun"
)

// ImageAlias is the alias of the test image in the daemon that Require returns.
const ImageAlias = "lxdtest"

// shared is this process's daemon. Nobody stops it: its watcher removes it when
// the process ends.
var shared = sync.OnceValues(func() (*lxdrun.Daemon, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	d, err := lxdrun.Start(ctx, lxdrun.Options{})
	if err != nil {
		return nil, err
	}
	image := filepath.Join(d.Dir, "test-image.tar.gz")
	if err := buildImage(image); err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, "lxc", "image", "import", image, "--alias", ImageAlias)
	cmd.Env = d.Env()
	return d, cmd.Run()
})

// RequireCluster returns a cluster of three for this test alone, and stops it when
// the test ends. Where LXD cannot run, it does as Check. It takes about seven seconds.
func RequireCluster(t testing.TB) *lxdrun.Cluster {
	t.Helper()
	return RequireClusterOf(t, 3)
}

// RequireClusterOf is RequireCluster with as many members as are asked for.
func RequireClusterOf(t testing.TB, n int) *lxdrun.Cluster {
	t.Helper()
	Check(t)
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	c, err := lxdrun.StartCluster(ctx, n)
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		defer cancel()
		for i, d := range c.Members {
			if why := d.Died(); why != "" {
				t.Errorf("member %d of the cluster has died: %s", i, why)
			}
		}
		require.NoError(t, c.Stop(ctx))
	})
	return c
}

// Long reports whether there is time for what takes minutes: AMS_LONG is "1", as in
// make check.
func Long() bool { return os.Getenv("AMS_LONG") == "1" }

// Check ends the test where LXD cannot run: it fails if CI is "true" or
// AMS_REQUIRE_LXD is "1", and is otherwise skipped with one line that says what
// is missing.
func Check(t testing.TB) {
	t.Helper()
	if m := lxdrun.Missing(); m != "" {
		giveUp(t, m)
	}
}

// Programs does as Check where one of the programs is missing.
func Programs(t testing.TB, names ...string) {
	t.Helper()
	for _, name := range names {
		if _, err := exec.LookPath(name); err != nil {
			giveUp(t, name)
		}
	}
}

func giveUp(t testing.TB, missing string) {
	t.Helper()
	if os.Getenv("CI") == "true" || os.Getenv("AMS_REQUIRE_LXD") == "1" {
		t.Fatalf("this test must run here, but misses %s", missing)
	}
	t.Skipf("missing %s", missing)
}

// Require returns this process's LXD daemon, which has the test image under
// ImageAlias. Tests share it, so each uses names of its own, removes its
// instances, and leaves the daemon running; one that kills daemons starts its own
// with lxdrun.Start. Where LXD cannot run, it does as Check; a test during which
// LXD dies fails and shows why.
func Require(t testing.TB) *lxdrun.Daemon {
	t.Helper()
	Check(t)
	d, err := shared()
	require.NoError(t, err)
	t.Cleanup(func() {
		if why := d.Died(); why != "" {
			t.Errorf("LXD has died: %s", why)
		}
		if t.Failed() {
			t.Logf("what LXD says:\n%s", d.Trouble())
		}
	})
	return d
}

// Connect returns a client of the daemon, disconnected when the test ends.
func Connect(t testing.TB, d *lxdrun.Daemon) lxd.InstanceServer {
	t.Helper()
	c, err := lxd.ConnectLXDUnix(d.Socket, nil)
	require.NoError(t, err)
	t.Cleanup(c.Disconnect)
	return c
}

// ImageFile builds the test image in a file that is removed with the test.
func ImageFile(t testing.TB) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "image.tar.gz")
	require.NoError(t, buildImage(name))
	return name
}

func buildImage(name string) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	if err := lxdrun.BuildImage(f); err != nil {
		_ = f.Close()
		return err
	}
	return f.Close()
}
