package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/canonical/lxd/shared/api"
	"github.com/stretchr/testify/require"

	"github.com/openams/ams/internal/lxdtest"
)

const hello = "../apps/hello/package"

func walk(t *testing.T, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	var out strings.Builder
	err := run(ctx, args, &out)
	t.Log(out.String())
	return out.String(), err
}

func TestFake(t *testing.T) {
	t.Parallel()
	out, err := walk(t, "-backend", "fake", "-package", hello)
	require.NoError(t, err)
	require.Contains(t, out, "hello from inside")
	require.Contains(t, out, "nothing is left behind")
}

func TestLXD(t *testing.T) {
	d := lxdtest.Require(t)
	c := lxdtest.Connect(t, d)
	inventory := func() []string {
		projects, err := c.GetProjectNames()
		require.NoError(t, err)
		pools, err := c.GetStoragePoolNames()
		require.NoError(t, err)
		all := append(projects, pools...)
		networks, err := c.GetNetworks()
		require.NoError(t, err)
		for _, n := range networks {
			if n.Managed { // others are the machine's, and of other tests
				all = append(all, n.Name)
			}
		}
		return all
	}
	before := inventory()
	out, err := walk(t, "-socket", d.Socket, "-package", hello)
	require.NoError(t, err)
	require.Equal(t, 3, strings.Count(out, "   Running   "), "LXD lists three running instances")
	require.Contains(t, out, "android.permission.CAMERA: granted=true")
	require.Equal(t, before, inventory())

	// A failure leaves nothing either, nor does what a killed run has left.
	out, err = walk(t, "-socket", d.Socket, "-package", "nothing")
	require.Error(t, err)
	require.NotContains(t, out, "nothing is left behind")
	require.Equal(t, before, inventory())
	_, err = newSandbox(c)
	require.NoError(t, err)
	_, err = walk(t, "-socket", d.Socket, "-package", "nothing")
	require.Error(t, err)
	require.Equal(t, before, inventory())
}

// TestForeign makes sure that what has our names but not our mark is left alone.
func TestForeign(t *testing.T) {
	d := lxdtest.Require(t)
	c := lxdtest.Connect(t, d)
	require.NoError(t, c.CreateProject(api.ProjectsPost{Name: project}))
	defer func() { require.NoError(t, c.DeleteProject(project)) }()
	_, err := walk(t, "-socket", d.Socket, "-package", hello)
	require.ErrorContains(t, err, "is not ours")
	_, _, err = c.GetProject(project)
	require.NoError(t, err)
}

func TestUnknownBackend(t *testing.T) {
	_, err := walk(t, "-backend", "docker")
	require.ErrorContains(t, err, "must be auto, lxd or fake")
}

func TestNoLXD(t *testing.T) {
	_, err := walk(t, "-backend", "lxd", "-socket", t.TempDir()+"/none")
	require.ErrorIs(t, err, errNoLXD)
}
