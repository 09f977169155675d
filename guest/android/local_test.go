package android_test

import (
	"archive/tar"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
	"github.com/openams/ams/guest/android"
)

const reveal = `#!/bin/sh
hook=${0##*/}
echo "$hook $(pwd) $INSTANCE_TYPE $CONTAINER_TYPE $BOOT_PACKAGE [${ADDON_DIR-none}] $APP_DIR $ANBOX_DIR $ANDROID_ROOTFS [${ANBOX_EXIT_CODE-none}]" |
	sed "s|$AMS_GUEST_ROOT||g" >>"$AMS_GUEST_ROOT/journal"
`

func TestStart(t *testing.T) {
	onShells(t, func(t *testing.T, m *machine) {
		v := application()
		m.addons = []ams.GuestAddon{{Name: "first"}, {Name: "second"}}
		for _, hook := range []string{
			"app/hooks/pre-start", "app/hooks/post-start", "addons/first/hooks/pre-start", "addons/second/hooks/pre-start",
			"addons/second/hooks/post-start", "app/hooks/post-stop", "addons/first/hooks/post-stop", "addons/second/hooks/post-stop",
		} {
			m.write("var/lib/anbox/"+hook, 0o755, reveal)
		}
		m.write("var/lib/anbox/app/hooks/README", 0o644, "not a hook")
		require.NoError(t, m.run(ams.PhaseStart, v, nil))
		env := "regular regular com.example.candy "
		dirs := "/var/lib/anbox/app /var/lib/anbox /var/lib/anbox/rootfs "
		require.Equal(t, []string{
			"pre-start /var/lib/anbox/addons/first " + env + "[/var/lib/anbox/addons/first] " + dirs + "[none]",
			"pre-start /var/lib/anbox/addons/second " + env + "[/var/lib/anbox/addons/second] " + dirs + "[none]",
			"pre-start /var/lib/anbox/app " + env + "[none] " + dirs + "[none]",
			"android start",
			"getprop sys.boot_completed",
			"am start -n com.example.candy/.Main",
			"post-start /var/lib/anbox/addons/second " + env + "[/var/lib/anbox/addons/second] " + dirs + "[none]",
			"post-start /var/lib/anbox/app " + env + "[none] " + dirs + "[none]",
		}, m.journal())
		require.Equal(t, []string{
			"pre-start hook of addon first: 0", "pre-start hook of addon second: 0", "pre-start hook of application: 0",
			"boot android: 0", "start com.example.candy: 0",
			"post-start hook of addon second: 0", "post-start hook of application: 0",
		}, m.steps)
		require.Equal(t, "user data", m.read("var/lib/anbox/userdata"))
		require.Equal(t, "session", m.read("var/lib/anbox/session.yaml"))

		m.steps = nil
		m.env = []string{"STOP_CODE=9"}
		err := m.run(ams.PhaseStop, v, nil)
		require.ErrorIs(t, err, ams.ErrFailed)
		require.EqualError(t, err, "stop android exited with code 9")
		require.Equal(t, []string{
			"android stop",
			"post-stop /var/lib/anbox/app " + env + "[none] " + dirs + "[9]",
			"post-stop /var/lib/anbox/addons/second " + env + "[/var/lib/anbox/addons/second] " + dirs + "[9]",
			"post-stop /var/lib/anbox/addons/first " + env + "[/var/lib/anbox/addons/first] " + dirs + "[9]",
		}, m.journal())
		m.env = nil
		require.NoError(t, m.run(ams.PhaseStop, v, nil))
		require.Contains(t, strings.Join(m.journal(), "\n"), "[0]")
	})
}

// A raw instance has no application: Android starts, and nothing in it.
func TestRaw(t *testing.T) {
	onShells(t, func(t *testing.T, m *machine) {
		require.NoError(t, m.run(ams.PhaseStart, nil, nil))
		require.NoError(t, m.run(ams.PhaseStop, nil, nil))
		require.Equal(t, []string{"android start", "getprop sys.boot_completed", "android stop"}, m.journal())
	})
}

// Without an activity the launcher's choice of the package is started.
func TestNoActivity(t *testing.T) {
	onShells(t, func(t *testing.T, m *machine) {
		v := application()
		v.APK.MainActivity = ""
		require.NoError(t, m.run(ams.PhaseStart, v, nil))
		require.Contains(t, m.journal(),
			"am start -a android.intent.action.MAIN -c android.intent.category.LAUNCHER -p com.example.candy")
	})
}

