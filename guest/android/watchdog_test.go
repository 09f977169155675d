package android_test

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
	"github.com/openams/ams/guest/android"
)

// TestWatchdog has an application misbehave in a real instance: its watchdog must
// stop the instance and say why, and must leave alone what is allowed.
func TestWatchdog(t *testing.T) {
	if testing.Short() {
		t.Skip("runs instances on LXD")
	}
	const boot, other = "com.example.app", "com.example.other"
	install := func(pkg string) string {
		return "mkdir -p /var/lib/anbox-test/packages/" + pkg + " /data/data/" + pkg + "; echo 10001 >/var/lib/anbox-test/packages/" + pkg + "/uid"
	}
	for _, c := range []struct {
		name    string
		config  ams.InstanceConfig
		dog     ams.Watchdog
		trouble string // what is run in the instance
		reason  string // "" is none
	}{
		{name: "crash", trouble: "touch /var/lib/anbox-test/crashed." + boot, reason: boot + " has crashed"},
		{name: "anr", trouble: "echo '  ANR in " + boot + " (" + boot + "/.Main)' >/var/lib/anbox-test/anr", reason: boot + " does not respond"},
		{name: "foreground", trouble: "am start -n " + other + "/.Main", reason: other + " came to the foreground and is not allowed"},
		{name: "allowed", dog: ams.Watchdog{AllowedPackages: []string{other}}, trouble: "am start -n " + other + "/.Main"},
		{name: "any", dog: ams.Watchdog{AllowedPackages: []string{"*"}}, trouble: "am start -n " + other + "/.Main"},
		{name: "any-crash", dog: ams.Watchdog{AllowedPackages: []string{"*"}}, trouble: "touch /var/lib/anbox-test/crashed." + boot, reason: boot + " has crashed"},
		{name: "not-installed", dog: ams.Watchdog{AllowedPackages: []string{"com.example.none"}}, reason: "the allowed package com.example.none is not installed"},
		{name: "disabled", dog: ams.Watchdog{Disabled: true}, trouble: "touch /var/lib/anbox-test/crashed." + boot},
		{name: "disabled-by-launch", config: ams.InstanceConfig{DisableWatchdog: true}, trouble: "touch /var/lib/anbox-test/crashed." + boot},
		{name: "devmode", config: ams.InstanceConfig{Devmode: true}, trouble: "touch /var/lib/anbox-test/crashed." + boot},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			box := launch(t, "watchdog-"+c.name)
			box.sh(install(boot) + "; " + install(other))
			v := &ams.Version{Manifest: ams.Manifest{Name: "candy", BootPackage: boot, BootActivity: ".Main", Watchdog: c.dog}}
			run := ams.GuestRun{
				Version: v, Exec: box.exec, Report: func(ams.GuestStep) {},
				Instance: ams.Instance{ID: "btavtegj1qm58qg7ru50", Config: c.config},
				Files:    map[string][]byte{"session.yaml": []byte("session")},
			}
			guest := android.New(android.Options{WatchdogInterval: time.Second})
			for _, phase := range []ams.GuestPhase{ams.PhaseStandby, ams.PhaseClaim} {
				run.Phase = phase
				require.NoError(t, guest.Run(t.Context(), run), phase)
			}
			if c.trouble != "" {
				box.sh(c.trouble)
			}
			stopped := func() bool {
				state, _, err := box.c.GetInstanceState(box.name)
				return err == nil && state.Status == "Stopped"
			}
			if c.reason != "" {
				require.Eventually(t, stopped, 40*time.Second, 200*time.Millisecond)
				require.Equal(t, c.reason, strings.TrimSpace(box.file("/var/lib/anbox/logs/"+ams.TripLog)))
				return
			}
			if c.name == "devmode" {
				box.await("grep -q 'has crashed' /var/lib/anbox/logs/watchdog.log")
			} else {
				time.Sleep(4 * time.Second) // four looks
			}
			require.False(t, stopped())
			run.Phase = ams.PhaseStop
			require.NoError(t, guest.Run(t.Context(), run))
			require.Empty(t, box.sh("ps | grep '[a]ms-watchdog' || true"), "the stop phase ends it")
		})
	}
}

// file returns a file of the container, running or not.
func (c *container) file(name string) string {
	c.t.Helper()
	r, _, err := c.c.GetInstanceFile(c.name, name)
	require.NoError(c.t, err)
	defer r.Close()
	data, err := io.ReadAll(r)
	require.NoError(c.t, err)
	return string(data)
}
