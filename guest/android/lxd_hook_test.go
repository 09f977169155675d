package android_test

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
	"github.com/openams/ams/internal/lxdrun"
	"github.com/openams/ams/internal/lxdtest"
)

// TestEnvironmentInLXD has every hook of an addon and of an application in every
// phase tell what it sees. An application has none of the old hooks.
func TestEnvironmentInLXD(t *testing.T) {
	t.Parallel()
	c := launch(t, "guest-environment")
	tell := member{0o755, `#!/bin/sh
echo "${0##*/} $(pwd) $(env | grep -E '^(ADDON|ANBOX|ANDROID|APP|BOOT|CONTAINER|INSTANCE)_' | sort | tr '\n' ' ')" >>/var/lib/anbox-test/env
`}
	hooks := map[string]member{}
	for _, name := range []string{"install", "restore", "pre-start", "prepare", "post-start", "post-stop", "backup"} {
		hooks["hooks/"+name] = tell
	}
	c.addons = []ams.GuestAddon{{Name: "sugar", Write: packageOf(hooks)}}
	told := func() []string {
		return strings.Split(strings.TrimSuffix(c.sh("cat /var/lib/anbox-test/env; rm /var/lib/anbox-test/env"), "\n"), "\n")
	}
	const addon, app = "/var/lib/anbox/addons/sugar", "/var/lib/anbox/app"
	expect := func(kind, hook, dir, exit string) string {
		var vars []string
		if dir == addon {
			vars = append(vars, "ADDON_DIR="+addon)
		}
		vars = append(vars, "ANBOX_DIR=/var/lib/anbox")
		if exit != "" {
			vars = append(vars, "ANBOX_EXIT_CODE="+exit)
		}
		vars = append(vars, "ANDROID_ROOTFS=/var/lib/anbox/rootfs", "APP_DIR="+app, "BOOT_PACKAGE=com.example.candy",
			"CONTAINER_TYPE="+kind, "INSTANCE_TYPE="+kind)
		return fmt.Sprintf("%s %s %s ", hook, dir, strings.Join(vars, " "))
	}

	require.NoError(t, c.run(ams.PhaseBootstrap, application(), hooks))
	require.Equal(t, []string{
		expect("base", "install", addon, ""),
		expect("base", "pre-start", addon, ""), expect("base", "pre-start", app, ""),
		expect("base", "prepare", addon, ""), expect("base", "post-start", addon, ""),
		expect("base", "post-start", app, ""),
		expect("base", "post-stop", app, "0"), expect("base", "post-stop", addon, "0"),
	}, told())

	c.addons[0].Write = nil
	c.sh("mkdir -p /var/lib/anbox-test/packages/com.example.candy")
	require.NoError(t, c.run(ams.PhaseStart, application(), nil))
	require.Equal(t, []string{
		expect("regular", "restore", addon, ""), expect("regular", "pre-start", addon, ""),
		expect("regular", "pre-start", app, ""),
		expect("regular", "post-start", addon, ""), expect("regular", "post-start", app, ""),
	}, told())

	c.sh("mkdir -p /etc/ams-test; echo exit 4 >/etc/ams-test/fault.android-stop")
	require.ErrorContains(t, c.run(ams.PhaseStop, application(), nil), "stop android exited with code 4")
	require.Equal(t, []string{
		expect("regular", "post-stop", app, "4"),
		expect("regular", "post-stop", addon, "4"), expect("regular", "backup", addon, "4"),
	}, told())
}

// stubborn is a hook that never ends, with a child and one outside of its group.
var stubborn = member{0o755, `#!/bin/sh
trap '' TERM HUP INT
sleep 1001 &
setsid sleep 1002 &
env -i sleep 1003 &
echo >/var/lib/anbox-test/ready
while :; do sleep 1000; done
`}

// TestCancelInLXD cancels a phase: LXD kills the driver, the instance goes on, and
// nothing of the hook is left in it.
func TestCancelInLXD(t *testing.T) {
	t.Parallel()
	c := launch(t, "guest-cancel")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		ended <- c.runContext(ctx, ams.PhaseBootstrap, application(), map[string]member{"hooks/pre-start": stubborn})
	}()
	c.await("test -e /var/lib/anbox-test/ready")
	require.Contains(t, c.sh("ps"), "sleep 1003")
	cancel()
	require.ErrorIs(t, <-ended, context.Canceled)
	c.await("! ps | grep -v grep | grep -q -e 'sleep 100' -e ams-guest -e watch")
	c.sh("true")
}

// TestDaemonDiesInLXD kills LXD during a phase, which leaves the driver and its
// hook running. The phase is run again, and finds itself alone.
func TestDaemonDiesInLXD(t *testing.T) {
	lxdtest.Check(t)
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	d, err := lxdrun.Start(ctx, lxdrun.Options{})
	require.NoError(t, err)
	defer func() { require.NoError(t, d.Stop(context.Background())) }()
	for _, args := range [][]string{{"image", "import", lxdtest.ImageFile(t), "--alias", "test"}, {"launch", "test", "guest-daemon"}} {
		cmd := exec.CommandContext(ctx, "lxc", args...)
		cmd.Env = d.Env()
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
	c := &container{t: t, c: lxdtest.Connect(t, d), name: "guest-daemon"}
	ended := make(chan error, 1)
	go func() {
		ended <- c.runContext(ctx, ams.PhaseBootstrap, application(), map[string]member{"hooks/pre-start": stubborn})
	}()
	c.await("test -e /var/lib/anbox-test/ready")
	require.NoError(t, d.Kill())
	require.Error(t, <-ended)
	require.NoError(t, d.Restart(ctx))
	c.c = lxdtest.Connect(t, d)
	t.Log("left behind:", c.sh("ps | grep -v grep | grep -c 'sleep 100'"))
	require.NoError(t, c.runContext(ctx, ams.PhaseBootstrap, application(), map[string]member{"hooks/pre-start": {0o755, `#!/bin/sh
! ps | grep -v grep | grep 'sleep 100' >&2
`}}))
}
