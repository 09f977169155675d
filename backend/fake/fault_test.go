package fake_test

import (
	"context"
	"errors"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
	"github.com/openams/ams/backend/fake"
)

const cluster = "c1"

// one returns a fake with an image and the spec of an instance of it.
func one(opts fake.Options) (*fake.Backend, ams.InstanceSpec) {
	b := fake.New(opts)
	return b, ams.InstanceSpec{
		Ref:         ams.Ref{Cluster: cluster, ID: "i1", Node: "node0"},
		Attempt:     "a1",
		Fingerprint: b.AddImage(cluster, "base", []byte("an image")),
	}
}

func TestTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, spec := one(fake.Options{
			CreateTime: time.Second, StartTime: 2 * time.Second, StopTime: 3 * time.Second,
			DeleteTime: 4 * time.Second, PublishTime: 5 * time.Second, BootTime: 8 * time.Second,
		})
		ctx := t.Context()
		took := func(want time.Duration, f func() error) {
			t.Helper()
			begun := time.Now()
			require.NoError(t, f())
			require.Equal(t, want, time.Since(begun))
		}
		took(time.Second, func() error { return b.Create(ctx, spec) })
		took(0, func() error { return b.Create(ctx, spec) })
		took(2*time.Second, func() error { return b.Start(ctx, spec.Ref) })
		var steps []ams.GuestStep
		run := ams.GuestRun{
			Phase:    ams.PhaseStart,
			Instance: ams.Instance{ID: "i1"},
			Report:   func(s ams.GuestStep) { steps = append(steps, s) },
		}
		took(8*time.Second, func() error { return b.Run(ctx, run) })
		require.Len(t, steps, 8)
		took(time.Second, func() error { return b.Stop(ctx, spec.Ref, false, time.Second) })
		require.NoError(t, b.Start(ctx, spec.Ref))
		took(0, func() error { return b.Stop(ctx, spec.Ref, true, time.Second) })
		took(5*time.Second, func() error { _, err := b.Publish(ctx, spec.Ref, "p"); return err })
		took(4*time.Second, func() error { return b.Delete(ctx, spec.Ref) })
		require.Equal(t, 2, b.Count(fake.VerbCreate))
		require.Equal(t, fake.VerbCreate, b.Calls()[0].Verb)
		require.Equal(t, "i1", b.Calls()[0].ID)
	})
}

func TestFaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, spec := one(fake.Options{})
		ctx := t.Context()
		boom := errors.New("boom")
		b.Fail(fake.VerbCreate, 2, boom)
		for range 2 {
			require.Equal(t, boom, b.Create(ctx, spec))
		}
		b.Lose(fake.VerbCreate, 1)
		require.ErrorIs(t, b.Create(ctx, spec), ams.ErrUnavailable)
		require.Len(t, b.Snapshot().Instances, 1)
		require.NoError(t, b.Create(ctx, spec))

		release := b.Hang(fake.VerbStart)
		short, cancel := context.WithTimeout(ctx, time.Hour)
		defer cancel()
		require.ErrorIs(t, b.Start(short, spec.Ref), context.DeadlineExceeded)
		done := make(chan error, 1)
		go func() { done <- b.Start(ctx, spec.Ref) }()
		synctest.Wait()
		require.Empty(t, done)
		release()
		require.NoError(t, <-done)

		b.SetOnline("node0", false)
		require.ErrorIs(t, b.Stop(ctx, spec.Ref, true, 0), ams.ErrUnavailable)
		seen, err := b.Get(ctx, spec.Ref)
		require.NoError(t, err)
		require.Equal(t, ams.PowerUnknown, seen.Power)
		b.SetOnline("node0", true)
		seen, err = b.Get(ctx, spec.Ref)
		require.NoError(t, err)
		require.Equal(t, ams.PowerRunning, seen.Power)
		b.RemoveNodeBehindBack("node0")
		require.Empty(t, b.Snapshot().Instances)
	})
}

func TestRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, spec := one(fake.Options{CreateTime: time.Minute})
		ctx := t.Context()
		require.NoError(t, b.Create(ctx, spec))
		require.NoError(t, b.Start(ctx, spec.Ref))
		half := spec
		half.ID = "i2"
		results := make(chan error, 3)
		go func() { results <- b.Create(ctx, half) }()
		go func() { results <- b.Watch(ctx, cluster, func(string) {}) }()
		go func() {
			exit, err := b.Exec(ctx, spec.Ref, ams.ExecRequest{Command: []string{"sleep", "1000"}})
			if err == nil && exit == 137 {
				err = ams.ErrUnavailable
			}
			results <- err
		}()
		synctest.Wait()
		b.Restart()
		for range 3 {
			require.ErrorIs(t, <-results, ams.ErrUnavailable)
		}
		seen, err := b.Get(ctx, spec.Ref)
		require.NoError(t, err)
		require.Equal(t, ams.PowerStopped, seen.Power)
		seen, err = b.Get(ctx, half.Ref)
		require.NoError(t, err)
		require.Equal(t, ams.PowerBroken, seen.Power)
		require.ErrorIs(t, b.Start(ctx, half.Ref), ams.ErrState)
		require.NoError(t, b.Delete(ctx, half.Ref))
	})
}

func TestGuestFaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, spec := one(fake.Options{BootTime: time.Minute})
		ctx := t.Context()
		run := ams.GuestRun{Phase: ams.PhaseStart, Instance: ams.Instance{ID: "i1"}, Report: func(ams.GuestStep) {}}
		require.ErrorIs(t, b.Run(ctx, run), ams.ErrFailed, "not running")
		require.NoError(t, b.Create(ctx, spec))
		require.NoError(t, b.Start(ctx, spec.Ref))

		b.FailGuest(fake.GuestFault{Phase: ams.PhaseStart, Step: "boot android", Exit: 7, Tail: "no binder", Times: 1})
		err := b.Run(ctx, run)
		require.ErrorIs(t, err, ams.ErrFailed)
		require.EqualError(t, err, "boot android: exit 7: no binder")
		require.NoError(t, b.Run(ctx, run))
		files, err := b.Logs(ctx, spec.Ref)
		require.NoError(t, err)
		require.Equal(t, "system.log", files[0].Name)

		b.FailGuest(fake.GuestFault{Hang: true})
		short, cancel := context.WithTimeout(ctx, time.Hour)
		defer cancel()
		require.ErrorIs(t, b.Run(short, run), context.DeadlineExceeded)
		done := make(chan error, 1)
		go func() { done <- b.Run(ctx, run) }()
		synctest.Wait()
		b.StopBehindBack("i1")
		require.ErrorIs(t, <-done, ams.ErrFailed)
	})
}

// TestFile has the cluster's state survive: also what was under way when the
// process died, and after a write that was cut.
func TestFile(t *testing.T) {
	opts := fake.Options{File: t.TempDir() + "/state"}
	b, spec := one(opts)
	require.NoError(t, b.Create(t.Context(), spec))
	require.NoError(t, b.Start(t.Context(), spec.Ref))
	b.AddForeignInstance("mine")
	b.WriteLog("i1", "system.log", []byte("a line"))
	want := b.Snapshot()
	require.NoError(t, b.Close())
	require.Error(t, b.Create(t.Context(), ams.InstanceSpec{Ref: ams.Ref{Cluster: cluster, ID: "i9", Node: "node0"}, Fingerprint: spec.Fingerprint}))
	appendTo(t, opts.File, `{"Instance":{"Name":"cut`)

	opts.CreateTime, opts.StopTime = time.Hour, time.Hour
	again, err := fake.Open(opts)
	require.NoError(t, err)
	require.Equal(t, want, again.Snapshot())
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	half := spec
	half.ID = "i2"
	var calls sync.WaitGroup
	calls.Go(func() { _ = again.Create(ctx, half) })
	calls.Go(func() { _ = again.Stop(ctx, spec.Ref, false, time.Hour) })
	// As after a kill: nothing is closed, and the calls have not returned.
	require.Eventually(t, func() bool {
		third, err := fake.Open(fake.Options{File: opts.File})
		require.NoError(t, err)
		defer third.Close()
		seen, err := third.List(t.Context(), cluster)
		require.NoError(t, err)
		return len(seen) == 2 && seen[0].Power == ams.PowerStopped && seen[1].Power == ams.PowerStopped
	}, 10*time.Second, 10*time.Millisecond)
	cancel()
	calls.Wait()
	fourth := fake.New(fake.Options{File: opts.File})
	require.Equal(t, want, fourth.Snapshot(), "what was given up is undone")
}

func BenchmarkLaunch(b *testing.B) {
	f, spec := one(fake.Options{NodeCount: 100})
	run := ams.GuestRun{Phase: ams.PhaseStart, Report: func(ams.GuestStep) {}}
	ctx := b.Context()
	for b.Loop() {
		if err := errors.Join(f.Create(ctx, spec), f.Start(ctx, spec.Ref)); err != nil {
			b.Fatal(err)
		}
		run.Instance.ID = spec.ID
		if err := errors.Join(f.Run(ctx, run), f.Stop(ctx, spec.Ref, true, 0), f.Delete(ctx, spec.Ref)); err != nil {
			b.Fatal(err)
		}
	}
}

func appendTo(t *testing.T, name, text string) {
	f, err := os.OpenFile(name, os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = f.WriteString(text)
	require.NoError(t, err)
	require.NoError(t, f.Close())
}
