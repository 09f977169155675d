package lxd_test

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	client "github.com/canonical/lxd/client"
	"github.com/canonical/lxd/shared/api"
	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
	"github.com/openams/ams/backend/lxd"
	"github.com/openams/ams/internal/lxdtest"
)

// BenchmarkLaunch compares a launch (create, start, one command) through the
// backend with the same written with LXD's client.
func BenchmarkLaunch(b *testing.B) {
	d := lxdtest.Require(b)
	c := lxdtest.Connect(b, d)
	alias, _, err := c.GetImageAlias(lxdtest.ImageAlias)
	require.NoError(b, err)
	s, _, err := c.GetServer()
	require.NoError(b, err)
	backend, err := lxd.Open(b.Context(), lxd.Config{Socket: d.Socket})
	require.NoError(b, err)
	defer backend.Close() //nolint:errcheck // it returns nil

	b.Run("Backend", func(b *testing.B) {
		for b.Loop() {
			ref := ams.Ref{Cluster: "bench", ID: "backend", Node: s.Environment.ServerName}
			require.NoError(b, backend.Create(b.Context(), ams.InstanceSpec{Ref: ref, Attempt: "1", Fingerprint: alias.Target, CPUs: 1, Memory: 256 << 20}))
			require.NoError(b, backend.Start(b.Context(), ref))
			var out bytes.Buffer
			exit, err := backend.Exec(b.Context(), ref, ams.ExecRequest{Command: []string{"echo", "up"}, Stdout: &out})
			require.NoError(b, err)
			require.Zero(b, exit)
			require.Equal(b, "up\n", out.String())
			b.StopTimer()
			require.NoError(b, backend.Stop(b.Context(), ref, true, 0))
			require.NoError(b, backend.Delete(b.Context(), ref))
			b.StartTimer()
		}
	})
	b.Run("Client", func(b *testing.B) {
		done := func(op client.Operation, err error) {
			require.NoError(b, err)
			require.NoError(b, op.Wait())
		}
		for b.Loop() {
			post := api.InstancesPost{Name: "bench", Source: api.InstanceSource{Type: "image", Fingerprint: alias.Target}}
			post.Config = map[string]string{"limits.memory": "256MiB", "limits.cpu.allowance": "100ms/100ms"}
			done(c.CreateInstance(post))
			done(c.UpdateInstanceState("bench", api.InstanceStatePut{Action: "start", Timeout: -1}, ""))
			out, finished := &buffer{}, make(chan bool)
			done(c.ExecInstance("bench", api.InstanceExecPost{Command: []string{"echo", "up"}, WaitForWS: true},
				&client.InstanceExecArgs{Stdin: strings.NewReader(""), Stdout: out, Stderr: &buffer{}, DataDone: finished}))
			<-finished
			require.Equal(b, "up\n", out.String())
			b.StopTimer()
			done(c.UpdateInstanceState("bench", api.InstanceStatePut{Action: "stop", Timeout: -1, Force: true}, ""))
			done(c.DeleteInstance("bench"))
			b.StartTimer()
		}
	})
}

type buffer struct{ bytes.Buffer }

// Close makes the buffer fit where the client wants to close it.
func (*buffer) Close() error { return nil }