func TestAndroidDoesNotBoot(t *testing.T) {
	onShells(t, func(t *testing.T, m *machine) {
		for script, want := range map[string]string{
			"exit 0":     "boot android exited with code 124: Android has not booted after 1 seconds",
			"sleep 1000": "boot android exited with code 124: timed out after 1 seconds",
			"exit 9":     "boot android exited with code 9",
		} {
			m.write("usr/share/ams/android", 0o755, "#!/bin/sh\n"+script+"\n")
			err := android.New(android.Options{BootTimeout: time.Second}).Run(t.Context(), ams.GuestRun{
				Phase: ams.PhaseStart, Exec: m.exec, Report: func(ams.GuestStep) {},
			})
			require.EqualError(t, err, want)
		}
	})
}

func TestHookFailures(t *testing.T) {
	tests := []struct {
		name   string
		mode   os.FileMode
		script string
		want   string // of the error, after "pre-start hook of application exited with code "
	}{
		{"exit code", 0o755, "#!/bin/sh\necho out; echo 'a \"b\" \\ c' >&2\nexit 3\n", "3: out\na \"b\" \\ c"},
		{"killed", 0o755, "#!/bin/sh\nkill -s KILL $$\n", "137"},
		{"not executable", 0o644, "#!/bin/sh\n", "126: the hook is not executable"},
		{"no interpreter", 0o755, "#!/nowhere/sh\n", "127: "},
		{"hang", 0o755, "#!/bin/sh\necho waiting\ntrap '' TERM HUP INT\nwhile :; do sleep 1000; done\n", "124: waiting\n\ntimed out after 1 seconds"},
		{"fork and hang", 0o755, "#!/bin/sh\nfor i in 1 2 3; do sh -c 'echo $$ >>\"$AMS_GUEST_ROOT/pids\"; while :; do sleep 1000; done' & done\nwait\n", "124: timed out after 1 seconds"},
		{"endless output", 0o755, "#!/bin/sh\nexec yes flood\n", "124: "},
		{"control characters", 0o755, "#!/bin/sh\nprintf '\\033[31m\\000red\\377\\tx'\nexit 1\n", "1: [31mred\tx"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			onShells(t, func(t *testing.T, m *machine) {
				m.write("var/lib/anbox/app/hooks/pre-start", test.mode, test.script)
				v := application()
				if strings.HasPrefix(test.want, "124") {
					v.Manifest.Hooks.Timeout = "1s"
				}
				err := m.run(ams.PhaseStart, v, nil)
				require.ErrorIs(t, err, ams.ErrFailed)
				require.True(t, strings.HasPrefix(err.Error(), "pre-start hook of application exited with code "+test.want), "%s", err)
				require.LessOrEqual(t, len(err.Error()), 5<<10)
				require.Empty(t, m.read("journal"), "Android was started")
				for _, pid := range strings.Fields(m.read("pids")) {
					require.Eventually(t, func() bool { return !alive(pid) }, 20*time.Second, 10*time.Millisecond, "process %s is left", pid)
				}
				log := filepath.Join(m.root, "var/lib/anbox/logs/pre-start.app.log")
				if info, err := os.Stat(log); err == nil {
					require.LessOrEqual(t, info.Size(), int64(1<<20))
				}
			})
		})
	}
}

func TestHookThatIsNoFile(t *testing.T) {
	onShells(t, func(t *testing.T, m *machine) {
		m.write("var/lib/anbox/app/hooks/pre-start/x", 0o755, "")
		require.EqualError(t, m.run(ams.PhaseStart, application(), nil),
			"pre-start hook of application exited with code 126: the hook is not a file")
		require.NoError(t, os.RemoveAll(filepath.Join(m.root, "var/lib/anbox/app/hooks/pre-start")))
		require.NoError(t, os.Symlink("/nowhere", filepath.Join(m.root, "var/lib/anbox/app/hooks/pre-start")))
		require.EqualError(t, m.run(ams.PhaseStart, application(), nil),
			"pre-start hook of application exited with code 126: the hook is not a file")
	})
}

