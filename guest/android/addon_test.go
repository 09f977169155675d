package android_test

import (
	"archive/tar"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
	"github.com/openams/ams/guest/android"
)

// An addon that is sent takes the place of what is there, but not before all of it
// has arrived. One that is not sent must be there.
func TestAddonIsReplaced(t *testing.T) {
	onShells(t, func(t *testing.T, m *machine) {
		dir := "var/lib/anbox/addons/"
		m.write(dir+"one/hooks/pre-start", 0o755, "#!/bin/sh\nexit 1\n")
		m.write(dir+"one/data/old", 0o644, "old")
		m.write(dir+"two/data", 0o644, "stays")
		broken := ams.Errorf(ams.ErrCorrupt, "the blob is damaged")
		m.addons = []ams.GuestAddon{{Name: "one", Write: func(_ context.Context, tw *tar.Writer, prefix string) error {
			return errors.Join(tw.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: prefix + "data/new", Mode: 0o600}), broken)
		}}, {Name: "two"}}
		err := m.run(ams.PhaseBootstrap, application(), map[string]member{})
		require.ErrorIs(t, err, ams.ErrCorrupt)
		require.ErrorContains(t, err, "sending addon one")
		require.Equal(t, "old", m.read(dir+"one/data/old"))

		m.addons[0].Write = packageOf(map[string]member{"data/new": {0o644, "new"}, "hooks/post-start": {0o755, reveal}})
		require.NoError(t, m.run(ams.PhaseBootstrap, application(), map[string]member{}))
		require.Equal(t, []string{"network: 0", "addon one: 0", "addon two: 0"}, m.steps[:3])
		require.Contains(t, m.steps, "post-start hook of addon one: 0")
		require.NoFileExists(t, filepath.Join(m.root, dir, "one/data/old"))
		require.NoFileExists(t, filepath.Join(m.root, dir, "one/hooks/pre-start"))
		require.Equal(t, "new", m.read(dir+"one/data/new"))
		require.Equal(t, "stays", m.read(dir+"two/data"))

		m.addons = []ams.GuestAddon{{Name: "three"}}
		require.EqualError(t, m.run(ams.PhaseBootstrap, application(), map[string]member{}),
			"addon three exited with code 1: the addon is not installed")
		m.addons[0].Write = packageOf(nil)
		require.EqualError(t, m.run(ams.PhaseBootstrap, application(), map[string]member{}),
			"addon three exited with code 1: the addon has no files")
	})
}

// A name from outside does not lead out of the directory of the addons.
func TestAddonNames(t *testing.T) {
	for _, name := range []string{"", ".", "..", "../app", "a/b", "/etc", "a\tb", "a\nb"} {
		for _, phase := range []ams.GuestPhase{ams.PhaseBootstrap, ams.PhaseStart, ams.PhaseStop} {
			err := android.New(android.Options{}).Run(t.Context(), ams.GuestRun{
				Phase: phase, Addons: []ams.GuestAddon{{Name: name, Write: packageOf(nil)}},
				Exec: func(context.Context, ams.ExecRequest) (int, error) { panic("not called") },
			})
			require.ErrorIs(t, err, ams.ErrInvalid, "%q", name)
		}
	}
	onShells(t, func(t *testing.T, m *machine) {
		name := "-rf $(id) 'x' \"y\" `z` *"
		m.addons = []ams.GuestAddon{{Name: name, Write: packageOf(map[string]member{"hooks/pre-start": {0o755, reveal}})}}
		require.NoError(t, m.run(ams.PhaseStart, nil, nil))
		require.Contains(t, m.journal()[0], "pre-start /var/lib/anbox/addons/"+name+" regular")
		left, err := os.ReadDir(filepath.Join(m.root, "var/lib/anbox/addons"))
		require.NoError(t, err)
		require.Len(t, left, 1)
	})
}

// TestRawInstanceGetsAddons starts an instance without an application twice: its
// addons are installed once, when there is a network, with the hooks of old.
func TestRawInstanceGetsAddons(t *testing.T) {
	onShells(t, func(t *testing.T, m *machine) {
		files := map[string]member{}
		for _, hook := range []string{"install", "pre-start", "prepare", "post-start", "restore"} {
			files["hooks/"+hook] = member{0o755, reveal}
		}
		m.addons = []ams.GuestAddon{{Name: "old", Write: packageOf(files)}}
		require.NoError(t, m.run(ams.PhaseStart, nil, nil))
		require.Equal(t, []string{
			"network: 0", "addon old: 0", "install hook of addon old: 0", "restore hook of addon old: 0", "pre-start hook of addon old: 0",
			"boot android: 0", "prepare hook of addon old: 0", "post-start hook of addon old: 0",
		}, m.steps)
		require.Equal(t, "install /var/lib/anbox/addons/old regular regular  "+
			"[/var/lib/anbox/addons/old] /var/lib/anbox/app /var/lib/anbox /var/lib/anbox/rootfs [none]", m.journal()[0])

		m.addons[0].Write, m.steps = nil, nil
		require.NoError(t, m.run(ams.PhaseStart, nil, nil))
		require.Equal(t, []string{
			"restore hook of addon old: 0", "pre-start hook of addon old: 0", "boot android: 0", "post-start hook of addon old: 0",
		}, m.steps)
	})
}

// The ABI matters only where there is native code.
func TestABI(t *testing.T) {
	tests := map[string]struct {
		abi  string
		have []string
		all  bool // permissions
		want string
	}{
		"chosen":      {"arm64-v8a", []string{"arm64-v8a", "x86_64"}, false, "pm install -r --abi arm64-v8a "},
		"with grants": {"arm64-v8a", []string{"arm64-v8a", "x86_64"}, true, "pm install -r -g --abi arm64-v8a "},
		"none":        {"", []string{"x86_64"}, false, "pm install -r "},
		"no code":     {"x86_64", nil, false, "pm install -r "},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			onShells(t, func(t *testing.T, m *machine) {
				v := application()
				v.ABI, v.APK.ABIs = test.abi, test.have
				if test.all {
					v.Manifest.RequiredPermissions = []string{"*"}
				}
				require.NoError(t, m.run(ams.PhaseBootstrap, v, map[string]member{"app.apk": {0o644, "apk"}}))
				require.Contains(t, m.journal(), test.want+m.root+"/var/lib/anbox/app/app.apk")
			})
		})
	}
}