// TestNothingHeld does everything many times, failures included, and counts what
// the process holds after.
func TestNothingHeld(t *testing.T) {
	d := lxdtest.Require(t)
	c := lxdtest.Connect(t, d)
	lxdtest.Launch(t, c, "held", lxdtest.ImageAlias) // so that the bridge is up
	alias, _, err := c.GetImageAlias(lxdtest.ImageAlias)
	require.NoError(t, err)
	b := open(t, lxd.Config{Socket: d.Socket})
	nodes, err := b.Nodes(t.Context())
	require.NoError(t, err)
	ref := ams.Ref{Cluster: "held-test", ID: "h1", Node: nodes[0].Name}
	require.NoError(t, b.Create(t.Context(), ams.InstanceSpec{Ref: ref, Attempt: "1", Fingerprint: alias.Target}))
	require.NoError(t, b.Start(t.Context(), ref))
	defer func() {
		require.NoError(t, b.Stop(context.Background(), ref, true, 0))
		require.NoError(t, b.Delete(context.Background(), ref))
	}()
	image := lxdtest.ImageFile(t)
	parts := split(t, image)
	o := &operator{image: image}
	_, err = b.ImportImage(t.Context(), "held-test", "held", ams.ImageFiles{Meta: o.open(t, 0)})
	require.NoError(t, err)
	defer func() { require.NoError(t, b.DeleteImage(context.Background(), "held-test", "held")) }()
	_, err = b.Exec(t.Context(), ref, ams.ExecRequest{Command: []string{"sh", "-c", "mkdir -p /var/lib/anbox/logs; echo >/var/lib/anbox/logs/system.log"}})
	require.NoError(t, err)
	round := func() {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		_, err := b.Exec(ctx, ref, ams.ExecRequest{Command: []string{"true"}})
		require.NoError(t, err)
		_, err = b.Logs(ctx, ref)
		require.NoError(t, err)
		_, err = b.OpenLog(ctx, ref, "no-such.log")
		require.ErrorIs(t, err, ams.ErrNotFound)
		_, err = b.Get(ctx, ams.Ref{Cluster: "held-test", ID: "absent", Node: ref.Node})
		require.ErrorIs(t, err, ams.ErrNotFound)
		_, err = b.List(ctx, "held-test")
		require.NoError(t, err)
		_, err = b.ImportImage(ctx, "held-test", "bad", ams.ImageFiles{Meta: strings.NewReader("not an image")})
		require.ErrorIs(t, err, ams.ErrInvalid)
		// Much more of it is on its way than is read, and its context goes on.
		r, err := b.OpenImage(t.Context(), "held-test", "held")
		require.NoError(t, err)
		_, err = io.ReadFull(r, make([]byte, 100))
		require.NoError(t, err)
		require.NoError(t, r.Close())
		_, err = b.ImportImage(ctx, "held-test", "bad", broken(t, parts))
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
		short, cancelShort := context.WithTimeout(ctx, 50*time.Millisecond)
		defer cancelShort()
		_, err = b.Exec(short, ref, ams.ExecRequest{Command: []string{"sleep", "100"}})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		for _, name := range []string{"container.log", "system.log"} {
			following, cancelFollowing := context.WithTimeout(ctx, 300*time.Millisecond)
			require.NoError(t, b.FollowLog(following, ref, name, 10, io.Discard))
			cancelFollowing()
		}
		require.ErrorIs(t, b.FollowLog(ctx, ref, "no-such.log", 10, io.Discard), ams.ErrNotFound)
		require.ErrorIs(t, b.Watch(short, "held-test", func(string) {}), context.DeadlineExceeded)
	}
	for range 3 {
		round()
	}
	files, routines := held(t)
	for range 20 {
		round()
	}
	// Connections that are kept may differ by a few; a leak is at least 20.
	require.Eventually(t, func() bool {
		f, r := held(t)
		return f < files+10 && r < routines+15
	}, 20*time.Second, 100*time.Millisecond, "files or goroutines were left behind")

	// No sleep that was killed lives on.
	var out bytes.Buffer
	_, err = b.Exec(t.Context(), ref, ams.ExecRequest{Command: []string{"ps"}, Stdout: &out})
	require.NoError(t, err)
	require.NotContains(t, out.String(), "sleep 100\n")
}

// broken is an image in two files, the second of which ends with an error.
func broken(t *testing.T, parts string) ams.ImageFiles {
	meta, err := os.ReadFile(filepath.Join(parts, "meta.tar"))
	require.NoError(t, err)
	rootfs, err := os.ReadFile(filepath.Join(parts, "rootfs.tar"))
	require.NoError(t, err)
	return ams.ImageFiles{
		Meta:   bytes.NewReader(meta),
		Rootfs: io.MultiReader(bytes.NewReader(rootfs[:len(rootfs)/2]), iotest.ErrReader(io.ErrUnexpectedEOF)),
	}
}

// held counts the process's open files and goroutines.
func held(t *testing.T) (files, routines int) {
	entries, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	return len(entries), runtime.NumGoroutine()
}
