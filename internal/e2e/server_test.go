package e2e_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
	"github.com/openams/ams/internal/lxdtest"
	"github.com/openams/ams/simplestreams"
	"github.com/openams/ams/simplestreams/streamtest"
)

// split takes an image apart into the tarballs of its metadata and of its root file
// system.
func split(t testing.TB, image io.Reader) (meta, rootfs string) {
	t.Helper()
	unzipped, err := gzip.NewReader(image)
	require.NoError(t, err)
	var m, r bytes.Buffer
	metaOut, rootOut := tar.NewWriter(&m), tar.NewWriter(&r)
	for in := tar.NewReader(unzipped); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		out := metaOut
		if below, ok := strings.CutPrefix(h.Name, "rootfs/"); ok {
			if below == "" {
				continue
			}
			h.Name, out = below, rootOut
		}
		require.NoError(t, out.WriteHeader(h))
		_, err = io.Copy(out, in)
		require.NoError(t, err)
	}
	require.NoError(t, metaOut.Close())
	require.NoError(t, rootOut.Close())
	return m.String(), r.String()
}

// TestImageServer builds an application on an image that comes, in two files, from a
// server that breaks off and lies at first; and again when the server has a newer one.
func TestImageServer(t *testing.T) {
	const name = "noble:android16:amd64"
	s := streamtest.New(t, simplestreams.HandlerOptions{Token: "secret"})
	client := simplestreams.New()
	t.Cleanup(client.Close)
	meta, rootfs := split(t, imageWith(t, "the server, 1"))
	s.Add(name, "1.30.1-1", "metadata.tar", meta, "rootfs.tar", rootfs)
	w := newWorld(t, lxdtest.Require(t), func(c *ams.Config) {
		c.ImageServer = client
		before, err := ams.New(*c) // before it runs: nobody else is to be asked for images
		require.NoError(t, err)
		for key, value := range map[string]string{"images.url": s.URL, "images.auth": "bearer:secret", "images.update_interval": "10s"} {
			require.NoError(t, before.Settings.Set(t.Context(), key, value))
		}
	})
	w.imageIs(name, ams.ImageAvailable)

	s.Fail(streamtest.Fault{Path: "rootfs.tar", Half: true, Times: 1})
	s.Fail(streamtest.Fault{Path: "rootfs.tar", Flip: true, Times: 1})
	w.wait(w.Applications.Create(w.ctx, pack(t, "manifest.yaml", "name: served\nimage: "+name, "app.apk", helloAPK), ams.CreateOptions{}))
	image := w.imageIs(name, ams.ImageActive)
	require.Equal(t, []any{"1.30.1-1", 0, true}, []any{image.Versions[0].RemoteID, image.Versions[0].Attempts, image.Immutable})
	in := w.launch(ams.LaunchRequest{Application: "served", Name: "served-0"})
	require.Equal(t, "the server, 1", w.sh(in.ID, "cat /etc/made-from"))

	meta, rootfs = split(t, imageWith(t, "the server, 2"))
	s.Add(name, "1.30.2-1", "metadata.tar", meta, "rootfs.tar", rootfs)
	require.NoError(t, w.Settings.Set(w.ctx, "images.allow_insecure", "true")) // has it read again at once
	require.Equal(t, 1, w.version("served", 1).ImageVersion)
	in = w.launch(ams.LaunchRequest{Application: "served", Name: "served-1"})
	require.Equal(t, "the server, 2", w.sh(in.ID, "cat /etc/made-from"))
}

func (w *world) imageIs(name string, status ams.ImageStatus) (image ams.Image) {
	w.t.Helper()
	w.eventually("image "+name+" is "+string(status), func() bool {
		var err error
		image, err = w.Images.Get(w.ctx, name)
		return err == nil && image.Status == status
	})
	return image
}
