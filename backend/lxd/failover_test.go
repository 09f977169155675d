package lxd_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
	"github.com/openams/ams/backend/lxd"
	"github.com/openams/ams/internal/lxdtest"
)

// TestFailover loses the member that is asked: first it dies, then another one's
// cable breaks. Calls, streams and the watch go on through the others.
func TestFailover(t *testing.T) {
	t.Parallel() // it waits most of the time
	lxdtest.Check(t)
	if testing.Short() {
		t.Skip("starts three LXD daemons")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	m, cfg := startCluster(t)
	b := open(t, cfg)
	o := &operator{image: lxdtest.ImageFile(t)}
	image, err := b.ImportImage(ctx, cluster, "base", ams.ImageFiles{Meta: o.open(t, 0)})
	require.NoError(t, err)
	ref := ams.Ref{Cluster: cluster, ID: "far", Node: "lxd2"}
	require.NoError(t, b.Create(ctx, ams.InstanceSpec{Ref: ref, Attempt: "1", Fingerprint: image.Fingerprint}))
	require.NoError(t, b.Start(ctx, ref))

	heard := make(chan string, 1000)
	watching, stopWatching := context.WithCancel(ctx)
	watched := make(chan struct{})
	go func() { // as a Manager does
		defer close(watched)
		for watching.Err() == nil {
			_ = b.Watch(watching, cluster, func(id string) { heard <- id })
			select {
			case <-watching.Done():
			case <-time.After(200 * time.Millisecond):
			}
		}
	}()
	defer func() { stopWatching(); <-watched }()
	// All of it works, and an event arrives. It takes seven seconds here, most of them
	// LXD's, which chooses a new leader.
	works := func(within time.Duration) {
		t.Helper()
		begun := time.Now()
		for len(heard) > 0 {
			<-heard
		}
		for {
			err := func() error {
				call, cancel := context.WithTimeout(ctx, 10*time.Second)
				defer cancel()
				return everything(call, b, ref)
			}()
			if err == nil && len(heard) > 0 {
				break
			}
			require.Less(t, time.Since(begun), within, "heard %d: %v", len(heard), err)
		}
		t.Logf("everything works after %v", time.Since(begun))
	}
	works(20 * time.Second)

	// What is under way through the member that dies is done all the same, or can be
	// asked for again.
	busy := make(chan error, 8)
	for range cap(busy) {
		go func() { _, err := b.Nodes(ctx); busy <- err }()
	}
	require.NoError(t, m.Members[0].Kill())
	works(20 * time.Second)
	for range cap(busy) {
		if err := <-busy; err != nil {
			require.ErrorIs(t, err, ams.ErrUnavailable)
		}
	}
	dead := cfg
	dead.URLs = []string{"https://" + m.Members[2].Address + ":8443"}
	open(t, dead)
	_, err = lxd.Open(ctx, cfg)
	require.ErrorIs(t, err, ams.ErrUnavailable, "the only member that is known is dead")
	require.NoError(t, m.Members[0].Restart(ctx))

	// An upload is not sent twice by itself, but it may be asked for again.
	_, err = b.ImportImage(ctx, cluster, "other", ams.ImageFiles{Meta: o.open(t, 1)})
	require.NoError(t, err)
	r, err := b.OpenImage(ctx, cluster, "other")
	require.NoError(t, err)
	_, err = io.Copy(io.Discard, r)
	require.NoError(t, err)
	require.NoError(t, r.Close())

	require.NoError(t, m.Cut(ctx, m.Members[1]))
	works(40 * time.Second)
	require.NoError(t, m.Mend(ctx, m.Members[1]))
}

// everything uses an instance in all ways.
func everything(ctx context.Context, b *lxd.Backend, ref ams.Ref) error {
	if _, err := b.List(ctx, cluster); err != nil {
		return fmt.Errorf("List: %w", err)
	}
	if _, err := b.Get(ctx, ref); err != nil {
		return fmt.Errorf("Get: %w", err)
	}
	var out bytes.Buffer
	if _, err := b.Exec(ctx, ref, ams.ExecRequest{Command: []string{"echo", "here"}, Stdout: &out}); err != nil {
		return fmt.Errorf("Exec: %w", err)
	}
	if out.String() != "here\n" {
		return fmt.Errorf("Exec lost its output: %q", &out)
	}
	if _, err := b.Logs(ctx, ref); err != nil {
		return fmt.Errorf("Logs: %w", err)
	}
	if err := b.Freeze(ctx, ref); err != nil {
		return fmt.Errorf("Freeze: %w", err)
	}
	return b.Unfreeze(ctx, ref)
}
