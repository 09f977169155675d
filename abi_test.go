package ams_test

import (
	"archive/zip"
	"bytes"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
	"github.com/openams/ams/backend/fake"
)

// apkFor is a package with the example's APK, to which native libraries of these
// ABIs are added.
func apkFor(t testing.TB, manifest string, abis ...string) io.Reader {
	t.Helper()
	var b bytes.Buffer
	out := zip.NewWriter(&b)
	in, err := zip.OpenReader("examples/apps/hello/package/app.apk")
	require.NoError(t, err)
	defer in.Close()
	for _, f := range in.File {
		require.NoError(t, out.Copy(f))
	}
	for _, abi := range abis {
		_, err := out.Create("lib/" + abi + "/libgame.so")
		require.NoError(t, err)
	}
	require.NoError(t, out.Close())
	return pkg(manifest, "app.apk", b.String())
}

func TestABI(t *testing.T) {
	bubble(t, fake.Options{}, func(t *testing.T, w *world) {
		w.image()
		w.wait(w.Addons.Add(w.ctx, "houdini", zipOf("manifest.yaml", "name: houdini\nprovides: {abi-support: [arm64-v8a, armeabi-v7a]}", "hooks/pre-start", "x"), ams.AddonOptions{}))
		w.addon("plain")
		for _, c := range []struct {
			name, prefers string
			addons        string
			abis          []string
			want          string // empty: refused
		}{
			{"no native code", "", "", nil, "x86_64"},
			{"no native code, one preferred", "x86", "", nil, "x86"},
			{"no native code, one preferred that is not there", "arm64-v8a", "", nil, "x86_64"},
			{"the best of two", "", "", []string{"x86", "x86_64", "arm64-v8a"}, "x86_64"},
			{"the preferred of two", "x86", "", []string{"x86", "x86_64"}, "x86"},
			{"the preferred is not in the APK", "x86", "", []string{"x86_64"}, "x86_64"},
			{"the only one", "", "", []string{"x86", "mips"}, "x86"},
			{"none", "", "", []string{"arm64-v8a"}, ""},
			{"none, with another addon", "", "addons: [plain]", []string{"arm64-v8a"}, ""},
			{"by an addon", "", "addons: [plain, houdini]", []string{"armeabi-v7a", "arm64-v8a"}, "arm64-v8a"},
			{"native before an addon's", "", "addons: [houdini]", []string{"arm64-v8a", "x86"}, "x86"},
			{"the preferred by an addon", "arm64-v8a", "addons: [houdini]", []string{"arm64-v8a", "x86"}, "arm64-v8a"},
		} {
			require.NoError(t, w.Settings.Set(w.ctx, "application.default_abi", c.prefers))
			op, err := w.Applications.Create(w.ctx, apkFor(t, "name: candy\n"+c.addons, c.abis...), ams.CreateOptions{})
			if c.want == "" {
				require.ErrorIs(t, err, ams.ErrInvalid, c.name)
				continue
			}
			w.wait(op, err)
			app, err := w.Applications.Get(w.ctx, "candy")
			require.NoError(t, err)
			require.Equal(t, c.want, app.ABI, c.name)
			require.Equal(t, c.want, w.settled("candy")[0].ABI)
			w.wait(w.Applications.Delete(w.ctx, "candy", false))
		}
	})
}
