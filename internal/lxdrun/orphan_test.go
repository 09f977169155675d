package lxdrun_test

import (
	"bufio"
	"context"
	"fmt"
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

// TestMain is also the program that TestOrphan kills: it runs a daemon with an
// instance, says where, and waits.
func TestMain(m *testing.M) {
	image := os.Getenv("LXDRUN_TEST_OWN")
	if image == "" {
		os.Exit(m.Run())
	}
	if image == "cluster" {
		ownCluster()
	}
	d, err := lxdrun.Start(context.Background(), lxdrun.Options{})
	for _, args := range [][]string{{"image", "import", image, "--alias", "test"}, {"launch", "test", os.Getenv("LXDRUN_TEST_NAME")}} {
		if err == nil {
			cmd := exec.Command("lxc", args...)
			cmd.Env = d.Env()
			err = cmd.Run()
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(d.Dir)
	fmt.Println(d.Bridge)
	select {}
}

func TestOrphan(t *testing.T) {
	lxdtest.Check(t)
	image := lxdtest.ImageFile(t)
	owner := exec.CommandContext(t.Context(), os.Args[0])
	name := fmt.Sprint("orphan", os.Getpid())
	owner.Env = append(os.Environ(), "LXDRUN_TEST_OWN="+image, "LXDRUN_TEST_NAME="+name)
	owner.Stderr = os.Stderr
	out, err := owner.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, owner.Start())
	in := bufio.NewScanner(out)
	require.True(t, in.Scan(), "the owner failed")
	dir := in.Text()
	require.True(t, in.Scan())
	bridge := in.Text()

	// A second daemon does not take the first, which has an owner, for stale.
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	d, err := lxdrun.Start(ctx, lxdrun.Options{})
	require.NoError(t, err)
	require.NoError(t, d.Stop(ctx))
	gone(t, d.Dir, d.Bridge)
	require.FileExists(t, filepath.Join(dir, "unix.socket"))

	require.NoError(t, owner.Process.Kill())
	require.Error(t, owner.Wait())
	require.Eventually(t, func() bool {
		_, err := os.Stat(dir)
		_, ifErr := net.InterfaceByName(bridge)
		return os.IsNotExist(err) && ifErr != nil
	}, 20*time.Second, 100*time.Millisecond, "the daemon outlives its owner")
	gone(t, dir, bridge)
	groups, err := filepath.Glob("/sys/fs/cgroup/*/lxc.payload." + name + "*")
	require.NoError(t, err)
	require.Empty(t, groups)
}

// ownCluster runs a cluster, says where its daemons are, and waits.
func ownCluster() {
	c, err := lxdrun.StartCluster(context.Background(), 2)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	for _, d := range c.Members {
		fmt.Println(d.Dir)
	}
	select {}
}

func TestOrphanCluster(t *testing.T) {
	lxdtest.Check(t)
	owner := exec.CommandContext(t.Context(), os.Args[0])
	owner.Env = append(os.Environ(), "LXDRUN_TEST_OWN=cluster")
	owner.Stderr = os.Stderr
	out, err := owner.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, owner.Start())
	in := bufio.NewScanner(out)
	var dirs []string
	for range 2 {
		require.True(t, in.Scan(), "the owner failed")
		dirs = append(dirs, in.Text())
		require.FileExists(t, namespace(in.Text()))
	}
	require.NoError(t, owner.Process.Kill())
	require.Error(t, owner.Wait())
	for _, dir := range dirs {
		require.Eventually(t, func() bool {
			_, err := os.Stat(dir)
			return os.IsNotExist(err)
		}, 20*time.Second, 100*time.Millisecond, "a member outlives its owner")
		gone(t, dir, "amsv"+filepath.Base(dir)[len("amslxd-"):])
		require.NoFileExists(t, namespace(dir))
	}
}

// namespace is the file of a daemon's network namespace.
func namespace(dir string) string { return filepath.Join("/run/netns", filepath.Base(dir)) }
