package ams_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
	"github.com/openams/ams/backend/fake"
	"github.com/openams/ams/storage/mem"
)

// blobs returns the digests of all blobs.
func (w *world) blobs() (digests []string) {
	w.t.Helper()
	blobs := w.store.(*mem.Store).Blobs()
	require.NoError(w.t, blobs.List(w.t.Context(), func(b ams.BlobInfo) error {
		digests = append(digests, b.Digest)
		return nil
	}))
	return digests
}

// TestAPKIsNotKept takes in packages whose APK is read in different places, and
// requires that only the packages are there afterwards.
func TestAPKIsNotKept(t *testing.T) {
	hello, err := os.ReadFile(helloPackage + "/app.apk")
	require.NoError(t, err)
	stored, tarred := new(bytes.Buffer), new(bytes.Buffer)
	dir, err := ams.OpenPackage(helloPackage)
	require.NoError(t, err)
	_, err = io.Copy(stored, dir)
	require.NoError(t, errors.Join(err, dir.Close()))
	tw := tar.NewWriter(tarred)
	require.NoError(t, errors.Join(tw.AddFS(os.DirFS(helloPackage)), tw.Close()))
	for _, c := range []struct {
		name string
		pkg  io.Reader
		bad  bool
	}{
		{"stored", stored, false},
		{"tar", tarred, false},
		{"deflated", pkg("name: hello", "app.apk", string(hello)), false},
		{"deflated and broken", pkg("name: hello", "app.apk", string(hello[:len(hello)/2])), true},
		{"deflated and too large", pkg("name: hello", "app.apk", string(hello), "zeros", string(make([]byte, 2<<20))), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, fake.Options{}, func(t *testing.T, w *world) {
				w.cfg.MaxPackage = ams.Megabyte
				w.stop()
				w.start()
				w.image()
				before := w.blobs() // the image's file, or nothing any more
				data, err := io.ReadAll(c.pkg)
				require.NoError(t, err)
				op, err := w.Applications.Create(t.Context(), bytes.NewReader(data), ams.CreateOptions{})
				if c.bad {
					require.Error(t, err)
				} else {
					w.wait(op, err)
				}
				after := slices.DeleteFunc(w.blobs(), func(digest string) bool { return slices.Contains(before, digest) })
				require.Equal(t, []string{sha(data)}, after, "the package alone")
			})
		})
	}
}
