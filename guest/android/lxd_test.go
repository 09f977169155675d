package android_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	lxd "github.com/canonical/lxd/client"
	"github.com/canonical/lxd/shared/api"
	"github.com/gorilla/websocket"
	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
	"github.com/openams/ams/guest/android"
	"github.com/openams/ams/internal/lxdtest"
)

// container is an instance in a real LXD.
type container struct {
	t      testing.TB
	c      lxd.InstanceServer
	name   string
	steps  []string
	addons []ams.GuestAddon
	limit  time.Duration // of a step; 0 is the default
}

func launch(t testing.TB, name string) *container {
	t.Helper()
	c := lxdtest.Connect(t, lxdtest.Require(t))
	lxdtest.Launch(t, c, name, lxdtest.ImageAlias)
	return &container{t: t, c: c, name: name}
}

// await waits until a command line succeeds in the container.
func (c *container) await(line string) {
	c.t.Helper()
	require.Eventually(c.t, func() bool {
		code, err := c.exec(c.t.Context(), ams.ExecRequest{Command: []string{"sh", "-c", line}})
		return err == nil && code == 0
	}, 30*time.Second, 100*time.Millisecond, line)
}

// exec is a GuestRun.Exec for the container.
func (c *container) exec(ctx context.Context, req ams.ExecRequest) (int, error) {
	if req.Stdin == nil {
		req.Stdin = strings.NewReader("")
	}
	if req.Stdout == nil {
		req.Stdout, req.Stderr = io.Discard, io.Discard
	}
	done := make(chan bool)
	kill := func(conn *websocket.Conn) {
		<-ctx.Done()
		_ = conn.WriteJSON(api.InstanceExecControl{Command: "signal", Signal: int(syscall.SIGKILL)}) // it may have ended
	}
	op, err := c.c.ExecInstance(c.name, api.InstanceExecPost{Command: req.Command, WaitForWS: true, Environment: req.Env},
		&lxd.InstanceExecArgs{Stdin: io.NopCloser(req.Stdin), Stdout: nop{req.Stdout}, Stderr: nop{req.Stderr}, DataDone: done, Control: kill})
	if err != nil {
		return 0, err
	}
	if err := op.WaitContext(ctx); err != nil {
		return 0, err
	}
	select {
	case <-done:
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	code, ok := op.Get().Metadata["return"].(float64)
	if !ok {
		return 0, errors.New("no return code")
	}
	return int(code), nil
}

// nop is a WriteCloser that does not close.
type nop struct{ io.Writer }

func (nop) Close() error { return nil }

// sh runs a command line in the container and returns its output.
func (c *container) sh(line string) string {
	c.t.Helper()
	var out, errs strings.Builder
	code, err := c.exec(c.t.Context(), ams.ExecRequest{Command: []string{"sh", "-c", line}, Stdout: &out, Stderr: &errs})
	require.NoError(c.t, err)
	require.Zero(c.t, code, "%s: %s", line, errs.String())
	return out.String()
}

// run performs a phase.
func (c *container) run(phase ams.GuestPhase, v *ams.Version, files map[string]member) error {
	ctx, cancel := context.WithTimeout(c.t.Context(), time.Minute)
	defer cancel()
	return c.runContext(ctx, phase, v, files)
}

func (c *container) runContext(ctx context.Context, phase ams.GuestPhase, v *ams.Version, files map[string]member) error {
	run := ams.GuestRun{
		Phase: phase, Version: v, Addons: c.addons, Exec: c.exec,
		SecurityUpdates: true, // the image has no apt-get, so there is no such step
		Instance:        ams.Instance{ID: "btavtegj1qm58qg7ru50", Base: phase == ams.PhaseBootstrap},
		Files:           map[string][]byte{"session.yaml": []byte("session"), "userdata": []byte("text")},
		Report: func(s ams.GuestStep) {
			if s.Ended {
				c.steps = append(c.steps, fmt.Sprintf("%s: %d", s.Name, s.Exit))
			}
		},
	}
	if files != nil {
		run.Package = packageOf(files)
	}
	return android.New(android.Options{StepTimeout: c.limit}).Run(ctx, run)
}

// journal returns the calls of Android and of hooks, without their times.
func (c *container) journal() []string {
	c.t.Helper()
	return strings.Split(strings.TrimSpace(c.sh("sed 's/^[0-9.]* //' /var/lib/anbox-test/journal")), "\n")
}

// note is a hook that leaves a line in the journal.
var note = member{0o755, `#!/bin/sh
echo "0 ${0##*/} $INSTANCE_TYPE ${ADDON_DIR-application} ${ANBOX_EXIT_CODE-none}" >>/var/lib/anbox-test/journal
`}

// candy is an application that uses everything.
func candy() (*ams.Version, map[string]member) {
	v := application()
	v.ABI, v.APK.ABIs = "arm64-v8a", []string{"arm64-v8a", "x86_64"}
	v.Manifest.RequiredPermissions = []string{"android.permission.CAMERA", "android.permission.READ_CONTACTS"}
	v.Manifest.Bootstrap.Keep = []string{"levels/*.map"}
	v.Manifest.ExtraData = map[string]ams.ExtraData{
		"main 1.obb": {Target: "/sdcard/Android/obb/com.example.candy"},
		"levels":     {Target: "/data/data/com.example.candy/files/deep"},
		"$(id).so":   {Target: "/data/app/com.example.candy-1/lib", Owner: "1000:sdcard_rw", Permissions: "0640"},
	}
	return v, map[string]member{
		"manifest.yaml":             {0o644, "name: candy\n"},
		"app.apk":                   {0o644, strings.Repeat("apk ", 1<<18)},
		"hooks/pre-start":           note,
		"hooks/post-start":          note,
		"hooks/post-stop":           note,
		"extra-data/main 1.obb":     {0o600, "obb"},
		"extra-data/levels":         {0, ""},
		"extra-data/levels/one":     {0o600, "1"},
		"extra-data/levels/sub":     {0, ""},
		"extra-data/levels/sub/two": {0o600, "2"},
		"extra-data/$(id).so":       {0o755, "lib"},
		"levels/a.map":              {0o644, "a"},
		"levels/b.txt":              {0o644, "b"},
	}
}

func TestBootstrapInLXD(t *testing.T) {
	t.Parallel()
	c := launch(t, "guest-bootstrap")
	v, files := candy()
	for _, addon := range []string{"sugar", "salt"} {
		c.sh("mkdir -p /var/lib/anbox/addons/" + addon + "; touch /var/lib/anbox/addons/" + addon + "/old")
		c.addons = append(c.addons, ams.GuestAddon{Name: addon, Write: packageOf(map[string]member{
			"hooks/install": note, "hooks/pre-start": note, "hooks/post-stop": note,
		})})
	}
	require.NoError(t, c.run(ams.PhaseBootstrap, v, files))
	sugar, salt := "/var/lib/anbox/addons/sugar", "/var/lib/anbox/addons/salt"
	require.Equal(t, []string{
		"install base " + sugar + " none",
		"install base " + salt + " none",
		"pre-start base " + sugar + " none",
		"pre-start base " + salt + " none",
		"pre-start base application none",
		"android start",
		"getprop sys.boot_completed",
		"pm install -r --abi arm64-v8a /var/lib/anbox/app/app.apk",
		"pm grant com.example.candy android.permission.CAMERA",
		"pm grant com.example.candy android.permission.READ_CONTACTS",
		"post-start base application none",
		"android stop",
		"post-stop base application 0",
		"post-stop base " + salt + " 0",
		"post-stop base " + sugar + " 0",
	}, c.journal())
	require.Equal(t, []string{
		"network: 0", "addon sugar: 0", "addon salt: 0",
		"install hook of addon sugar: 0", "install hook of addon salt: 0",
		"pre-start hook of addon sugar: 0", "pre-start hook of addon salt: 0", "pre-start hook of application: 0",
		"boot android: 0", "install app.apk: 0",
		"grant android.permission.CAMERA: 0", "grant android.permission.READ_CONTACTS: 0",
		"extra data: 0", "extra data: 0", "extra data: 0",
		"post-start hook of application: 0", "stop android: 0", "post-stop hook of application: 0",
		"post-stop hook of addon salt: 0", "post-stop hook of addon sugar: 0", "prune the package: 0",
	}, c.steps)

	require.Equal(t, "1048576 /data/app/com.example.candy-1/base.apk\n", c.sh("wc -c /data/app/com.example.candy-1/base.apk"))
	require.Equal(t, "    primaryCpuAbi=arm64-v8a\n", c.sh("dumpsys package com.example.candy | grep Abi"))
	require.Equal(t, "      android.permission.CAMERA: granted=true\n      android.permission.READ_CONTACTS: granted=true\n",
		c.sh("dumpsys package com.example.candy | grep granted"))
	uid := strings.TrimSpace(c.sh("cat /var/lib/anbox-test/packages/com.example.candy/uid"))
	require.Equal(t, strings.ReplaceAll(`UID:UID 700 /data/data/com.example.candy
UID:UID 770 /data/data/com.example.candy/files
UID:UID 770 /data/data/com.example.candy/files/deep
UID:UID 770 /data/data/com.example.candy/files/deep/levels
UID:UID 660 /data/data/com.example.candy/files/deep/levels/one
UID:UID 770 /data/data/com.example.candy/files/deep/levels/sub
UID:UID 660 /data/data/com.example.candy/files/deep/levels/sub/two
1000:1015 750 /data/app/com.example.candy-1/lib
1000:1015 640 /data/app/com.example.candy-1/lib/$(id).so
UID:1015 771 /sdcard/Android/obb/com.example.candy
UID:1015 660 /sdcard/Android/obb/com.example.candy/main 1.obb
`, "UID", uid), c.sh("for d in /data/data/com.example.candy /data/app/com.example.candy-1/lib /sdcard/Android/obb/com.example.candy;"+
		" do find $d -exec stat -c '%u:%g %a %n' {} + | sort -k3; done"))
	require.Equal(t, "obb", c.sh("cat '/sdcard/Android/obb/com.example.candy/main 1.obb'"))
	require.Equal(t, `/var/lib/anbox
/var/lib/anbox/addons
/var/lib/anbox/app
/var/lib/anbox/app/hooks
/var/lib/anbox/app/hooks/post-start
/var/lib/anbox/app/hooks/post-stop
/var/lib/anbox/app/hooks/pre-start
/var/lib/anbox/app/levels
/var/lib/anbox/app/levels/a.map
/var/lib/anbox/app/manifest.yaml
`, c.sh("find /var/lib/anbox | grep -v addons/ | sort"))

	require.Empty(t, c.sh("ls /var/lib/anbox/addons/*/old 2>/dev/null || true"), "what was there before")

	// What is made of it runs without another installation.
	built := c.sh("wc -l </var/lib/anbox-test/journal")
	lxdtest.Stop(t, c.c, c.name)
	op, err := c.c.CreateImage(api.ImagesPost{
		Source: &api.ImagesPostSource{Type: "instance", Name: c.name}, CompressionAlgorithm: "none",
		Aliases: []api.ImageAlias{{Name: "guest-candy"}},
	}, nil)
	require.NoError(t, err)
	require.NoError(t, op.Wait())
	c = &container{t: t, c: c.c, name: "guest-regular", addons: []ams.GuestAddon{{Name: "sugar"}, {Name: "salt"}}}
	lxdtest.Launch(t, c.c, c.name, "guest-candy")
	require.NoError(t, c.run(ams.PhaseStart, v, nil))
	require.NoError(t, c.run(ams.PhaseStop, v, nil))
	require.Equal(t, []string{
		"pre-start regular " + sugar + " none", "pre-start regular " + salt + " none", "pre-start regular application none",
		"android start", "getprop sys.boot_completed", "am start -n com.example.candy/.Main",
		"post-start regular application none", "android stop", "post-stop regular application 0",
		"post-stop regular " + salt + " 0", "post-stop regular " + sugar + " 0",
	}, c.journal()[n(t, built):])
}

// n is the number in s.
func n(t *testing.T, s string) int {
	t.Helper()
	n, err := strconv.Atoi(strings.TrimSpace(s))
	require.NoError(t, err)
	return n
}

func TestFailuresInLXD(t *testing.T) {
	t.Parallel()
	hook := func(script string) member { return member{0o755, "#!/bin/sh\n" + script} }
	tests := []struct {
		name  string
		files map[string]member
		want  string // the beginning of the error
	}{
		{"post-stop", map[string]member{"hooks/post-stop": hook("echo bye; exit 1")}, "post-stop hook of application exited with code 1: bye"},
		{"not-executable", map[string]member{"hooks/post-start": {0o644, "#!/bin/sh\n"}}, "post-start hook of application exited with code 126: the hook is not executable"},
		{"directory", map[string]member{"hooks/pre-start/x": {0o755, ""}}, "pre-start hook of application exited with code 126: the hook is not a file"},
		{"hang", map[string]member{"hooks/pre-start": hook("sleep 1000 & sleep 1000")}, "pre-start hook of application exited with code 124: timed out after 1 seconds"},
		{"install-fails", map[string]member{"fault.pm-install": {0o644, "exit 7"}}, "install app.apk exited with code 7: pm: told to fail"},
		{"install-hangs", map[string]member{"fault.pm-install": {0o644, "hang"}}, "install app.apk exited with code 124: timed out after 3 seconds"},
		{"install-floods", map[string]member{"fault.pm-install": {0o644, "flood"}}, "install app.apk exited with code 124: "},
		{"grant-fails", map[string]member{"fault.pm-grant": {0o644, "exit 2"}}, "grant android.permission.CAMERA exited with code 2: "},
		{"stop-fails", map[string]member{"fault.android-stop": {0o644, "exit 4"}}, "stop android exited with code 4: "},
		{"no-data", map[string]member{"extra-data/main 1.obb": {0, ""}, "extra-data/$(id).so": {-1, ""}}, "extra data exited with code 1: extra-data/$(id).so is not in the package"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := launch(t, "guest-"+test.name)
			v, files := candy()
			if strings.Contains(test.want, " 124: ") {
				c.limit, v.Manifest.Hooks.Timeout = 3*time.Second, "1s"
			}
			for name, f := range test.files {
				if f.mode < 0 {
					delete(files, name)
					continue
				}
				delete(files, strings.TrimSuffix(name, "/x"))
				files[name] = f
			}
			err := c.run(ams.PhaseBootstrap, v, files)
			require.ErrorIs(t, err, ams.ErrFailed)
			require.True(t, strings.HasPrefix(err.Error(), test.want), "%s", err)
			// Nothing that was started for the step is left.
			require.NotContains(t, c.sh("ps"), "sleep 1000")
			require.NotContains(t, c.sh("ps"), "yes ")
		})
	}
}

// A hook that prints a gigabyte is not an error, and does not fill the disk.
func TestGigabyteInLXD(t *testing.T) {
	t.Parallel()
	c := launch(t, "guest-gigabyte")
	v := application()
	err := c.run(ams.PhaseBootstrap, v, map[string]member{
		"hooks/pre-start": {0o755, "#!/bin/sh\nhead -c 1000000000 /dev/zero; echo the end; exit 3\n"},
	})
	require.EqualError(t, err, "pre-start hook of application exited with code 3: the end")
	require.Equal(t, "1048576\n", c.sh("wc -c </var/lib/anbox/logs/pre-start.app.log"))
}

// BenchmarkStart measures the start phase without hooks, which every launch
// waits for, and beside it an exec of nothing.
func BenchmarkStart(b *testing.B) {
	c := launch(b, "guest-benchmark")
	c.sh("mkdir -p /var/lib/anbox-test/packages/com.example.candy")
	b.Run("start", func(b *testing.B) {
		for b.Loop() {
			require.NoError(b, c.run(ams.PhaseStart, application(), nil))
		}
	})
	b.Run("true", func(b *testing.B) {
		for b.Loop() {
			c.sh("true")
		}
	})
}
