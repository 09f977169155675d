package ams_test

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
	"github.com/openams/ams/backend/fake"
)

// addonPkg is the package of an addon with a pre-start hook.
func addonPkg(name, hook string) io.Reader {
	return zipOf("manifest.yaml", "name: "+name, "hooks/pre-start", hook)
}

func (w *world) addon(name string) {
	w.t.Helper()
	w.wait(w.Addons.Add(w.ctx, name, addonPkg(name, "one"), ams.AddonOptions{}))
}

func TestAddon(t *testing.T) {
	bubble(t, fake.Options{}, func(t *testing.T, w *world) {
		op := w.wait(w.Addons.Add(w.ctx, "ssh", zipOf(
			"manifest.yaml", "name: ssh\ndescription: |\n  Logs in.\n  From outside.\nprovides: {abi-support: [arm64-v8a]}\nhooks: {timeout: 90s}\n",
			"hooks/pre-start", "x", "hooks/backup", "x", "hooks/notes.txt", "x", "data/key", "k"), ams.AddonOptions{}))
		require.Equal(t, []string{"ssh"}, op.Resources["addon"])
		addon, err := w.Addons.Get(w.ctx, "ssh")
		require.NoError(t, err)
		v := addon.Latest()
		require.Equal(t, []any{0, "Logs in.\nFrom outside.\n", []string{"arm64-v8a"}, "90s", []string{"backup", "pre-start"}},
			[]any{v.Number, v.Description, v.ABISupport, v.HookTimeout, v.Hooks})
		w.wait(w.Addons.Update(w.ctx, "ssh", addonPkg("ssh", "two"), ams.AddonOptions{}))
		w.wait(w.Addons.Update(w.ctx, "ssh", addonPkg("ssh", "two"), ams.AddonOptions{})) // the same again
		addon, err = w.Addons.Get(w.ctx, "ssh")
		require.NoError(t, err)
		require.Equal(t, []int{2, 1, 2}, []int{len(addon.Versions), addon.Latest().Number, addon.NextVersion})
		w.addon("vpn")
		list, total, err := w.Addons.List(w.ctx, ams.AddonFilter{}, ams.Page{Limit: 1})
		require.NoError(t, err)
		require.Equal(t, []any{"ssh", 2}, []any{list[0].Name, total})
		w.wait(w.Addons.DeleteVersion(w.ctx, "ssh", 1))
		w.wait(w.Addons.Update(w.ctx, "ssh", addonPkg("ssh", "three"), ams.AddonOptions{}))
		addon, err = w.Addons.Get(w.ctx, "ssh")
		require.NoError(t, err)
		require.Equal(t, 2, addon.Latest().Number, "numbers are never used twice")
		w.wait(w.Addons.Delete(w.ctx, "ssh"))
		_, err = w.Addons.Get(w.ctx, "ssh")
		require.ErrorIs(t, err, ams.ErrNotFound)
	})
}

