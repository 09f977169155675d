package lxdrun_test

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openams/ams/internal/lxdrun"
)

// need skips where LXD cannot run, unless it must.
func need(t *testing.T) {
	t.Helper()
	m := lxdrun.Missing()
	if m == "" {
		return
	}
	require.True(t, os.Getenv("CI") != "true" && os.Getenv("AMS_REQUIRE_LXD") != "1", "missing %s", m)
	t.Skipf("missing %s", m)
}

// lxc runs the command line client against d and returns its output.
func lxc(t *testing.T, d *lxdrun.Daemon, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "lxc", args...)
	cmd.Env = d.Env()
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "lxc %v: %s", args, out)
	return string(out)
}

func TestDaemon(t *testing.T) {
	need(t)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	t0 := time.Now()
	d, err := lxdrun.Start(ctx, lxdrun.Options{})
	require.NoError(t, err)
	t.Log("start", time.Since(t0))
	t.Cleanup(func() { require.NoError(t, d.Stop(context.Background())) })

	image := filepath.Join(t.TempDir(), "image.tar.gz")
	f, err := os.Create(image)
	require.NoError(t, err)
	require.NoError(t, lxdrun.BuildImage(f))
	require.NoError(t, f.Close())
	lxc(t, d, "image", "import", image, "--alias", "test")
	lxc(t, d, "launch", "test", "c1")
	lxc(t, d, "launch", "test", "c2")
	require.Eventually(t, func() bool {
		out := lxc(t, d, "list", "-c4", "--format=csv", "c1")
		return len(out) > len("10.x.x.x")
	}, 10*time.Second, 50*time.Millisecond, "c1 gets no address")

	t0 = time.Now()
	lxc(t, d, "stop", "c1")
	require.Less(t, time.Since(t0), 5*time.Second, "a graceful stop is slow")
	t.Log("graceful stop", time.Since(t0))

	uptime := lxc(t, d, "exec", "c2", "--", "stat", "-c", "%Y", "/proc/1")
	require.NoError(t, d.Kill())
	require.NoError(t, d.Restart(ctx))
	require.Equal(t, uptime, lxc(t, d, "exec", "c2", "--", "stat", "-c", "%Y", "/proc/1"),
		"the instance did not survive the daemon")

	t0 = time.Now()
	require.NoError(t, d.Stop(ctx))
	t.Log("stop", time.Since(t0))
	gone(t, d.Dir, d.Bridge)
}

// gone checks that nothing is left of a daemon.
func gone(t *testing.T, dir, bridge string) {
	t.Helper()
	require.NoDirExists(t, dir)
	_, err := net.InterfaceByName(bridge)
	require.Error(t, err)
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	require.NoError(t, err)
	require.NotContains(t, string(mounts), dir)
	procs, err := filepath.Glob("/proc/[0-9]*")
	require.NoError(t, err)
	for _, p := range procs {
		cmdline, _ := os.ReadFile(filepath.Join(p, "cmdline")) // it may have ended
		require.NotContains(t, string(cmdline), dir, p)
	}
}
