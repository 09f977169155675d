package fake_test

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
	"github.com/openams/ams/backend/backendtest"
	"github.com/openams/ams/backend/fake"
)

func TestBackend(t *testing.T) {
	t.Run("Memory", func(t *testing.T) { testBackend(t, fake.Options{NodeCount: 3}) })
	t.Run("File", func(t *testing.T) { testBackend(t, fake.Options{File: t.TempDir() + "/state"}) })
}

func testBackend(t *testing.T, opts fake.Options) {
	b := fake.New(opts)
	t.Cleanup(func() {
		require.Empty(t, b.Snapshot())
		require.NoError(t, b.Close())
	})
	backendtest.Run(t, backendtest.Harness{
		New:   func(*testing.T) ams.Backend { return b },
		Image: func(_ *testing.T, n int) io.Reader { return strings.NewReader(fmt.Sprint("image ", n)) },
		Split: func(_ *testing.T, n int) ams.ImageFiles {
			return ams.ImageFiles{Meta: strings.NewReader("metadata"), Rootfs: strings.NewReader(fmt.Sprint("files ", n))}
		},
		Operator:   operator{b},
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
		Addresses:  true,
	})
}

// operator acts on a fake cluster as people do.
type operator struct{ b *fake.Backend }

func (o operator) AddInstance(_ *testing.T, name string) { o.b.AddForeignInstance(name) }

func (o operator) HasInstance(_ *testing.T, name string) bool {
	return slices.ContainsFunc(o.b.Snapshot().Instances, func(i fake.InstanceState) bool { return i.Name == name })
}

func (o operator) RemoveInstance(_ *testing.T, name string) {
	o.b.DeleteBehindBack(strings.TrimPrefix(name, "ams-"))
}

func (o operator) AddImage(t *testing.T, alias string, r io.Reader) string {
	data, err := io.ReadAll(r)
	require.NoError(t, err)
	return o.b.AddForeignImage(alias, data)
}

func (o operator) HasImage(_ *testing.T, fingerprint string) bool {
	return slices.ContainsFunc(o.b.Snapshot().Images, func(i fake.ImageState) bool { return i.Fingerprint == fingerprint })
}

func (o operator) RemoveImage(_ *testing.T, fingerprint string) {
	o.b.DeleteImageBehindBack(fingerprint)
}

func (o operator) RemoveAlias(_ *testing.T, alias string) { o.b.DeleteAliasBehindBack(alias) }
