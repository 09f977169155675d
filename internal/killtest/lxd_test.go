package killtest

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	client "github.com/canonical/lxd/client"
	"github.com/canonical/lxd/shared/api"
	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
	"github.com/openams/ams/internal/lxdrun"
	"github.com/openams/ams/internal/lxdtest"
)

func TestKillsOnLXD(t *testing.T) {
	lxdtest.Check(t)
	d, err := lxdrun.Start(t.Context(), lxdrun.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, d.Stop(context.Background())) })
	k := newKiller(t, 20, 3)
	k.orders.Backend, k.orders.Workers, k.orders.Most = "lxd", 6, 6
	k.orders.Socket, k.orders.Image = d.Socket, lxdtest.ImageFile(t)
	k.early, k.least, k.most = 100*time.Millisecond, 50*time.Millisecond, 5*time.Second
	k.run()
	k.auditLXD(d)
}

// auditLXD compares all that LXD holds, with or without our mark, with the store.
func (k *killer) auditLXD(d *lxdrun.Daemon) {
	t := k.t
	c, err := client.ConnectLXDUnix(d.Socket, nil)
	require.NoError(t, err)
	defer c.Disconnect()
	s := k.model.last

	names, err := c.GetInstanceNames(api.InstanceTypeAny)
	require.NoError(t, err)
	known := map[string]bool{}
	for i := range s.Instances {
		name := "ams-" + s.Instances[i].ID
		known[name] = true
		if s.Instances[i].Status != ams.InstanceError { // which may never have come to be
			require.Contains(t, names, name, "LXD lacks an instance")
		}
	}
	for _, name := range names {
		require.True(t, known[name], "LXD has an instance %s that the store has not", name)
	}

	aliases := map[string]bool{}
	for _, v := range s.Versions {
		if v.Status == ams.VersionActive {
			aliases[fmt.Sprintf("ams-%s-%d", v.ApplicationID, v.Number)] = true
		}
	}
	for _, im := range s.Images {
		for _, v := range im.Versions {
			if v.Status == ams.ImageActive {
				aliases[fmt.Sprintf("ams-%s-%d", im.ID, v.Number)] = true
			}
		}
	}
	have, err := c.GetImageAliasNames()
	require.NoError(t, err)
	require.ElementsMatch(t, slices.Collect(maps.Keys(aliases)), have, "aliases in store and LXD")
	images, err := c.GetImages()
	require.NoError(t, err)
	fingerprints := map[string]bool{}
	for _, im := range images {
		fingerprints[im.Fingerprint] = true
		require.NotEmpty(t, im.Aliases, "image %s has no alias", im.Fingerprint)
	}
	files, err := os.ReadDir(filepath.Join(d.Dir, "images"))
	require.NoError(t, err)
	for _, f := range files {
		require.True(t, fingerprints[strings.TrimSuffix(f.Name(), ".rootfs")], "file %s of no image is left in LXD", f.Name())
	}

	profiles, err := c.GetProfileNames()
	require.NoError(t, err)
	require.Equal(t, []string{"default"}, profiles)
	volumes, err := c.GetStoragePoolVolumes("default")
	require.NoError(t, err)
	for _, v := range volumes {
		switch v.Type {
		case "container":
			require.Contains(t, names, v.Name, "a volume of no instance is left")
		case "image":
			require.True(t, fingerprints[v.Name], "a volume of no image is left: %s", v.Name)
		default:
			require.Fail(t, "a volume is left", "%s %s", v.Type, v.Name)
		}
	}
}
