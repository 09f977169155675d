package android_test

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
	"github.com/openams/ams/guest/android"
)

// standin records how it was called, and what hooks and programs get to see.
const standin = `#!/bin/sh
echo "${0##*/} $*" >>"$AMS_GUEST_ROOT/journal"
case "${0##*/} $*" in
"android start") : >"$AMS_GUEST_ROOT/booted" ;;
"android stop") rm -f "$AMS_GUEST_ROOT/booted"; exit "${STOP_CODE:-0}" ;;
"getprop sys.boot_completed") [ ! -e "$AMS_GUEST_ROOT/booted" ] || echo 1 ;;
"pm install"*) echo "got $AMS_PACKAGE"; echo "${PM_SAYS:-Success}" ;;
"am start"*) echo "${AM_SAYS:-Starting}" ;;
esac
`

// machine is a directory that stands for an instance's root, with the shell that
// runs the driver.
type machine struct {
	t     *testing.T
	root  string
	shell []string
	env   []string

	mu    sync.Mutex
	steps []string
}

// onShells runs a test with each shell the driver has to run on.
func onShells(t *testing.T, test func(t *testing.T, m *machine)) {
	for _, shell := range [][]string{{"busybox", "sh"}, {"dash"}} {
		t.Run(shell[0], func(t *testing.T) {
			t.Parallel()
			_, err := exec.LookPath(shell[0])
			require.NoError(t, err, "this test needs the packages busybox-static and dash")
			m := &machine{t: t, root: t.TempDir(), shell: shell}
			m.write("proc/net/route", 0o644, "Iface\tDestination\neth0\t00000000\n")
			m.write("sys/class/net/lo/x", 0o644, "")
			m.write("sys/class/net/eth0/x", 0o644, "")
			m.write("usr/share/ams/android", 0o755, standin)
			for _, name := range []string{"pm", "am", "getprop"} {
				m.write("bin/"+name, 0o755, standin)
			}
			test(t, m)
		})
	}
}

// write makes a file below the root.
func (m *machine) write(name string, mode os.FileMode, content string) {
	m.t.Helper()
	file := filepath.Join(m.root, name)
	require.NoError(m.t, os.MkdirAll(filepath.Dir(file), 0o755))
	require.NoError(m.t, os.WriteFile(file, []byte(content), 0o600))
	require.NoError(m.t, os.Chmod(file, mode))
}

// read returns a file's content, "" if there is none.
func (m *machine) read(name string) string {
	b, err := os.ReadFile(filepath.Join(m.root, name))
	if !errors.Is(err, os.ErrNotExist) {
		require.NoError(m.t, err)
	}
	return string(b)
}

// exec is the GuestRun.Exec of this machine.
func (m *machine) exec(ctx context.Context, req ams.ExecRequest) (int, error) {
	cmd := exec.CommandContext(ctx, m.shell[0], slices.Concat(m.shell[1:], req.Command[1:])...)
	cmd.Env = append([]string{
		"AMS_GUEST_ROOT=" + m.root,
		"PATH=" + filepath.Join(m.root, "bin") + ":" + os.Getenv("PATH"),
	}, m.env...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = req.Stdin, req.Stdout, req.Stderr
	cmd.WaitDelay = 100 * time.Millisecond
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode(), ctx.Err()
	}
	return 0, err
}

// run performs a phase. Steps that ended are kept in m.steps, with the code.
func (m *machine) run(phase ams.GuestPhase, version *ams.Version, files map[string]member) error {
	run := ams.GuestRun{
		Phase:    phase,
		Instance: ams.Instance{ID: "btavtegj1qm58qg7ru50", Base: phase == ams.PhaseBootstrap},
		Version:  version,
		Exec:     m.exec,
		Files:    map[string][]byte{"session.yaml": []byte("session"), "userdata": []byte("user data")},
		Report: func(s ams.GuestStep) {
			m.mu.Lock()
			defer m.mu.Unlock()
			if s.Ended {
				m.steps = append(m.steps, fmt.Sprintf("%s: %d", s.Name, s.Exit))
			}
		},
	}
	if files != nil {
		run.Package = packageOf(files)
	}
	return android.New(android.Options{BootTimeout: 10 * time.Second, StepTimeout: 10 * time.Second}).Run(m.t.Context(), run)
}

// member is a file of a package.
type member struct {
	mode    int64
	content string
}

func packageOf(files map[string]member) func(context.Context, *tar.Writer, string) error {
	return func(_ context.Context, tw *tar.Writer, prefix string) error {
		for name, f := range files {
			h := &tar.Header{Typeflag: tar.TypeReg, Name: prefix + name, Mode: f.mode, Size: int64(len(f.content))}
			if f.mode == 0 {
				h.Typeflag, h.Mode = tar.TypeDir, 0o755
			}
			if err := tw.WriteHeader(h); err != nil {
				return err
			}
			if _, err := tw.Write([]byte(f.content)); err != nil {
				return err
			}
		}
		return nil
	}
}