func TestAndroidFailures(t *testing.T) {
	tests := []struct {
		name, env, want string
		phase           ams.GuestPhase
	}{
		{"install", "PM_SAYS=Failure [INSTALL_FAILED]", "install app.apk exited with code 1: got com.example.candy\nFailure [INSTALL_FAILED]", ams.PhaseBootstrap},
		{"activity", "AM_SAYS=Error: Activity class does not exist.", "start com.example.candy exited with code 1: Error: Activity class does not exist.", ams.PhaseStart},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			onShells(t, func(t *testing.T, m *machine) {
				m.env = []string{test.env}
				err := m.run(test.phase, application(), map[string]member{"app.apk": {0o644, "apk"}})
				require.ErrorIs(t, err, ams.ErrFailed)
				require.EqualError(t, err, test.want)
			})
		})
	}
}

func TestPrune(t *testing.T) {
	onShells(t, func(t *testing.T, m *machine) {
		v := application()
		v.Manifest.Bootstrap.Keep = []string{"config/*.ini", "ass*", "sub/[^x]/deep", `odd\*name`, "sp ace", "com,ma/x,y"}
		f := member{0o644, "x"}
		require.NoError(t, m.run(ams.PhaseBootstrap, v, map[string]member{
			"manifest.yaml": f, "hooks/any": f, "app.apk": f, "extra-data/big": f,
			"config/one.ini": f, "config/.two.ini": f, "config/one.txt": f, "config/more/three.ini": f,
			"assets/x/y": f, "b": f, ".hidden": f, "..odd": f,
			"sub/x/deep": f, "sub/y/deep/tree": f, "sub/y/shallow": f,
			"com,ma/x,y": f, "com,ma/z": f, "odd*name": f, "oddXname": f, "sp ace": f, "sp": f, "new\nline": f, "-rf": f,
		}))
		var left []string
		base := filepath.Join(m.root, "var/lib/anbox")
		require.NoError(t, filepath.WalkDir(base, func(p string, d os.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				left = append(left, strings.TrimPrefix(p, base+"/"))
			}
			return err
		}))
		require.Equal(t, []string{
			"app/assets/x/y", "app/com,ma/x,y", "app/config/.two.ini", "app/config/one.ini", "app/hooks/any", "app/manifest.yaml",
			"app/odd*name", "app/sp ace", "app/sub/y/deep/tree",
		}, left)
	})
}

func TestOwnDriver(t *testing.T) {
	onShells(t, func(t *testing.T, m *machine) {
		m.write("usr/share/ams/guest", 0o755, `#!/bin/sh
tar -t -f - >"$AMS_GUEST_ROOT/members"
echo '{"step":"own '$1'","state":"begin"}'
echo '{"step":"own '$1'","state":"fail","exit":5,"tail":"no"}'
exit 1
`)
		require.EqualError(t, m.run(ams.PhaseStart, application(), nil), "own start exited with code 5: no")
		require.Equal(t, "session.yaml\nuserdata\n.ams/plan\n", m.read("members"))
	})
}

// A package that cannot be read is the package's error, not that of the shell it
// was sent to; and nothing is done with half of it.
func TestPackageBreaks(t *testing.T) {
	onShells(t, func(t *testing.T, m *machine) {
		broken := ams.Errorf(ams.ErrCorrupt, "the blob is damaged")
		run := ams.GuestRun{
			Phase: ams.PhaseBootstrap, Version: application(), Exec: m.exec, Report: func(ams.GuestStep) {},
			Package: func(_ context.Context, tw *tar.Writer, prefix string) error {
				return errors.Join(tw.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: prefix + "app.apk", Mode: 0o600}), broken)
			},
		}
		require.ErrorIs(t, android.New(android.Options{}).Run(t.Context(), run), ams.ErrCorrupt)
		require.Empty(t, m.read("journal"))
	})
}

// A driver that is told to end takes its hook along.
func TestCancel(t *testing.T) {
	onShells(t, func(t *testing.T, m *machine) {
		m.write("var/lib/anbox/app/hooks/pre-start", 0o755, "#!/bin/sh\nsleep 60 &\necho $$ $! >\"$AMS_GUEST_ROOT/pids\"\nwait\n")
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() {
			ended <- android.New(android.Options{}).Run(ctx, ams.GuestRun{
				Phase: ams.PhaseStart, Version: application(), Exec: m.exec, Report: func(ams.GuestStep) {},
			})
		}()
		require.Eventually(t, func() bool { return strings.HasSuffix(m.read("pids"), "\n") }, 10*time.Second, 10*time.Millisecond)
		cancel()
		require.ErrorIs(t, <-ended, context.Canceled)
		for _, pid := range strings.Fields(m.read("pids")) {
			require.Eventually(t, func() bool { return !alive(pid) }, 20*time.Second, 10*time.Millisecond, "process %s is left", pid)
		}
	})
}