func TestAddonsRefused(t *testing.T) {
	var golden strings.Builder
	bubble(t, fake.Options{}, func(t *testing.T, w *world) {
		w.addon("taken")
		random := make([]byte, 1<<20+1) // which does not pack
		_, err := rand.NewChaCha8([32]byte{}).Read(random)
		require.NoError(t, err)
		long := string(random)
		for _, c := range []struct {
			what, name string
			pkg        io.Reader
		}{
			{"a name with a space", "a b", addonPkg("a b", "x")},
			{"a name with a colon", "a:b", addonPkg("a:b", "x")},
			{"a short name", "ab", addonPkg("ab", "x")},
			{"a name that is taken", "taken", addonPkg("taken", "x")},
			{"another name in the manifest", "ssh", addonPkg("vpn", "x")},
			{"no manifest", "ssh", zipOf("hooks/pre-start", "x")},
			{"a manifest in a folder", "ssh", zipOf("ssh/manifest.yaml", "name: ssh", "hooks/pre-start", "x")},
			{"an empty manifest", "ssh", zipOf("manifest.yaml", "", "hooks/pre-start", "x")},
			{"no name", "ssh", zipOf("manifest.yaml", "description: x", "hooks/pre-start", "x")},
			{"an unknown key", "ssh", zipOf("manifest.yaml", "name: ssh\npackages: [a]", "hooks/pre-start", "x")},
			{"several problems", "ssh", zipOf("manifest.yaml", "name: ssh\nprovides: {abi-support: [x86, arm64-v8a, arm64-v8a]}\nhooks: {timeout: 16m}\ndescription: \"\\a\"", "hooks/pre-start", "x")},
			{"a bad timeout", "ssh", zipOf("manifest.yaml", "name: ssh\nhooks: {timeout: soon}", "hooks/pre-start", "x")},
			{"no hook", "ssh", zipOf("manifest.yaml", "name: ssh", "hooks/start", "x", "README", "x")},
			{"a hook that is not executable", "ssh", withMode("hooks/pre-start", 0o644)},
			{"a hook that is a directory", "ssh", zipOf("manifest.yaml", "name: ssh", "hooks/post-stop/x", "x", "hooks/pre-start", "x")},
			{"a hook that is too large", "ssh", addonPkg("ssh", long)},
			{"not a package", "ssh", strings.NewReader("7zXZ")},
			{"nothing", "ssh", strings.NewReader("")},
			{"a way out", "ssh", zipOf("manifest.yaml", "name: ssh", "hooks/pre-start", "x", "../x", "x")},
		} {
			_, err := w.Addons.Add(w.ctx, c.name, c.pkg, ams.AddonOptions{})
			require.Error(t, err, c.what)
			fmt.Fprintf(&golden, "%s: %s: %s\n", c.what, ams.CodeOf(err), err)
		}
		_, err = w.Addons.Add(w.ctx, "ssh", addonPkg("ssh", "x"), ams.AddonOptions{Digest: strings.Repeat("0", 64)})
		require.ErrorIs(t, err, ams.ErrInvalid)
		_, err = w.Addons.Update(w.ctx, "ssh", addonPkg("ssh", "x"), ams.AddonOptions{})
		require.ErrorIs(t, err, ams.ErrNotFound)
		_, err = w.Addons.Update(w.ctx, "taken", addonPkg("other", "x"), ams.AddonOptions{})
		require.ErrorIs(t, err, ams.ErrInvalid)
		list, _, err := w.Addons.List(w.ctx, ams.AddonFilter{}, ams.Page{})
		require.NoError(t, err)
		require.Len(t, list, 1)
	})
	isGolden(t, "addons-refused.txt", golden.String())
}

// isGolden compares with a file in testdata/golden, or with -update writes it.
func isGolden(t *testing.T, name, have string) {
	t.Helper()
	name = "testdata/golden/" + name
	if *ams.UpdateGolden {
		require.NoError(t, os.WriteFile(name, []byte(have), 0o644))
		return
	}
	want, err := os.ReadFile(name)
	require.NoError(t, err)
	require.Equal(t, string(want), have)
}

func TestAddonsInUse(t *testing.T) {
	bubble(t, slow, func(t *testing.T, w *world) {
		w.image()
		w.addon("ssh")
		w.addon("vpn")
		w.addon("log")
		require.ErrorContains(t, w.Settings.Set(w.ctx, "application.addons", "log,none"), `addon "none" not found`)
		require.NoError(t, w.Settings.Set(w.ctx, "application.addons", "log"))
		_, err := w.Applications.Create(w.ctx, pkg("name: candy\naddons: [ssh, none]"), ams.CreateOptions{})
		require.ErrorContains(t, err, `addon "none" not found`)
		w.wait(w.Applications.Create(w.ctx, pkg("name: candy\naddons: [ssh]"), ams.CreateOptions{}))
		v := w.settled("candy")[0]
		require.Equal(t, []string{"log", "ssh"}, []string{v.Addons[0].Name, v.Addons[1].Name}, "the global ones first")
		for name, why := range map[string]string{"ssh": "is used by application candy", "log": "is listed in the setting application.addons"} {
			_, err := w.Addons.Delete(w.ctx, name)
			require.ErrorIs(t, err, ams.ErrInUse)
			require.ErrorContains(t, err, why)
			users, err := w.Addons.UsedBy(w.ctx, name)
			require.NoError(t, err)
			require.Equal(t, []string{"candy"}, users)
		}
		_, err = w.Addons.DeleteVersion(w.ctx, "ssh", 0)
		require.ErrorIs(t, err, ams.ErrState)
		w.wait(w.Addons.Update(w.ctx, "ssh", addonPkg("ssh", "two"), ams.AddonOptions{}))
		require.Len(t, w.settled("candy"), 2)
		_, err = w.Addons.DeleteVersion(w.ctx, "ssh", 0)
		require.ErrorIs(t, err, ams.ErrInUse)
		require.ErrorContains(t, err, "version 0 is used by version 0 of application candy")

		// Taken off the list it is used as long as a version has it.
		w.wait(w.Applications.Set(w.ctx, "candy", ams.ApplicationPatch{Addons: []string{"vpn"}}))
		require.NoError(t, w.Settings.Set(w.ctx, "application.addons", ""))
		versions := w.settled("candy")
		last := versions[len(versions)-1]
		require.Equal(t, []int{3, 1}, []int{last.Number, len(last.Addons)})
		_, err = w.Addons.Delete(w.ctx, "ssh")
		require.ErrorIs(t, err, ams.ErrInUse)
		for _, n := range numbers(versions[:len(versions)-1]) {
			w.wait(w.Applications.DeleteVersion(w.ctx, "candy", n))
		}
		w.wait(w.Addons.Delete(w.ctx, "ssh"))
		w.wait(w.Addons.Delete(w.ctx, "log"))
	})
}

