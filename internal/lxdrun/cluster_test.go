package lxdrun_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openams/ams/internal/lxdrun"
)

// TestCluster starts a cluster, runs an instance on each member, loses a member
// and gets it back, and leaves nothing behind.
func TestCluster(t *testing.T) {
	if m := lxdrun.Missing(); m != "" {
		if os.Getenv("CI") == "true" {
			t.Fatalf("LXD cannot run here: missing %s", m)
		}
		t.Skipf("LXD cannot run here: missing %s", m)
	}
	if testing.Short() {
		t.Skip("starts three LXD daemons")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	began := time.Now()
	c, err := lxdrun.StartCluster(ctx, 3)
	require.NoError(t, err)
	t.Logf("three members after %s", time.Since(began))
	t.Cleanup(func() {
		require.NoError(t, c.Stop(context.WithoutCancel(ctx)))
		for _, d := range c.Members {
			require.NoDirExists(t, d.Dir)
			require.NoFileExists(t, filepath.Join("/run/netns", filepath.Base(d.Dir)))
		}
	})
	lxc := func(args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(ctx, "lxc", args...)
		cmd.Env = c.Members[0].Env()
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "lxc %s: %s", args, out)
		return string(out)
	}
	image := filepath.Join(t.TempDir(), "image.tar.gz")
	var b bytes.Buffer
	require.NoError(t, lxdrun.BuildImage(&b))
	require.NoError(t, os.WriteFile(image, b.Bytes(), 0o600))
	lxc("image", "import", image, "--alias", "test")
	for _, name := range []string{"lxd0", "lxd1", "lxd2"} {
		lxc("launch", "test", "on-"+name, "--target", name)
	}
	require.Eventually(t, func() bool {
		return strings.Count(lxc("list", "--format", "csv", "--columns", "n4"), "10.77.") == 3
	}, 30*time.Second, 500*time.Millisecond, "each has an address of its member's network")

	require.NoError(t, c.Members[2].Kill())
	require.Eventually(t, func() bool { return strings.Contains(lxc("cluster", "list"), "OFFLINE") }, 40*time.Second, time.Second)
	require.NoError(t, c.Members[2].Restart(ctx))
	require.Eventually(t, func() bool { return !strings.Contains(lxc("cluster", "list"), "OFFLINE") }, 40*time.Second, time.Second)
	alone, err := c.Alone(ctx)
	require.NoError(t, err)
	require.NotEmpty(t, alone.Address)
}
