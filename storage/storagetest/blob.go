package storagetest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
)

type blobProperty struct {
	name  string
	check func(t testing.TB, s ams.BlobStore)
}

func blobProperties() []blobProperty {
	return []blobProperty{
		{"blobs/write, read and delete", checkBlob},
		{"blobs/the same content twice", checkBlobTwice},
		{"blobs/a failed write leaves nothing", checkBlobFailed},
		{"blobs/list", checkBlobList},
		{"blobs/digests", checkBlobDigests},
		{"blobs/cancelled contexts", checkBlobContext},
		{"blobs/many writers", checkBlobWriters},
		{"blobs/deleted while read", checkBlobDeleted},
	}
}

func digestOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// randomBytes returns n bytes that no buffer boundary hides a fault in.
func randomBytes(n int) []byte {
	random := rand.New(rand.NewPCG(9, 9))
	data := make([]byte, n)
	for i := range data {
		data[i] = byte(random.Uint32())
	}
	return data
}

func blobList(t testing.TB, s ams.BlobStore) map[string]ams.BlobInfo {
	t.Helper()
	infos := map[string]ams.BlobInfo{}
	require.NoError(t, s.List(context.Background(), func(info ams.BlobInfo) error {
		require.NotContains(t, infos, info.Digest)
		infos[info.Digest] = info
		return nil
	}))
	return infos
}

func checkBlob(t testing.TB, s ams.BlobStore) {
	ctx := context.Background()
	for _, size := range []int{0, 1, 512 << 10, 2<<20 + 7} {
		data := randomBytes(size)
		before := time.Now().Add(-time.Minute)
		info, err := s.Write(ctx, bytes.NewReader(data))
		require.NoError(t, err)
		require.Equal(t, digestOf(data), info.Digest)
		require.Equal(t, int64(size), info.Size)
		require.WithinRange(t, info.Written, before, time.Now().Add(time.Minute))

		blob, err := s.Open(ctx, info.Digest)
		require.NoError(t, err)
		require.Equal(t, int64(size), blob.Size())
		if size > 100 {
			part := make([]byte, 50)
			n, err := blob.ReadAt(part, int64(size)-60)
			require.NoError(t, err)
			require.Equal(t, data[size-60:size-10], part[:n])
			n, err = blob.ReadAt(part, int64(size)-10)
			require.ErrorIs(t, err, io.EOF)
			require.Equal(t, data[size-10:], part[:n])
		}
		got, err := io.ReadAll(blob)
		require.NoError(t, err)
		require.True(t, bytes.Equal(data, got))
		require.NoError(t, blob.Close())

		require.NoError(t, s.Delete(ctx, info.Digest))
		_, err = s.Open(ctx, info.Digest)
		require.ErrorIs(t, err, ams.ErrNotFound)
		require.NoError(t, s.Delete(ctx, info.Digest), "deleting what is not there")
	}
	require.Empty(t, blobList(t, s))
}

func checkBlobTwice(t testing.TB, s ams.BlobStore) {
	ctx := context.Background()
	first, err := s.Write(ctx, strings.NewReader("content"))
	require.NoError(t, err)
	second, err := s.Write(ctx, iotest.OneByteReader(strings.NewReader("content")))
	require.NoError(t, err)
	require.Equal(t, first.Digest, second.Digest)
	require.False(t, second.Written.Before(first.Written))
	listed := blobList(t, s)
	require.Len(t, listed, 1)
	require.True(t, listed[first.Digest].Written.Equal(second.Written))
}

func checkBlobFailed(t testing.TB, s ams.BlobStore) {
	ctx := context.Background()
	own := errors.New("own error")
	_, err := s.Write(ctx, io.MultiReader(bytes.NewReader(randomBytes(1<<20)), iotest.ErrReader(own)))
	require.True(t, err == own, "the reader's error comes back as it is, not as %v", err) //nolint:errorlint // identity is the promise
	require.PanicsWithValue(t, "own panic", func() { s.Write(ctx, panicReader{}) })
	require.Empty(t, blobList(t, s))
}

