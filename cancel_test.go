package ams_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
)

func TestCancel(t *testing.T) {
	for _, after := range []time.Duration{0, 500 * time.Millisecond, 1500 * time.Millisecond, 5 * time.Second} {
		t.Run(fmt.Sprint("launch after ", after), func(t *testing.T) {
			bubble(t, slow, func(t *testing.T, w *world) {
				w.application("candy")
				op, err := w.Instances.Launch(t.Context(), ams.LaunchRequest{Application: "candy", Name: "one"})
				require.NoError(t, err)
				time.Sleep(after)
				require.NoError(t, w.Operations.Cancel(t.Context(), op.ID))
				require.NoError(t, w.Operations.Cancel(t.Context(), op.ID), "twice is once")
				w.fails(ams.ErrCancelled, op, nil)
				_, err = w.Instances.Get(t.Context(), "one")
				require.ErrorIs(t, err, ams.ErrNotFound)
				require.NoError(t, w.Operations.Cancel(t.Context(), op.ID), "it was cancelled")
			})
		})
		t.Run(fmt.Sprint("start after ", after), func(t *testing.T) {
			bubble(t, slow, func(t *testing.T, w *world) {
				w.image()
				w.launch(ams.LaunchRequest{Name: "one"})
				w.wait(w.Instances.Stop(t.Context(), "one", true))
				op, err := w.Instances.Start(t.Context(), "one", ams.StartOptions{DropLogs: true})
				require.NoError(t, err)
				time.Sleep(after)
				require.NoError(t, w.Operations.Cancel(t.Context(), op.ID))
				w.fails(ams.ErrCancelled, op, nil)
				require.Equal(t, ams.InstanceStopped, w.instance("one").Status)
			})
		})
		t.Run(fmt.Sprint("create after ", after), func(t *testing.T) {
			bubble(t, slow, func(t *testing.T, w *world) {
				w.image()
				op, err := w.Applications.Create(t.Context(), pkg("name: candy"), ams.CreateOptions{})
				require.NoError(t, err)
				time.Sleep(after)
				require.NoError(t, w.Operations.Cancel(t.Context(), op.ID))
				w.fails(ams.ErrCancelled, op, nil)
				app, err := w.Applications.Get(t.Context(), "candy")
				require.NoError(t, err)
				require.Equal(t, ams.ApplicationError, app.Status)
			})
		})
		t.Run(fmt.Sprint("add image after ", after), func(t *testing.T) {
			bubble(t, slow, func(t *testing.T, w *world) {
				op, err := w.Images.Add(t.Context(), "jammy", fakeImage("one"), ams.ImageOptions{})
				require.NoError(t, err)
				time.Sleep(after)
				err = w.Operations.Cancel(t.Context(), op.ID)
				if after > 2*time.Second {
					require.ErrorIs(t, err, ams.ErrState)
					return
				}
				require.NoError(t, err)
				w.fails(ams.ErrCancelled, op, nil)
				time.Sleep(5 * time.Second)
				_, err = w.Images.Get(t.Context(), "jammy")
				require.ErrorIs(t, err, ams.ErrNotFound)
			})
		})
	}
}

func TestUncancellable(t *testing.T) {
	bubble(t, slow, func(t *testing.T, w *world) {
		w.image()
		w.launch(ams.LaunchRequest{Name: "one"})
		op, err := w.Instances.Stop(t.Context(), "one", false)
		require.NoError(t, err)
		require.ErrorIs(t, w.Operations.Cancel(t.Context(), op.ID), ams.ErrState)
		require.ErrorIs(t, w.Operations.Cancel(t.Context(), "nonsense"), ams.ErrNotFound)
		w.wait(op, nil)
	})
}

func TestDeleteDuringBootstrap(t *testing.T) {
	for _, after := range []time.Duration{0, 500 * time.Millisecond, 5 * time.Second, 14 * time.Second} {
		t.Run(after.String(), func(t *testing.T) {
			bubble(t, slow, func(t *testing.T, w *world) {
				w.image()
				made, err := w.Applications.Create(t.Context(), pkg("name: candy"), ams.CreateOptions{})
				require.NoError(t, err)
				time.Sleep(after)
				w.wait(w.Applications.Delete(t.Context(), "candy", false))
				w.fails(ams.ErrCancelled, made, nil)
				_, err = w.Applications.Get(t.Context(), "candy")
				require.ErrorIs(t, err, ams.ErrNotFound)
			})
		})
	}
}

