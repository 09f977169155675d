package lxd_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	client "github.com/canonical/lxd/client"
	"github.com/canonical/lxd/shared/api"
	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
	"github.com/openams/ams/backend/lxd"
	"github.com/openams/ams/internal/lxdrun"
	"github.com/openams/ams/internal/lxdtest"
)

const cluster = "kill-test"

// TestKill kills LXD at various times while it does each of the things that take
// it long, and then asks again until it is done, as the Manager does. Nothing may
// be left in the end, neither listed nor on the disk.
func TestKill(t *testing.T) {
	lxdtest.Check(t)
	if testing.Short() {
		t.Skip("starts and kills LXD many times")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	defer cancel()
	d, err := lxdrun.Start(ctx, lxdrun.Options{})
	require.NoError(t, err)
	defer func() { require.NoError(t, d.Stop(context.Background())) }()
	b := open(t, lxd.Config{Socket: d.Socket})
	o := &operator{image: lxdtest.ImageFile(t)}
	parts := split(t, o.image)
	base, err := b.ImportImage(ctx, cluster, "base", ams.ImageFiles{Meta: o.open(t, 0)})
	require.NoError(t, err)
	clean := storage(t, d)
	nodes, err := b.Nodes(ctx)
	require.NoError(t, err)

	again := func(f func() error) error {
		for {
			err := f()
			if err == nil || !errors.Is(err, ams.ErrUnavailable) {
				return err
			}
			select {
			case <-time.After(50 * time.Millisecond):
			case <-ctx.Done():
				return errors.Join(ctx.Err(), err)
			}
		}
	}
	verbs := []string{"create", "start", "publish", "delete", "import", "configure", "copy"}
	times := []time.Duration{20, 120}
	if lxdtest.Long() {
		times = []time.Duration{0, 20, 60, 120, 250}
	}
	for n, after := range times {
		for m, verb := range verbs {
			spec := ams.InstanceSpec{
				Ref:         ams.Ref{Cluster: cluster, ID: fmt.Sprintf("k%d-%d", n, m), Node: nodes[0].Name},
				Attempt:     "1",
				Fingerprint: base.Fingerprint,
				Memory:      256 << 20,
				CPUs:        1,
				Disk:        1 << 30,
			}
			changed, copied := spec, spec
			changed.Memory, changed.Labels = 128<<20, map[string]string{"name": verb}
			copied.ID += "-copy"
			steps := map[string]func() error{
				"configure": func() error { return b.Configure(ctx, changed) },
				"write": func() error {
					exit, err := b.Exec(ctx, spec.Ref, ams.ExecRequest{Command: []string{"sh", "-c", "mkdir -p /var/lib/anbox/logs; for n in 1 2 3; do head -c 5000000 /dev/urandom >/var/lib/anbox/logs/data$n; done; echo kept >/var/lib/anbox/logs/zz"}})
					if err == nil && exit != 0 {
						err = fmt.Errorf("writing: exit %d", exit)
					}
					return err
				},
				"copy": func() error { return b.Copy(ctx, copied, spec.Ref) },
				"look": func() error {
					if read(t, b, copied.Ref, "zz") != "kept\n" {
						return errors.New("the copy is not whole")
					}
					return errors.Join(b.Start(ctx, copied.Ref), b.Stop(ctx, copied.Ref, true, 0), b.Delete(ctx, copied.Ref))
				},
				"create": func() error { return b.Create(ctx, spec) },
				"start":  func() error { return b.Start(ctx, spec.Ref) },
				"stop":   func() error { return b.Stop(ctx, spec.Ref, true, 0) },
				"publish": func() error {
					_, err := b.Publish(ctx, spec.Ref, "published")
					return err
				},
				"import": func() error {
					files := ams.ImageFiles{Meta: o.open(t, 1+n)}
					if n%2 == 1 {
						files = splitFiles(t, parts, n)
					}
					_, err := b.ImportImage(ctx, cluster, "imported", files)
					return err
				},
				"delete":    func() error { return b.Delete(ctx, spec.Ref) },
				"unpublish": func() error { return b.DeleteImage(ctx, cluster, "published") },
				"unimport":  func() error { return b.DeleteImage(ctx, cluster, "imported") },
			}
			for _, step := range []string{"create", "start", "write", "configure", "stop", "copy", "look", "publish", "delete", "import", "unpublish", "unimport"} {
				if step != verb {
					require.NoError(t, again(steps[step]), "%s, when %s was interrupted", step, verb)
					continue
				}
				done := make(chan error, 1)
				go func() { done <- again(steps[step]) }()
				<-time.After(after * time.Millisecond)
				require.NoError(t, d.Kill())
				require.NoError(t, d.Restart(ctx))
				require.NoError(t, <-done, "%s, interrupted after %v", step, after)
			}
			left, err := b.List(ctx, cluster)
			require.NoError(t, err)
			require.Empty(t, left, verb)
			images, err := b.ListImages(ctx, cluster)
			require.NoError(t, err)
			require.Equal(t, []ams.BackendImage{base}, images, verb)
			require.Equal(t, clean, storage(t, d), "on disk, %s interrupted after %v", verb, after)
		}
	}
}

// storage returns what is on LXD's disk, and in its database.
func storage(t *testing.T, d *lxdrun.Daemon) []string {
	var all []string
	for _, dir := range []string{"storage-pools/default/containers", "storage-pools/default/images", "images", "containers", "backups"} {
		entries, err := os.ReadDir(filepath.Join(d.Dir, dir))
		if !errors.Is(err, os.ErrNotExist) {
			require.NoError(t, err)
		}
		for _, e := range entries {
			all = append(all, dir+"/"+e.Name())
		}
	}
	c, err := client.ConnectLXDUnix(d.Socket, nil)
	require.NoError(t, err)
	defer c.Disconnect()
	images, err := c.GetImages()
	require.NoError(t, err)
	for _, i := range images {
		all = append(all, "image "+i.Fingerprint)
	}
	names, err := c.GetInstanceNames(api.InstanceTypeAny)
	require.NoError(t, err)
	all = append(all, names...)
	slices.Sort(all)
	return all
}
