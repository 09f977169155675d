package android_test

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
	"github.com/openams/ams/guest/android"
)

// family is a hook that never ends, with a child, a grandchild, and one that has
// left the process group. Their ids are in the file pids.
const family = `#!/bin/sh
cd "$AMS_GUEST_ROOT"
sh -c 'sleep 1000 & echo $! >>pids; sleep 1000 & echo $$ $! >>pids; wait' &
setsid sh -c 'echo $$ >>pids; while :; do sleep 1000; done' &
env -i PATH="$PATH" sh -c 'echo $$ >>pids; exec sleep 1000' &
echo $$ >>pids
until [ "$(cat pids | wc -w)" = 6 ]; do sleep 0.1; done
echo >ready
wait
`

// gone waits until the processes listed in the file pids have ended.
func (m *machine) gone() {
	m.t.Helper()
	pids := strings.Fields(m.read("pids"))
	require.Len(m.t, pids, 6)
	for _, pid := range pids {
		require.Eventually(m.t, func() bool { return !alive(pid) }, 20*time.Second, 10*time.Millisecond, "process %s is left", pid)
	}
}

func TestHookTimeoutKillsAll(t *testing.T) {
	onShells(t, func(t *testing.T, m *machine) {
		m.write("var/lib/anbox/app/hooks/pre-start", 0o755, family)
		v := application()
		v.Manifest.Hooks.Timeout = "3s"
		require.EqualError(t, m.run(ams.PhaseStart, v, nil),
			"pre-start hook of application exited with code 124: timed out after 3 seconds")
		m.gone()
	})
}

// LXD kills the driver when the phase is cancelled, so that no trap is run; and a
// caller that dies does not even do that, but sends another driver later.
func TestLostDriver(t *testing.T) {
	tests := map[string]func(t *testing.T, m *machine, cancel func()){
		"killed": func(_ *testing.T, m *machine, cancel func()) {
			cancel()
			m.gone()
		},
		"replaced": func(t *testing.T, m *machine, _ func()) {
			m.write("var/lib/anbox/app/hooks/pre-start", 0o755, "#!/bin/sh\n")
			require.NoError(t, m.run(ams.PhaseStart, application(), nil))
			m.gone()
		},
		"killed and replaced": func(t *testing.T, m *machine, cancel func()) {
			m.write("var/lib/anbox/app/hooks/pre-start", 0o755, "#!/bin/sh\n")
			cancel()
			require.NoError(t, m.run(ams.PhaseStart, application(), nil))
			m.gone()
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			onShells(t, func(t *testing.T, m *machine) {
				m.kill = true
				m.write("var/lib/anbox/app/hooks/pre-start", 0o755, family)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				ended := make(chan error)
				go func() { ended <- m.runContext(ctx, ams.PhaseStart, application(), nil) }()
				require.Eventually(t, func() bool { return m.read("ready") != "" }, 20*time.Second, 10*time.Millisecond)
				test(t, m, func() {
					cancel()
					require.ErrorIs(t, <-ended, context.Canceled)
					ended = nil
				})
				if ended != nil {
					require.ErrorContains(t, <-ended, "phase start exited with code")
				}
			})
		})
	}
}

// The end of a hook ends its step, also when what it has started holds its output
// open; and that stays, whatever comes after.
func TestHookLeavesService(t *testing.T) {
	onShells(t, func(t *testing.T, m *machine) {
		const service = "#!/bin/sh\nsleep 1000 &\necho $! >>\"$AMS_GUEST_ROOT/pids\"\n"
		m.write("var/lib/anbox/app/hooks/pre-start", 0o755, service)
		m.write("var/lib/anbox/app/hooks/post-start", 0o755, service+"echo said; exit 3\n")
		m.write("var/lib/anbox/app/hooks/post-stop", 0o755, "#!/bin/sh\nexec sleep 1000\n")
		begin := time.Now()
		require.EqualError(t, m.run(ams.PhaseStart, application(), nil), "post-start hook of application exited with code 3: said")
		v := application()
		v.Manifest.Hooks.Timeout = "1s"
		require.ErrorContains(t, m.run(ams.PhaseStop, v, nil), "timed out")
		require.Less(t, time.Since(begin), 60*time.Second)
		pids := strings.Fields(m.read("pids"))
		require.Len(t, pids, 2)
		for _, pid := range pids {
			require.True(t, alive(pid), "the service was killed")
			number, err := strconv.Atoi(pid)
			require.NoError(t, err)
			require.NoError(t, syscall.Kill(number, syscall.SIGKILL))
		}
	})
}

