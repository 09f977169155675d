package lxdrun_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openams/ams/internal/lxdrun"
	"github.com/openams/ams/internal/lxdtest"
)

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
	lxdtest.Check(t)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	d, err := lxdrun.Start(ctx, lxdrun.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, d.Stop(context.Background())) })

	image := lxdtest.ImageFile(t)
	lxc(t, d, "image", "import", image, "--alias", "test")
	lxc(t, d, "launch", "test", "c1")
	lxc(t, d, "launch", "test", "c2")
	require.Eventually(t, func() bool {
		out := lxc(t, d, "list", "-c4", "--format=csv", "c1")
		return len(out) > len("10.x.x.x")
	}, time.Minute, 50*time.Millisecond, "c1 gets no address")

	begin := time.Now()
	lxc(t, d, "stop", "c1")
	require.Less(t, time.Since(begin), 20*time.Second, "a graceful stop waits to be forced")

	booted := lxc(t, d, "exec", "c2", "--", "stat", "-c", "%Y", "/proc/1")
	require.NoError(t, d.Kill())
	require.NoError(t, d.Restart(ctx))
	require.Equal(t, booted, lxc(t, d, "exec", "c2", "--", "stat", "-c", "%Y", "/proc/1"),
		"the instance did not survive the daemon")

	require.NoError(t, d.Stop(ctx))
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
	// The last to go is what has removed all this.
	require.Eventually(t, func() bool { return len(users(t, dir)) == 0 }, 20*time.Second, 10*time.Millisecond, "%v", users(t, dir))
}

// users returns the processes with dir in their command lines.
func users(t *testing.T, dir string) (found []string) {
	t.Helper()
	procs, err := filepath.Glob("/proc/[0-9]*")
	require.NoError(t, err)
	for _, p := range procs {
		cmdline, _ := os.ReadFile(filepath.Join(p, "cmdline")) // it may have ended
		if bytes.Contains(cmdline, []byte(dir)) {
			found = append(found, p+" "+string(cmdline))
		}
	}
	return found
}

func TestBuildImage(t *testing.T) {
	lxdtest.Programs(t, "busybox")
	var one, two bytes.Buffer
	require.NoError(t, lxdrun.BuildImage(&one))
	require.NoError(t, lxdrun.BuildImage(&two))
	require.True(t, bytes.Equal(one.Bytes(), two.Bytes()), "two builds differ")
	require.Less(t, one.Len(), 2<<20)

	z, err := gzip.NewReader(&one)
	require.NoError(t, err)
	members := map[string]bool{}
	for tr := tar.NewReader(z); ; {
		h, err := tr.Next()
		if err == io.EOF {
			break
		}
		require.NoError(t, err)
		require.False(t, members[h.Name], "%s is there twice", h.Name)
		members[h.Name] = true
	}
	for _, name := range []string{"metadata.yaml", "rootfs/bin/sh", "rootfs/sbin/init", "rootfs/usr/bin/pm", "rootfs/data/app/"} {
		require.True(t, members[name], name)
	}
}
