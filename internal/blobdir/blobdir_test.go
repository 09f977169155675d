package blobdir_test

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
	"github.com/openams/ams/internal/blobdir"
	"github.com/openams/ams/storage/storagetest"
)

func open(t *testing.T, path string) *blobdir.Dir {
	t.Helper()
	d, err := blobdir.Open(path)
	require.NoError(t, err)
	return d
}

func TestDir(t *testing.T) {
	storagetest.RunBlobs(t, func(t *testing.T) ams.BlobStore {
		path := filepath.Join(t.TempDir(), "blobs")
		t.Cleanup(func() { requireNoLeftovers(t, path) })
		return open(t, path)
	})
}

// requireNoLeftovers fails if a write left a file.
func requireNoLeftovers(t *testing.T, path string) {
	t.Helper()
	left, err := os.ReadDir(filepath.Join(path, "tmp"))
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestOpenRemovesLeftovers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "blobs")
	d := open(t, path)
	info, err := d.Write(context.Background(), strings.NewReader("content"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(path, "tmp", "killed"), []byte("half"), 0o600))
	d = open(t, path)
	requireNoLeftovers(t, path)
	b, err := d.Open(context.Background(), info.Digest)
	require.NoError(t, err)
	got, err := io.ReadAll(b)
	require.NoError(t, err)
	require.Equal(t, "content", string(got))
	require.NoError(t, b.Close())
}

func TestListLeavesOutStrangers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "blobs")
	d := open(t, path)
	info, err := d.Write(context.Background(), strings.NewReader("content"))
	require.NoError(t, err)
	other := strings.Repeat("0", 64)
	for _, name := range []string{"lost+found", "zz", info.Digest[:2] + "/README", info.Digest[:2] + "/" + other} {
		full := filepath.Join(path, name)
		require.NoError(t, os.WriteFile(full, []byte("x"), 0o600))
	}
	var listed []string
	require.NoError(t, d.List(context.Background(), func(i ams.BlobInfo) error {
		listed = append(listed, i.Digest)
		return nil
	}))
	require.Equal(t, []string{info.Digest}, listed)
}

func TestPermissions(t *testing.T) {
	path := filepath.Join(t.TempDir(), "blobs")
	d := open(t, path)
	info, err := d.Write(context.Background(), strings.NewReader("content"))
	require.NoError(t, err)
	for _, name := range []string{"", "tmp", info.Digest[:2], info.Digest[:2] + "/" + info.Digest} {
		stat, err := os.Stat(filepath.Join(path, name))
		require.NoError(t, err)
		require.Zero(t, stat.Mode().Perm()&0o077, "%q can be read by others", name)
	}
}

func TestOpenOnFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	_, err := blobdir.Open(path)
	require.ErrorIs(t, err, ams.ErrInternal)
	require.ErrorContains(t, err, path)
}

func BenchmarkWrite(b *testing.B) {
	d, err := blobdir.Open(filepath.Join(b.TempDir(), "blobs"))
	require.NoError(b, err)
	const size = 64 << 20
	b.SetBytes(size)
	for b.Loop() {
		_, err := d.Write(context.Background(), io.LimitReader(zeros{}, size))
		require.NoError(b, err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