// TestBurstOfChanges changes addons, the image and the setting at once: that is one
// new version.
func TestBurstOfChanges(t *testing.T) {
	bubble(t, slow, func(t *testing.T, w *world) {
		w.image()
		for _, name := range []string{"ssh", "vpn", "log"} {
			w.addon(name)
		}
		w.wait(w.Applications.Create(w.ctx, pkg(candy+"addons: [ssh, vpn]"), ams.CreateOptions{}))
		w.settled("candy")
		op, err := w.Images.Update(w.ctx, jammy, fakeImage("two"), ams.ImageOptions{})
		require.NoError(t, err)
		time.Sleep(1900 * time.Millisecond) // it is here in two seconds
		for i := range 3 {
			w.wait(w.Addons.Update(w.ctx, "ssh", addonPkg("ssh", fmt.Sprint(i)), ams.AddonOptions{}))
			w.wait(w.Addons.Update(w.ctx, "vpn", addonPkg("vpn", fmt.Sprint(i)), ams.AddonOptions{}))
		}
		require.NoError(t, w.Settings.Set(w.ctx, "application.addons", "log"))
		w.wait(op, nil)
		versions := w.settled("candy")
		require.Equal(t, []int{0, 1}, numbers(versions))
		v := versions[1]
		require.Equal(t, 1, v.ImageVersion)
		require.Equal(t, []int{0, 3, 3}, []int{v.Addons[0].Version, v.Addons[1].Version, v.Addons[2].Version})
	})
}

// TestAddonFilesStay deletes what refers to an addon's files step by step.
func TestAddonFilesStay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, slow)
		w.image()
		w.addon("ssh")
		prepared := w.launch(ams.LaunchRequest{Name: "raw", Addons: []string{"ssh"}, NoStart: true})
		require.Equal(t, "ssh", prepared.Addons[0].Name)
		_, err := w.Addons.Delete(w.ctx, "ssh")
		require.ErrorIs(t, err, ams.ErrInUse)
		_, err = w.Instances.Launch(w.ctx, ams.LaunchRequest{Addons: []string{"none"}})
		require.ErrorIs(t, err, ams.ErrNotFound)
		w.wait(w.Instances.Start(w.ctx, "raw", ams.StartOptions{DropLogs: true}))
		w.wait(w.Addons.Delete(w.ctx, "ssh"))
		digest := prepared.Addons[0].Package.Digest
		has := func() bool {
			u, err := w.Storage.Usage(w.ctx)
			require.NoError(t, err)
			for _, item := range u.Blobs {
				if item.ID == digest {
					return true
				}
			}
			return false
		}
		time.Sleep(3 * time.Hour)
		require.True(t, has(), "the instance refers to it")
		w.wait(w.Instances.Delete(w.ctx, "raw", false))
		time.Sleep(3 * time.Hour)
		require.False(t, has())
		w.audit()
	})
}

func TestConcurrentAddonUpdates(t *testing.T) {
	bubble(t, fake.Options{}, func(t *testing.T, w *world) {
		w.addon("ssh")
		var all sync.WaitGroup
		errs := make([]error, 10)
		for i := range errs {
			all.Go(func() {
				_, errs[i] = w.Addons.Update(w.ctx, "ssh", addonPkg("ssh", fmt.Sprint("hook ", i)), ams.AddonOptions{})
			})
		}
		all.Wait()
		require.NoError(t, errors.Join(errs...))
		addon, err := w.Addons.Get(w.ctx, "ssh")
		require.NoError(t, err)
		require.Len(t, addon.Versions, 11)
		for i, v := range addon.Versions {
			require.Equal(t, i, v.Number)
		}
	})
}

// withMode is the package of an addon with a hook of that mode.
func withMode(hook string, mode os.FileMode) io.Reader {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for name, content := range map[string]string{"manifest.yaml": "name: ssh", hook: "x"} {
		h := &zip.FileHeader{Name: name}
		h.SetMode(mode)
		f, err := z.CreateHeader(h)
		if err == nil {
			_, err = io.WriteString(f, content)
		}
		if err != nil {
			panic(err)
		}
	}
	if err := z.Close(); err != nil {
		panic(err)
	}
	return &b
}
