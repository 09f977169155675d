package lxd_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
	"github.com/openams/ams/backend/lxd"
	"github.com/openams/ams/internal/lxdtest"
)

// journal collects what is written to it.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// TestRotation follows a log that is rotated while it grows: no line is lost, none
// comes twice.
func TestRotation(t *testing.T) {
	d := lxdtest.Require(t)
	b := open(t, lxd.Config{Socket: d.Socket})
	ref := running(t, b, "rotation")
	j := &journal{}
	done := make(chan error, 1)
	sh(t, b, ref, "mkdir -p /var/lib/anbox/logs; echo begin > /var/lib/anbox/logs/system.log")
	go func() { done <- b.FollowLog(context.Background(), ref, "system.log", 1000, j) }()
	require.Eventually(t, func() bool { return j.String() == "begin\n" }, 30*time.Second, 10*time.Millisecond)
	sh(t, b, ref, `cd /var/lib/anbox/logs; n=0; while [ $n -lt 6 ]; do
		i=0; while [ $i -lt 40 ]; do echo "line $n $i" >>system.log; i=$((i+1)); sleep 0.01; done
		mv system.log system.log.$n; sleep 0.3; n=$((n+1)); done; echo end >system.log`)
	want := "begin\n"
	for n := range 6 {
		for i := range 40 {
			want += fmt.Sprintf("line %d %d\n", n, i)
		}
	}
	require.Eventually(t, func() bool { return strings.HasSuffix(j.String(), "end\n") }, 30*time.Second, 10*time.Millisecond)
	require.Equal(t, want+"end\n", j.String())
	require.NoError(t, b.Stop(t.Context(), ref, true, 0))
	begun := time.Now()
	require.NoError(t, <-done)
	t.Log("following ended after the instance by", time.Since(begun))
}

// TestLogSet has logs of all kinds, and too many of them.
func TestLogSet(t *testing.T) {
	d := lxdtest.Require(t)
	b := open(t, lxd.Config{Socket: d.Socket})
	ref := running(t, b, "log-set")
	sh(t, b, ref, `mkdir -p /var/lib/anbox/logs /var/lib/anbox/data/anr /var/lib/anbox/data/tombstones/deep
		echo s >/var/lib/anbox/logs/system.log; echo hello from inside >/dev/console
		echo trace >/var/lib/anbox/data/anr/anr_1; echo secret >/var/lib/anbox/data/other
		mkfifo /var/lib/anbox/data/anr/pipe; ln -s /etc/passwd /var/lib/anbox/data/anr/link
		echo x >/var/lib/anbox/data/tombstones/deep/x
		i=100; while [ $i -lt 140 ]; do echo $i >/var/lib/anbox/data/tombstones/t_$i; touch -d "2026-01-01 00:00:$((i-100))" /var/lib/anbox/data/tombstones/t_$i; i=$((i+1)); done`)
	check := func() {
		files, err := b.Logs(t.Context(), ref)
		require.NoError(t, err)
		sizes := map[string]int64{}
		traces := 0
		for _, f := range files {
			sizes[f.Name] = f.Size
			if strings.HasPrefix(f.Name, "tombstones/") {
				traces++
			}
		}
		require.EqualValues(t, 2, sizes["system.log"])
		require.EqualValues(t, 6, sizes["anr/anr_1"])
		require.Positive(t, sizes["container.log"])
		require.Equal(t, 32, traces)
		require.Contains(t, sizes, "tombstones/t_139")
		require.NotContains(t, sizes, "tombstones/t_107")
		for _, name := range []string{"anr/pipe", "anr/link", "other"} {
			require.NotContains(t, sizes, name)
		}
		for name, size := range sizes {
			require.Len(t, read(t, b, ref, name), int(size), name)
		}
		for _, name := range []string{"anr/pipe", "anr/link", "other", "tombstones/deep/x", "anr", "anr/../other"} {
			_, err := b.OpenLog(t.Context(), ref, name)
			require.ErrorIs(t, err, ams.ErrNotFound, name)
		}
		require.Equal(t, "trace\n", read(t, b, ref, "anr/anr_1"))
		require.Contains(t, read(t, b, ref, "container.log"), "lxc")
	}
	check()
	require.Contains(t, read(t, b, ref, "console.log"), "hello from inside")

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	console, container := &journal{}, &journal{}
	done := make(chan error, 2)
	go func() { done <- b.FollowLog(ctx, ref, "console.log", 1<<20, console) }()
	go func() { done <- b.FollowLog(ctx, ref, "container.log", 1<<20, container) }()
	require.Eventually(t, func() bool {
		return strings.Contains(console.String(), "hello") && strings.Contains(container.String(), "lxc")
	}, 30*time.Second, 10*time.Millisecond)
	sh(t, b, ref, "echo once >/dev/console")
	require.Eventually(t, func() bool { return strings.Contains(console.String(), "once") }, 30*time.Second, 10*time.Millisecond)
	require.Equal(t, 1, strings.Count(console.String(), "once"))
	for n := range 3 { // the same again
		sh(t, b, ref, "echo once >/dev/console")
		require.Eventually(t, func() bool { return strings.Count(console.String(), "once") == n+2 }, 30*time.Second, 10*time.Millisecond)
	}
	require.Equal(t, 1, strings.Count(console.String(), "hello"))
	require.NoError(t, b.Stop(t.Context(), ref, true, 0))
	for range 2 {
		require.NoError(t, <-done)
	}
	check()
	require.Equal(t, console.String(), read(t, b, ref, "console.log"))
}

// running returns an instance that runs and is removed when the test ends.
func running(t *testing.T, b *lxd.Backend, id string) ams.Ref {
	t.Helper()
	spec := testSpec(t, id)
	require.NoError(t, b.Create(t.Context(), spec))
	t.Cleanup(func() {
		require.NoError(t, b.Stop(context.Background(), spec.Ref, true, 0))
		require.NoError(t, b.Delete(context.Background(), spec.Ref))
	})
	require.NoError(t, b.Start(t.Context(), spec.Ref))
	return spec.Ref
}

// sh runs a script that must succeed and returns what it writes.
func sh(t *testing.T, b *lxd.Backend, ref ams.Ref, script string) string {
	t.Helper()
	var out, errs bytes.Buffer
	exit, err := b.Exec(t.Context(), ref, ams.ExecRequest{Command: []string{"sh", "-c", script}, Stdout: &out, Stderr: &errs})
	require.NoError(t, err)
	require.Zero(t, exit, errs.String())
	return out.String()
}

// read returns a log.
func read(t *testing.T, b *lxd.Backend, ref ams.Ref, name string) string {
	t.Helper()
	r, err := b.OpenLog(t.Context(), ref, name)
	require.NoError(t, err, name)
	defer r.Close() //nolint:errcheck // it returns nil
	data, err := io.ReadAll(r)
	require.NoError(t, err)
	return string(data)
}
