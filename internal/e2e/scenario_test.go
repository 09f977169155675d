package e2e_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
	"github.com/openams/ams/internal/lxdrun"
	"github.com/openams/ams/internal/lxdtest"
)

const carried = `
name: candy
version: "1.0"
resources: {cpus: 1, memory: 4GB}
addons: [sugar, salt]
tags: [game]
services: [{name: web, port: 80, protocols: [tcp]}]
watchdog: {disabled: true}
video-encoder: software
features: [enable_wifi]
required-permissions: [android.permission.CAMERA]
`

// TestLifeOfAnApplication follows an application from its first version to one that
// is exported and launched elsewhere.
func TestLifeOfAnApplication(t *testing.T) {
	w := newWorld(t, lxdtest.Require(t))
	w.wait(w.Images.Add(w.ctx, "noble", imageWith(t, "image v0"), ams.ImageOptions{Default: true}))
	addon := func(name, does string) io.Reader {
		return pack(t, "manifest.yaml", "name: "+name, "hooks/pre-start", "#!/bin/sh\n"+does+"\n", "data", "of "+name)
	}
	w.wait(w.Addons.Add(w.ctx, "sugar", addon("sugar", `echo "sugar 0" >/etc/sugar; [ "$(cat "$ADDON_DIR/data")" = "of sugar" ]`), ams.AddonOptions{}))
	w.wait(w.Addons.Add(w.ctx, "salt", addon("salt", `cat /etc/sugar >/etc/salt`), ams.AddonOptions{}))
	require.NoError(t, w.Settings.Set(w.ctx, "application.max_published_versions", "2"))
	w.wait(w.Applications.Create(w.ctx, pack(t, "manifest.yaml", carried, "app.apk", helloAPK), ams.CreateOptions{}))
	w.wait(w.Applications.Set(w.ctx, "candy", ams.ApplicationPatch{Tags: []string{"game", "sweet"}}))
	first, err := w.Applications.Version(w.ctx, "candy", 0)
	require.NoError(t, err)

	// A new version of an addon: version 1 by itself, with everything else as it was.
	w.wait(w.Addons.Update(w.ctx, "sugar", addon("sugar", "echo sugar 1 >/etc/sugar"), ams.AddonOptions{}))
	second := w.version("candy", 1)
	require.Equal(t, []int{1, 0}, []int{second.Addons[0].Version, second.Addons[1].Version})
	want := first.Manifest
	want.Tags = []string{"game", "sweet"}
	require.Equal(t, want, second.Manifest)
	in := w.launch(ams.LaunchRequest{Application: "candy", Name: "candy-1"})
	require.Equal(t, "sugar 1\n", w.sh(in.ID, "cat /etc/salt"))
	require.Equal(t, 4*ams.Gigabyte, in.Resources.Memory)

	// A new version of the image: version 2, and version 0 goes.
	w.wait(w.Images.Update(w.ctx, "noble", imageWith(t, "image v1"), ams.ImageOptions{}))
	third := w.version("candy", 2)
	require.Equal(t, 1, third.ImageVersion)
	w.eventually("version 0 is gone", func() bool {
		_, err := w.Applications.Version(w.ctx, "candy", 0)
		return ams.CodeOf(err) == ams.ErrNotFound
	})
	in = w.launch(ams.LaunchRequest{Application: "candy", Name: "candy-2"})
	require.Equal(t, "image v1\nsugar 1\n", w.sh(in.ID, "cat /etc/made-from; echo; cat /etc/salt"))

	// A raw instance gets an addon at its first start, and becomes an image.
	raw := w.launch(ams.LaunchRequest{Name: "raw", Image: "noble", Addons: []string{"sugar"}})
	require.Equal(t, "sugar 1\n", w.sh("raw", "cat /etc/sugar"))
	w.sh("raw", "echo mine >/var/lib/anbox/addons/sugar/data")
	w.wait(w.Instances.Restart(w.ctx, "raw", false))
	require.Equal(t, "mine\n", w.sh("raw", "cat /var/lib/anbox/addons/sugar/data"), "it is installed once")
	w.wait(w.Images.Publish(w.ctx, raw.ID, ams.PublishOptions{Name: "published", Force: true}))
	in = w.launch(ams.LaunchRequest{Image: "published"})
	require.Equal(t, "mine\n", w.sh(in.ID, "cat /var/lib/anbox/addons/sugar/data"))

	// Version 2, taken out and launched elsewhere.
	export, err := w.Applications.Export(w.ctx, "candy", 2)
	require.NoError(t, err)
	name := filepath.Join(t.TempDir(), export.Name)
	file, err := os.Create(name)
	require.NoError(t, err)
	hash := sha256.New()
	n, err := io.Copy(io.MultiWriter(file, hash), export)
	require.NoError(t, err)
	require.NoError(t, export.Close())
	require.NoError(t, file.Close())
	require.Equal(t, []any{export.Size, export.Digest}, []any{n, hex.EncodeToString(hash.Sum(nil))})

	ctx, cancel := context.WithTimeout(w.ctx, 3*time.Minute)
	defer cancel()
	d, err := lxdrun.Start(ctx, lxdrun.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, d.Stop(context.Background())) })
	elsewhere := newWorld(t, d)
	file, err = os.Open(name)
	require.NoError(t, err)
	defer file.Close()
	elsewhere.wait(elsewhere.Images.Add(ctx, "candy", file, ams.ImageOptions{Digest: export.Digest}))
	in = elsewhere.launch(ams.LaunchRequest{Image: "candy"})
	require.Equal(t, "image v1\nsugar 1\n", elsewhere.sh(in.ID, "cat /etc/made-from; echo; cat /etc/salt"))
	require.Equal(t, "name: candy\n", elsewhere.sh(in.ID, "grep ^name: /var/lib/anbox/app/manifest.yaml"))
	require.Empty(t, elsewhere.sh(in.ID, "ls /var/lib/anbox/userdata 2>/dev/null || true"))

	// Nothing is left that nobody refers to, and the report says whose the rest is.
	usage, err := w.Storage.Usage(w.ctx)
	require.NoError(t, err)
	for _, item := range usage.Images {
		require.NotEqual(t, "unused", item.Kind, item.ID)
	}
	require.Positive(t, usage.ImageBytes)
}

// version waits until a version is active.
func (w *world) version(name string, number int) ams.Version {
	w.t.Helper()
	var v ams.Version
	w.eventually("the version is active", func() bool {
		var err error
		v, err = w.Applications.Version(w.ctx, name, number)
		return err == nil && v.Status == ams.VersionActive
	})
	return v
}
