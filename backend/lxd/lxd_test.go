package lxd_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"testing"

	client "github.com/canonical/lxd/client"
	"github.com/canonical/lxd/shared/api"
	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
	"github.com/openams/ams/backend/backendtest"
	"github.com/openams/ams/backend/lxd"
	"github.com/openams/ams/internal/lxdtest"
)

func TestBackend(t *testing.T) {
	d := lxdtest.Require(t)
	o := &operator{c: lxdtest.Connect(t, d), image: lxdtest.ImageFile(t)}
	parts := split(t, o.image)
	commands := 0
	if lxdtest.Long() {
		commands = 1000
	}
	backendtest.Run(t, backendtest.Harness{
		Commands:   commands,
		Bulk:       100_000_000,
		New:        func(t *testing.T) ams.Backend { return open(t, lxd.Config{Socket: d.Socket}) },
		Image:      o.open,
		Split:      func(t *testing.T, n int) ams.ImageFiles { return splitFiles(t, parts, n) },
		Operator:   o,
		Watch:      true,
		Exec:       true,
		Logs:       true,
		Images:     true,
		Publish:    true,
		Export:     true,
		Configure:  true,
		Freeze:     true,
		FollowLogs: true,
		Copy:       true,
		Disks:      true,
		Addresses:  true,
	})
}

// open opens a backend that is closed when the test ends.
func open(t *testing.T, cfg lxd.Config) *lxd.Backend {
	b, err := lxd.Open(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.Close()) })
	return b
}

// operator acts on LXD as people do, with its client.
type operator struct {
	c     client.InstanceServer
	image string // file name of the test image
}

// open returns the test image.
func (o *operator) open(t *testing.T, n int) io.Reader {
	f, err := os.Open(o.image)
	require.NoError(t, err)
	t.Cleanup(func() { _ = f.Close() })
	return numbered(t, f, n)
}

// numbered puts something at the end of a compressed tarball that makes it another
// one: an empty gzip member with a comment.
func numbered(t *testing.T, r io.Reader, n int) io.Reader {
	var end bytes.Buffer
	w := gzip.NewWriter(&end)
	w.Comment = fmt.Sprint(n)
	require.NoError(t, w.Close())
	return io.MultiReader(r, &end)
}

func (o *operator) wait(t *testing.T) func(client.Operation, error) {
	return func(op client.Operation, err error) {
		t.Helper()
		require.NoError(t, err)
		require.NoError(t, op.Wait())
	}
}

func (o *operator) AddInstance(t *testing.T, name string) {
	o.wait(t)(o.c.CreateInstance(api.InstancesPost{
		Name:   name,
		Source: api.InstanceSource{Type: "image", Alias: lxdtest.ImageAlias},
	}))
}

func (o *operator) HasInstance(t *testing.T, name string) bool {
	_, _, err := o.c.GetInstance(name)
	return found(t, err)
}

func (o *operator) RemoveInstance(t *testing.T, name string) {
	o.wait(t)(o.c.DeleteInstance(name))
}

func (o *operator) AddImage(t *testing.T, alias string, r io.Reader) string {
	op, err := o.c.CreateImage(api.ImagesPost{}, &client.ImageCreateArgs{MetaFile: r})
	o.wait(t)(op, err)
	fingerprint := op.Get().Metadata["fingerprint"].(string)
	post := api.ImageAliasesPost{}
	post.Name, post.Target = alias, fingerprint
	require.NoError(t, o.c.CreateImageAlias(post))
	return fingerprint
}

func (o *operator) HasImage(t *testing.T, fingerprint string) bool {
	_, _, err := o.c.GetImage(fingerprint)
	return found(t, err)
}

func (o *operator) RemoveImage(t *testing.T, fingerprint string) {
	o.wait(t)(o.c.DeleteImage(fingerprint))
}

func (o *operator) RemoveAlias(t *testing.T, alias string) {
	require.NoError(t, o.c.DeleteImageAlias(alias))
}

func found(t *testing.T, err error) bool {
	if api.StatusErrorCheck(err, 404) {
		return false
	}
	require.NoError(t, err)
	return true
}
