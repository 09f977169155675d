package android_test

import (
	"archive/tar"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
	"github.com/openams/ams/guest/android"
	"github.com/openams/ams/internal/lxdtest"
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
	t      *testing.T
	root   string
	shell  []string
	env    []string
	addons []ams.GuestAddon
	mirror *string       // not nil if security updates are wanted
	limit  time.Duration // of a step; 0 is 10 seconds
	kill   bool          // what is cancelled is killed, as LXD does it

	mu    sync.Mutex
	steps []string
}

// onShells runs a test with each shell the driver has to run on.
func onShells(t *testing.T, test func(t *testing.T, m *machine)) {
	for _, shell := range [][]string{{"busybox", "sh"}, {"dash"}} {
		t.Run(shell[0], func(t *testing.T) {
			t.Parallel()
			lxdtest.Programs(t, shell[0], "setsid", "tar")
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
	if !m.kill {
		cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	}
	cmd.WaitDelay = 5 * time.Second
	err := cmd.Run()
	if ctx.Err() != nil {
		return 0, ctx.Err()
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode(), nil
	}
	return 0, err
}

// run performs a phase. Steps that ended are kept in m.steps, with the code.
func (m *machine) run(phase ams.GuestPhase, version *ams.Version, files map[string]member) error {
	return m.runContext(m.t.Context(), phase, version, files)
}

func (m *machine) runContext(ctx context.Context, phase ams.GuestPhase, version *ams.Version, files map[string]member) error {
	run := ams.GuestRun{
		Phase:    phase,
		Instance: ams.Instance{ID: "btavtegj1qm58qg7ru50", Base: phase == ams.PhaseBootstrap},
		Version:  version,
		Addons:   m.addons,
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
	if m.mirror != nil {
		run.SecurityUpdates, run.AptMirror = true, *m.mirror
	}
	limit := cmp.Or(m.limit, 10*time.Second)
	return android.New(android.Options{BootTimeout: 10 * time.Second, StepTimeout: limit}).Run(ctx, run)
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

// application is a version with an APK and nothing else, not even a watchdog.
func application() *ams.Version {
	return &ams.Version{
		Manifest: ams.Manifest{Name: "candy", Hooks: ams.Hooks{Timeout: "1m"}, Watchdog: ams.Watchdog{Disabled: true}},
		APK:      ams.APKInfo{Package: "com.example.candy", MainActivity: ".Main"},
	}
}

// journal returns what was recorded since it was last asked.
func (m *machine) journal() []string {
	m.t.Helper()
	s := m.read("journal")
	m.write("journal", 0o644, "")
	return strings.Split(strings.TrimSuffix(s, "\n"), "\n")
}

// alive reports whether a process exists and is not a zombie.
func alive(pid string) bool {
	b, err := os.ReadFile("/proc/" + pid + "/stat")
	return err == nil && !strings.Contains(string(b), ") Z ")
}
