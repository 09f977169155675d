package fake_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
	"github.com/openams/ams/backend/fake"
)

// read returns the file of an image.
func read(t *testing.T, b *fake.Backend, alias string) []byte {
	r, err := b.OpenImage(t.Context(), cluster, alias)
	require.NoError(t, err)
	content, err := io.ReadAll(r)
	require.NoError(t, err)
	require.NoError(t, r.Close())
	return content
}

// TestImageFaults makes imports slow and fail, and exports too.
func TestImageFaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := fake.New(fake.Options{ImportTime: time.Minute})
		ctx := t.Context()
		load := func(ctx context.Context) error {
			_, err := b.ImportImage(ctx, cluster, "one", ams.ImageFiles{Meta: strings.NewReader("an image")})
			return err
		}
		boom := errors.New("boom")
		b.Fail(fake.VerbImportImage, 1, boom)
		require.Equal(t, boom, load(ctx))
		short, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		require.ErrorIs(t, load(short), context.DeadlineExceeded)
		require.Empty(t, b.Snapshot().Images)
		begun := time.Now()
		b.Lose(fake.VerbImportImage, 1)
		require.ErrorIs(t, load(ctx), ams.ErrUnavailable)
		require.Equal(t, time.Minute, time.Since(begun))
		require.NoError(t, load(ctx))
		require.Equal(t, time.Minute, time.Since(begun))

		b.Fail(fake.VerbOpenImage, 1, boom)
		_, err := b.OpenImage(ctx, cluster, "one")
		require.Equal(t, boom, err)
		require.Equal(t, "an image", string(read(t, b, "one")))
		require.Equal(t, 2, b.Count(fake.VerbOpenImage))
	})
}

// TestImageSizes has an image of each kind there is, as Snapshot and OpenImage see
// it.
func TestImageSizes(t *testing.T) {
	b := fake.New(fake.Options{})
	load := func(alias string, files ams.ImageFiles) ams.BackendImage {
		made, err := b.ImportImage(t.Context(), cluster, alias, files)
		require.NoError(t, err)
		require.Equal(t, alias, made.Alias)
		return made
	}
	largest := append([]byte("architecture: aarch64\n"), make([]byte, 1<<20)...)[:1<<20]
	kept := load("kept", ams.ImageFiles{Meta: bytes.NewReader(largest)})
	require.Equal(t, "aarch64", kept.Architecture)
	require.True(t, bytes.Equal(largest, read(t, b, "kept")))
	over := load("over", ams.ImageFiles{Meta: io.MultiReader(bytes.NewReader(largest), strings.NewReader("x"))})
	require.EqualValues(t, 1<<20+1, over.Size)
	_, err := b.OpenImage(t.Context(), cluster, "over")
	require.ErrorIs(t, err, ams.ErrUnsupported)
	split := load("split", ams.ImageFiles{Meta: strings.NewReader("architecture: aarch64"), Rootfs: strings.NewReader("files")})
	require.Equal(t, "aarch64", split.Architecture)
	require.EqualValues(t, len("architecture: aarch64files"), split.Size)
	for _, i := range b.Snapshot().Images {
		require.Equal(t, i.Fingerprint == split.Fingerprint, i.Split)
	}
}

// TestKept has labels, CPUs and the content of images survive in the file.
func TestKept(t *testing.T) {
	opts := fake.Options{File: t.TempDir() + "/state"}
	b, spec := one(opts)
	spec.PinCPUs, spec.Labels = true, map[string]string{"name": "one"}
	require.NoError(t, b.Create(t.Context(), spec))
	spec.Labels["name"] = "changed by the caller"
	_, err := b.Publish(t.Context(), spec.Ref, "published")
	require.NoError(t, err)
	content := read(t, b, "published")
	want := b.Snapshot()
	require.True(t, want.Instances[0].PinCPUs)
	require.Equal(t, map[string]string{"name": "one"}, want.Instances[0].Labels)
	require.NoError(t, b.Close())
	again := fake.New(opts)
	require.Equal(t, want, again.Snapshot())
	require.Equal(t, content, read(t, again, "published"))
	require.NoError(t, again.Close())
}