func TestConflicts(t *testing.T) {
	bubble(t, slow, func(t *testing.T, w *world) {
		ctx := t.Context()
		w.image()
		launch, err := w.Instances.Launch(ctx, ams.LaunchRequest{Name: "one"})
		require.NoError(t, err)
		_, err = w.Instances.Launch(ctx, ams.LaunchRequest{Name: "one"})
		require.ErrorIs(t, err, ams.ErrExists)
		require.EqualError(t, err, `instance "one" already exists`)
		_, err = w.Instances.Start(ctx, "one", ams.StartOptions{DropLogs: true})
		require.ErrorIs(t, err, ams.ErrConflict)
		w.wait(launch, nil)
		_, err = w.Instances.Start(ctx, "one", ams.StartOptions{DropLogs: true})
		require.ErrorIs(t, err, ams.ErrState)
		stop, err := w.Instances.Stop(ctx, "one", false)
		require.NoError(t, err)
		_, err = w.Instances.Stop(ctx, "one", false)
		require.ErrorIs(t, err, ams.ErrConflict)
		w.wait(stop, nil)
		_, err = w.Instances.Stop(ctx, "one", false)
		require.ErrorIs(t, err, ams.ErrState)
		require.EqualError(t, err, `instance "one": is not running (status: stopped)`)
		_, err = w.Instances.Exec(ctx, "one", ams.ExecRequest{Command: []string{"true"}})
		require.ErrorIs(t, err, ams.ErrState)
		first, err := w.Instances.Start(ctx, "one", ams.StartOptions{DropLogs: true})
		require.NoError(t, err)
		_, err = w.Instances.Start(ctx, "one", ams.StartOptions{DropLogs: true})
		require.ErrorIs(t, err, ams.ErrConflict)
		w.wait(first, nil)
		gone, err := w.Instances.Delete(ctx, "one", false)
		require.NoError(t, err)
		_, err = w.Instances.Delete(ctx, "one", false)
		require.ErrorIs(t, err, ams.ErrConflict)
		w.wait(w.Instances.Delete(ctx, "one", true))
		_, err = w.Operations.Wait(ctx, gone.ID)
		require.ErrorIs(t, err, ams.ErrCancelled)
		_, err = w.Instances.Delete(ctx, "one", true)
		require.ErrorIs(t, err, ams.ErrNotFound)
	})
}

func TestForcedStopBreaksOffLaunch(t *testing.T) {
	bubble(t, slow, func(t *testing.T, w *world) {
		w.image()
		launch, err := w.Instances.Launch(t.Context(), ams.LaunchRequest{Name: "one"})
		require.NoError(t, err)
		time.Sleep(5 * time.Second)
		_, err = w.Instances.Stop(t.Context(), "one", false)
		require.ErrorIs(t, err, ams.ErrConflict)
		w.wait(w.Instances.Stop(t.Context(), "one", true))
		w.fails(ams.ErrCancelled, launch, nil)
		require.Equal(t, ams.InstanceStopped, w.instance("one").Status)
	})
}

func TestBaseInstancesAreNotStopped(t *testing.T) {
	bubble(t, slow, func(t *testing.T, w *world) {
		w.image()
		op, err := w.Applications.Create(t.Context(), pkg("name: candy"), ams.CreateOptions{})
		require.NoError(t, err)
		time.Sleep(5 * time.Second)
		yes := true
		bases, _, err := w.Instances.List(t.Context(), ams.InstanceFilter{Base: &yes}, ams.Page{})
		require.NoError(t, err)
		require.Len(t, bases, 1)
		_, err = w.Instances.Stop(t.Context(), bases[0].ID, true)
		require.ErrorIs(t, err, ams.ErrState)
		_, err = w.Instances.Stop(t.Context(), bases[0].ID, false)
		require.ErrorIs(t, err, ams.ErrConflict)
		w.wait(op, nil)
	})
}

func TestBaseInstanceDeletedByRequest(t *testing.T) {
	bubble(t, slow, func(t *testing.T, w *world) {
		w.image()
		op, err := w.Applications.Create(t.Context(), pkg("name: candy"), ams.CreateOptions{})
		require.NoError(t, err)
		time.Sleep(5 * time.Second)
		bases, _, err := w.Instances.List(t.Context(), ams.InstanceFilter{}, ams.Page{})
		require.NoError(t, err)
		w.wait(w.Instances.Delete(t.Context(), bases[0].ID, false))
		w.fails(ams.ErrCancelled, op, nil)
		app, err := w.Applications.Get(t.Context(), "candy")
		require.NoError(t, err)
		require.Equal(t, ams.ApplicationError, app.Status)
	})
}

func TestCancelAfterPublicationComesTooLate(t *testing.T) {
	late := slow
	late.DeleteTime = time.Minute
	bubble(t, late, func(t *testing.T, w *world) {
		w.image()
		op, err := w.Applications.Create(t.Context(), pkg("name: candy"), ams.CreateOptions{})
		require.NoError(t, err)
		time.Sleep(30 * time.Second) // its base instance is being deleted
		require.ErrorIs(t, w.Operations.Cancel(t.Context(), op.ID), ams.ErrState)
		w.wait(op, nil)
		w.launch(ams.LaunchRequest{Application: "candy"})
	})
}
