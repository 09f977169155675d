package e2e_test

import (
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
	"github.com/openams/ams/internal/lxdtest"
)

func sorted(list []string) []string {
	slices.Sort(list)
	return list
}

func TestMainJob(t *testing.T) {
	w := newWorld(t, lxdtest.Require(t))
	op := w.wait(w.create(helloPackage))
	app, err := w.Applications.Get(w.ctx, "hello")
	require.NoError(t, err)
	require.Equal(t, ams.ApplicationReady, app.Status)
	require.True(t, app.Published)
	require.Equal(t, "org.openams.hello", app.BootPackage)
	require.Equal(t, []string{app.ID}, op.Resources["application"])
	w.audit()

	one := w.launch(ams.LaunchRequest{Application: "hello", Name: "one", UserData: "some user data"})
	two := w.launch(ams.LaunchRequest{Application: "hello", Name: "two"})
	raw := w.launch(ams.LaunchRequest{Name: "raw"})
	for _, in := range []ams.Instance{one, two, raw} {
		require.Equal(t, ams.InstanceRunning, in.Status)
		require.Empty(t, in.StatusMessage)
		seen, _, err := w.client.GetInstanceState("ams-" + in.ID)
		require.NoError(t, err)
		require.Equal(t, "Running", seen.Status)
	}

	t.Run("what the bootstrap did, seen from inside", func(t *testing.T) {
		var calls []string
		for _, line := range strings.Split(strings.TrimSpace(w.sh("one", "cat /var/lib/anbox-test/journal")), "\n") {
			_, call, _ := strings.Cut(line, " ")
			calls = append(calls, call)
		}
		joined := strings.Join(calls, "\n")
		order := []string{"pm install", "pm grant org.openams.hello android.permission.CAMERA", "am start"}
		at := -1
		for _, call := range order {
			i := slices.IndexFunc(calls, func(c string) bool { return strings.HasPrefix(c, call) })
			require.Greater(t, i, at, "%q must come after what precedes it in %q:\n%s", call, order, joined)
			at = i
		}
		require.NotContains(t, joined, "android.permission.INTERNET", "only the listed permissions are granted")
		require.Equal(t, "some user data", w.sh("one", "cat /var/lib/anbox/userdata"))
		require.Equal(t, "extra-data\nhooks\nmanifest.yaml\n", w.sh("one", "ls /var/lib/anbox/app"))
		owner := w.sh("one", "stat -c '%u' /data/data/org.openams.hello")
		require.Equal(t, strings.TrimSpace(owner)+":1015 660\n", w.sh("one", "stat -c '%u:%g %a' /sdcard/Android/obb/org.openams.hello/greeting.txt"))
	})

	t.Run("exec and logs", func(t *testing.T) {
		var out, errs strings.Builder
		code, err := w.Instances.Exec(w.ctx, "one", ams.ExecRequest{Command: []string{"sh", "-c", "cat; echo err >&2; exit 7"}, Stdin: strings.NewReader("in"), Stdout: &out, Stderr: &errs})
		require.NoError(t, err)
		require.Equal(t, 7, code)
		require.Equal(t, "in", out.String())
		require.Equal(t, "err\n", errs.String())
		logs, err := w.Instances.Logs(w.ctx, "one")
		require.NoError(t, err)
		require.True(t, slices.ContainsFunc(logs, func(l ams.LogFile) bool { return l.Name == "system.log" }), "%v", logs)
		r, err := w.Instances.OpenLog(w.ctx, "one", logs[0].Name)
		require.NoError(t, err)
		_, err = io.Copy(io.Discard, r)
		require.NoError(t, err)
		require.NoError(t, r.Close())
		_, err = w.Instances.OpenLog(w.ctx, "one", "../../../etc/passwd")
		require.ErrorIs(t, err, ams.ErrNotFound)
	})

	t.Run("stop keeps the data, start finds it", func(t *testing.T) {
		w.sh("one", "echo kept > /data/kept")
		w.wait(w.Instances.Stop(w.ctx, "one", false))
		require.Equal(t, ams.InstanceStopped, w.instance("one").Status)
		seen, _, err := w.client.GetInstanceState("ams-" + one.ID)
		require.NoError(t, err)
		require.Equal(t, "Stopped", seen.Status)
		w.audit()
		w.wait(w.Instances.Start(w.ctx, "one", ams.StartOptions{DropLogs: true}))
		require.Equal(t, "kept\n", w.sh("one", "cat /data/kept"))
		w.wait(w.Instances.Restart(w.ctx, "one", false))
		require.Equal(t, "kept\n", w.sh("one", "cat /data/kept"))
	})

	t.Run("resources are LXD's limits", func(t *testing.T) {
		in, _, err := w.client.GetInstance("ams-" + one.ID)
		require.NoError(t, err)
		require.Equal(t, "3221225472", in.Config["limits.memory"])
		require.Equal(t, one.ID, in.Config["user.ams.id"])
		require.NotEmpty(t, in.Config["user.ams.op"])
	})

	t.Run("no start, then start", func(t *testing.T) {
		in := w.launch(ams.LaunchRequest{Application: "hello", Name: "later", NoStart: true})
		require.Equal(t, ams.InstancePrepared, in.Status)
		w.audit()
		w.wait(w.Instances.Start(w.ctx, "later", ams.StartOptions{DropLogs: true}))
		require.Equal(t, ams.InstanceRunning, w.instance("later").Status)
	})

	t.Run("a second version by update, the first still launches", func(t *testing.T) {
		p, err := ams.OpenPackage(helloPackage)
		require.NoError(t, err)
		defer p.Close()
		w.wait(w.Applications.Update(w.ctx, "hello", p, ams.CreateOptions{}))
		require.Equal(t, 1, w.launch(ams.LaunchRequest{Application: "hello", Name: "second"}).Version)
		zero := 0
		require.Equal(t, 0, w.launch(ams.LaunchRequest{Application: "hello", Name: "first", Version: &zero}).Version)
		require.NoError(t, w.Applications.Revoke(w.ctx, "hello", 1))
		require.Equal(t, 0, w.launch(ams.LaunchRequest{Application: "hello", Name: "revoked"}).Version)
		w.wait(w.Applications.DeleteVersion(w.ctx, "hello", 0))
		_, err = w.Instances.Launch(w.ctx, ams.LaunchRequest{Application: "hello"})
		require.ErrorIs(t, err, ams.ErrNotFound)
		require.Equal(t, "kept\n", w.sh("one", "cat /data/kept"), "an instance of a deleted version goes on")
		w.wait(w.Instances.Restart(w.ctx, "one", false))
	})
}