// application is a version whose hooks get a second.
func application() *ams.Version {
	return &ams.Version{
		Manifest: ams.Manifest{Name: "candy", Hooks: ams.Hooks{Timeout: "1s"}},
		APK:      ams.APKInfo{Package: "com.example.candy", MainActivity: ".Main"},
	}
}

const reveal = `#!/bin/sh
hook=${0##*/}
echo "$hook $(pwd) $INSTANCE_TYPE $CONTAINER_TYPE $BOOT_PACKAGE [${ADDON_DIR-none}] $APP_DIR $ANBOX_DIR $ANDROID_ROOTFS [${ANBOX_EXIT_CODE-none}]" |
	sed "s|$AMS_GUEST_ROOT||g" >>"$AMS_GUEST_ROOT/journal"
`

func TestStart(t *testing.T) {
	onShells(t, func(t *testing.T, m *machine) {
		v := application()
		v.Manifest.Addons = []string{"first", "second"}
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

// journal returns what was recorded since it was last asked.
func (m *machine) journal() []string {
	m.t.Helper()
	s := m.read("journal")
	m.write("journal", 0o644, "")
	return strings.Split(strings.TrimSuffix(s, "\n"), "\n")
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
				err := m.run(ams.PhaseStart, application(), nil)
				require.ErrorIs(t, err, ams.ErrFailed)
				require.True(t, strings.HasPrefix(err.Error(), "pre-start hook of application exited with code "+test.want), "%s", err)
				require.LessOrEqual(t, len(err.Error()), 5<<10)
				require.Empty(t, m.read("journal"), "Android was started")
				for _, pid := range strings.Fields(m.read("pids")) {
					require.Eventually(t, func() bool { return !alive(pid) }, 5*time.Second, 10*time.Millisecond, "process %s is left", pid)
				}
				log := filepath.Join(m.root, "var/lib/anbox/logs/pre-start.app.log")
				if info, err := os.Stat(log); err == nil {
					require.LessOrEqual(t, info.Size(), int64(1<<20))
				}
			})
		})
	}
}

// alive reports whether a process exists and is not a zombie.
func alive(pid string) bool {
	b, err := os.ReadFile("/proc/" + pid + "/stat")
	return err == nil && !strings.Contains(string(b), ") Z ")
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

// A hook may leave a service running, which holds the hook's output open.
func TestHookLeavesService(t *testing.T) {
	onShells(t, func(t *testing.T, m *machine) {
		m.write("var/lib/anbox/app/hooks/pre-start", 0o755,
			"#!/bin/sh\n(sleep 60; echo never) &\necho $! >\"$AMS_GUEST_ROOT/pids\"\n")
		begin := time.Now()
		require.NoError(t, m.run(ams.PhaseStart, application(), nil))
		require.Less(t, time.Since(begin), 5*time.Second)
		pid := strings.TrimSpace(m.read("pids"))
		require.True(t, alive(pid), "the service was killed")
		require.NoError(t, exec.Command("kill", pid).Run())
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
		v.Manifest.Bootstrap.Keep = []string{"config/*.ini", "ass*", "sub/[^x]/deep", `odd\*name`, "sp ace"}
		f := member{0o644, "x"}
		require.NoError(t, m.run(ams.PhaseBootstrap, v, map[string]member{
			"manifest.yaml": f, "hooks/any": f, "app.apk": f, "extra-data/big": f,
			"config/one.ini": f, "config/.two.ini": f, "config/one.txt": f, "config/more/three.ini": f,
			"assets/x/y": f, "b": f, ".hidden": f, "..odd": f,
			"sub/x/deep": f, "sub/y/deep/tree": f, "sub/y/shallow": f,
			"odd*name": f, "oddXname": f, "sp ace": f, "sp": f, "new\nline": f, "-rf": f,
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
			"app/assets/x/y", "app/config/.two.ini", "app/config/one.ini", "app/hooks/any", "app/manifest.yaml",
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

func TestCancel(t *testing.T) {
	onShells(t, func(t *testing.T, m *machine) {
		v := application()
		v.Manifest.Hooks.Timeout = "5m"
		m.write("var/lib/anbox/app/hooks/pre-start", 0o755, "#!/bin/sh\n: >\"$AMS_GUEST_ROOT/hanging\"\nexec sleep 60\n")
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			for ctx.Err() == nil {
				if _, err := os.Stat(filepath.Join(m.root, "hanging")); err == nil {
					cancel()
				}
			}
		}()
		err := android.New(android.Options{}).Run(ctx, ams.GuestRun{
			Phase: ams.PhaseStart, Version: v, Exec: m.exec, Report: func(ams.GuestStep) {},
		})
		require.ErrorIs(t, err, context.Canceled)
	})
}