// The output that a service of one hook goes on to print is not that of another.
func TestServiceGoesOnPrinting(t *testing.T) {
	onShells(t, func(t *testing.T, m *machine) {
		m.write("var/lib/anbox/app/hooks/pre-start", 0o755, `#!/bin/sh
cd "$AMS_GUEST_ROOT"
{ until [ -e go ]; do sleep 0.1; done; head -c 2000000 /dev/zero | tr '\000' x; echo >done; } &
`)
		m.write("var/lib/anbox/app/hooks/post-start", 0o755, `#!/bin/sh
cd "$AMS_GUEST_ROOT"
echo mine; echo >go
until [ -e done ]; do sleep 0.1; done
exit 1
`)
		require.EqualError(t, m.run(ams.PhaseStart, application(), nil), "post-start hook of application exited with code 1: mine")
		log, err := os.Stat(filepath.Join(m.root, "var/lib/anbox/logs/pre-start.app.log"))
		require.NoError(t, err)
		require.Equal(t, int64(1<<20), log.Size())
	})
}

// Each of these is there and cannot be run, in a phase in which it matters.
func TestHookThatCannotRun(t *testing.T) {
	for _, phase := range []ams.GuestPhase{ams.PhaseBootstrap, ams.PhaseStart, ams.PhaseStop} {
		for _, hook := range map[ams.GuestPhase][]string{
			ams.PhaseBootstrap: {"install", "pre-start", "prepare", "post-start", "post-stop"},
			ams.PhaseStart:     {"restore", "pre-start", "post-start"},
			ams.PhaseStop:      {"post-stop", "backup"},
		}[phase] {
			t.Run(string(phase)+" "+hook, func(t *testing.T) {
				onShells(t, func(t *testing.T, m *machine) {
					m.addons = []ams.GuestAddon{{Name: "a"}}
					dir, file := "var/lib/anbox/addons/a/hooks/", filepath.Join(m.root, "var/lib/anbox/addons/a/hooks", hook)
					fails := func(want string) {
						require.EqualError(t, m.run(phase, application(), nil), hook+" hook of addon a exited with code "+want)
					}
					m.write(dir+hook, 0o644, "#!/bin/sh\n")
					fails("126: the hook is not executable")
					require.NoError(t, os.Remove(file))
					m.write(dir+hook+"/x", 0o755, "")
					fails("126: the hook is not a file")
					require.NoError(t, os.RemoveAll(file))
					m.write(dir+hook, 0o755, "#!/bin/sh\necho no >&2\nexit 1\n")
					fails("1: no")
				})
			})
		}
	}
}

// An addon's hooks have its own limit, or else the default, and not that of the
// application.
func TestHookTimeoutOfAddon(t *testing.T) {
	onShells(t, func(t *testing.T, m *machine) {
		m.addons = []ams.GuestAddon{{Name: "a", HookTimeout: 500 * time.Millisecond}}
		m.write("var/lib/anbox/addons/a/hooks/pre-start", 0o755, "#!/bin/sh\nexec sleep 1000\n")
		require.EqualError(t, m.run(ams.PhaseStart, application(), nil),
			"pre-start hook of addon a exited with code 124: timed out after 1 seconds")
	})
}

// A start that fails in a hook can be repeated.
func TestStartAgain(t *testing.T) {
	onShells(t, func(t *testing.T, m *machine) {
		m.write("var/lib/anbox/app/hooks/pre-start", 0o755, "#!/bin/sh\n[ -e \"$AMS_GUEST_ROOT/twice\" ] || { echo >\"$AMS_GUEST_ROOT/twice\"; exit 1; }\n")
		g := android.New(android.Options{})
		run := ams.GuestRun{Phase: ams.PhaseStart, Version: application(), Exec: m.exec, Report: func(ams.GuestStep) {}}
		require.ErrorIs(t, g.Run(t.Context(), run), ams.ErrFailed)
		require.NoError(t, g.Run(t.Context(), run))
	})
}