type panicReader struct{}

func (panicReader) Read([]byte) (int, error) { panic("own panic") }

func checkBlobList(t testing.TB, s ams.BlobStore) {
	ctx := context.Background()
	want := map[string]ams.BlobInfo{}
	for i := range 300 {
		info, err := s.Write(ctx, strings.NewReader(fmt.Sprint(i)))
		require.NoError(t, err)
		want[info.Digest] = info
	}
	got := blobList(t, s)
	require.Len(t, got, len(want))
	for digest, info := range want {
		require.Equal(t, info.Size, got[digest].Size)
		require.True(t, info.Written.Equal(got[digest].Written))
	}
	own, calls := errors.New("own error"), 0
	err := s.List(ctx, func(ams.BlobInfo) error { calls++; return own })
	require.ErrorIs(t, err, own)
	require.Equal(t, 1, calls)
	// A sweep deletes while it lists.
	require.NoError(t, s.List(ctx, func(info ams.BlobInfo) error { return s.Delete(ctx, info.Digest) }))
	require.Empty(t, blobList(t, s))
}

func checkBlobDigests(t testing.TB, s ams.BlobStore) {
	ctx := context.Background()
	info, err := s.Write(ctx, strings.NewReader("content"))
	require.NoError(t, err)
	d := info.Digest
	for _, digest := range []string{"", ".", "..", "../" + d[:61], "/" + d[1:], d[:63], d + "0", strings.ToUpper(d),
		d[:62] + "/.", d[:2] + "/" + d[:61], "sha256:" + d, d[:63] + "g", d[:63] + "\x00", strings.Repeat("é", 32)} {
		_, err := s.Open(ctx, digest)
		require.ErrorIs(t, err, ams.ErrInvalid, "%q", digest)
		require.ErrorIs(t, s.Delete(ctx, digest), ams.ErrInvalid, "%q", digest)
	}
	require.Len(t, blobList(t, s), 1)
}

func checkBlobContext(t testing.TB, s ams.BlobStore) {
	info, err := s.Write(context.Background(), strings.NewReader("content"))
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	_, err = s.Write(ctx, io.MultiReader(strings.NewReader("begin"), cancelReader{cancel}, strings.NewReader("end")))
	require.ErrorIs(t, err, context.Canceled)
	_, err = s.Write(ctx, strings.NewReader("more"))
	require.ErrorIs(t, err, context.Canceled)
	_, err = s.Open(ctx, info.Digest)
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, s.Delete(ctx, info.Digest), context.Canceled)
	require.ErrorIs(t, s.List(ctx, func(ams.BlobInfo) error { return nil }), context.Canceled)
	require.Len(t, blobList(t, s), 1)
}

// cancelReader cancels a context and is at its end.
type cancelReader struct{ cancel func() }

func (r cancelReader) Read([]byte) (int, error) {
	r.cancel()
	return 0, io.EOF
}

func checkBlobWriters(t testing.TB, s ams.BlobStore) {
	ctx := context.Background()
	parallel(8, func(i int) {
		for j := range 10 {
			data := bytes.Repeat([]byte{byte(j)}, 100_000)
			info, err := s.Write(ctx, bytes.NewReader(data))
			assertNoError(t, err)
			blob, err := s.Open(ctx, info.Digest)
			assertNoError(t, err)
			got, err := io.ReadAll(blob)
			assertNoError(t, err)
			assert.True(t, bytes.Equal(data, got))
			assertNoError(t, blob.Close())
		}
	})
	require.Len(t, blobList(t, s), 10)
}

func checkBlobDeleted(t testing.TB, s ams.BlobStore) {
	ctx := context.Background()
	info, err := s.Write(ctx, strings.NewReader("content"))
	require.NoError(t, err)
	blob, err := s.Open(ctx, info.Digest)
	require.NoError(t, err)
	require.NoError(t, s.Delete(ctx, info.Digest))
	got, err := io.ReadAll(blob)
	require.NoError(t, err)
	require.Equal(t, "content", string(got))
	require.NoError(t, blob.Close())
}