// packageWith copies the example application with files changed: name and
// content in turn. Hooks are executable.
func packageWith(t *testing.T, files ...string) string {
	dir := filepath.Join(t.TempDir(), "package")
	require.NoError(t, os.CopyFS(dir, os.DirFS(helloPackage)))
	for i := 0; i < len(files); i += 2 {
		name := filepath.Join(dir, files[i])
		require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o755))
		require.NoError(t, os.WriteFile(name, []byte(files[i+1]), 0o755))
		require.NoError(t, os.Chmod(name, 0o755))
	}
	return dir
}

func TestBootstrapFailures(t *testing.T) {
	w := newWorld(t, lxdtest.Require(t))
	for _, c := range []struct{ name, file, content, want string }{
		{"a hook that fails", "hooks/pre-start", "#!/bin/sh\necho no luck today\nexit 3\n", "exited with code 3: no luck today"},
		{"post-stop that fails", "hooks/post-stop", "#!/bin/sh\necho cannot clean\nexit 1\n", "exited with code 1: cannot clean"},
		{"an APK that does not install", "fault.pm-install", "exit 1\n", "told to fail"},
	} {
		t.Run(c.name, func(t *testing.T) {
			op, err := w.create(packageWith(t, c.file, c.content))
			text := w.fails(ams.ErrFailed, op, err)
			require.Contains(t, text, c.want)
			v, err := w.Applications.Version(w.ctx, "hello", 0)
			require.NoError(t, err)
			require.Equal(t, ams.VersionError, v.Status)
			require.Equal(t, text, v.ErrorMessage)
			require.NotEmpty(t, v.Logs)
			bases, _, err := w.Instances.List(w.ctx, ams.InstanceFilter{}, ams.Page{})
			require.NoError(t, err)
			require.Empty(t, bases, "the base instance must be gone")
			w.wait(w.Applications.Delete(w.ctx, "hello", false))
		})
	}
}

func TestLaunchFailureKeepsLogs(t *testing.T) {
	w := newWorld(t, lxdtest.Require(t))
	w.wait(w.create(helloPackage))
	op, err := w.Instances.Launch(w.ctx, ams.LaunchRequest{Application: "hello", Name: "bad", UserData: "fault.am-start: exit 9\n"})
	text := w.fails(ams.ErrFailed, op, err)
	in := w.instance("bad")
	require.Equal(t, ams.InstanceError, in.Status)
	require.Equal(t, text, in.ErrorMessage)
	require.NotEmpty(t, in.Logs)
	w.audit()
}

func TestBehindOurBack(t *testing.T) {
	w := newWorld(t, lxdtest.Require(t))
	one, two := w.launch(ams.LaunchRequest{Name: "one"}), w.launch(ams.LaunchRequest{Name: "two"})
	w.lxc("stop", "--force", "ams-"+one.ID)
	w.eventually("LXD's event tells that it stopped", func() bool { return w.instance("one").Status == ams.InstanceStopped })
	w.lxc("delete", "--force", "ams-"+two.ID)
	w.eventually("LXD's event tells that it is gone", func() bool {
		_, err := w.Instances.Get(w.ctx, "two")
		return ams.CodeOf(err) == ams.ErrNotFound
	})
	w.lxc("start", "ams-"+one.ID)
	w.eventually("what runs is running", func() bool { return w.instance("one").Status == ams.InstanceRunning })
}

func TestForeignThingsAreLeftAlone(t *testing.T) {
	w := newWorld(t, lxdtest.Require(t))
	lxdtest.Launch(t, w.client, "ams-foreign", lxdtest.ImageAlias)
	// It has the address that ours would get.
	subnet := netip.MustParsePrefix(w.daemon.Subnet)
	foreign := subnet.Addr().Next().String()
	w.lxc("config", "device", "override", "ams-foreign", "eth0", "ipv4.address="+foreign)
	ours := w.launch(ams.LaunchRequest{Name: "ours"})
	require.NotEqual(t, foreign, ours.Address)
	require.True(t, subnet.Contains(netip.MustParseAddr(ours.Address)))
	w.stop()
	w.start()
	w.audit()
	names, err := w.client.GetInstanceNames("")
	require.NoError(t, err)
	require.Contains(t, names, "ams-foreign")
	w.deleteAll()
	names, err = w.client.GetInstanceNames("")
	require.NoError(t, err)
	require.Contains(t, names, "ams-foreign")
	lxdtest.Stop(t, w.client, "ams-foreign")
}
