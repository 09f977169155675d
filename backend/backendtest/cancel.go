package backendtest

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
)

// testCancelled calls every verb with a context that has ended.
func testCancelled(e *test) {
	spec := e.create()
	ctx, cancel := context.WithCancel(e.ctx)
	cancel()
	calls := map[string]func() error{
		"Nodes":  func() error { _, err := e.b.Nodes(ctx); return err },
		"Create": func() error { return e.b.Create(ctx, e.spec()) },
		"Start":  func() error { return e.b.Start(ctx, spec.Ref) },
		"Stop":   func() error { return e.b.Stop(ctx, spec.Ref, true, 0) },
		"Delete": func() error { return e.b.Delete(ctx, spec.Ref) },
		"Get":    func() error { _, err := e.b.Get(ctx, spec.Ref); return err },
		"List":   func() error { _, err := e.b.List(ctx, e.cluster); return err },
	}
	if e.watcher != nil {
		calls["Watch"] = func() error { return e.watcher.Watch(ctx, e.cluster, func(string) {}) }
	}
	if e.execer != nil {
		calls["Exec"] = func() error {
			_, err := e.execer.Exec(ctx, spec.Ref, ams.ExecRequest{Command: []string{"true"}})
			return err
		}
	}
	if e.logReader != nil {
		calls["Logs"] = func() error { _, err := e.logReader.Logs(ctx, spec.Ref); return err }
		calls["OpenLog"] = func() error { _, err := e.logReader.OpenLog(ctx, spec.Ref, "x"); return err }
	}
	if e.images != nil {
		calls["ImportImage"] = func() error {
			_, err := e.images.ImportImage(ctx, e.cluster, newID(), unified(e.h.Image(e.T, 1)))
			return err
		}
		calls["DeleteImage"] = func() error { return e.images.DeleteImage(ctx, e.cluster, newID()) }
		calls["ListImages"] = func() error { _, err := e.images.ListImages(ctx, e.cluster); return err }
		calls["DeleteFingerprint"] = func() error {
			return e.images.DeleteFingerprint(ctx, e.cluster, e.fingerprint)
		}
	}
	if e.publisher != nil {
		calls["Publish"] = func() error { _, err := e.publisher.Publish(ctx, spec.Ref, newID()); return err }
	}
	if e.exporter != nil {
		calls["OpenImage"] = func() error { _, err := e.exporter.OpenImage(ctx, e.cluster, newID()); return err }
	}
	if e.configurer != nil {
		calls["Configure"] = func() error { return e.configurer.Configure(ctx, spec) }
	}
	if e.freezer != nil {
		calls["Freeze"] = func() error { return e.freezer.Freeze(ctx, spec.Ref) }
		calls["Unfreeze"] = func() error { return e.freezer.Unfreeze(ctx, spec.Ref) }
	}
	if e.follower != nil {
		calls["FollowLog"] = func() error { return e.follower.FollowLog(ctx, spec.Ref, "x", 0, io.Discard) }
	}
	if e.copier != nil {
		calls["Copy"] = func() error { return e.copier.Copy(ctx, e.spec(), spec.Ref) }
	}
	for name, call := range calls {
		begun := time.Now()
		require.ErrorIs(e, call(), context.Canceled, name)
		require.Less(e, time.Since(begun), soon, name)
	}
	e.power(ams.PowerStopped, spec.Ref)
	e.remove(spec.Ref)
}

// testCancelCreate gives up creations after various times: once Delete has
// returned, nothing may appear any more.
func testCancelCreate(e *test) {
	var refs []ams.Ref
	for _, after := range []time.Duration{0, 2, 10, 30, 60, 100, 200} {
		spec := e.spec()
		e.cleanup(spec.Ref)
		refs = append(refs, spec.Ref)
		ctx, cancel := context.WithTimeout(e.ctx, after*time.Millisecond)
		begun := time.Now()
		err := e.b.Create(ctx, spec)
		cancel()
		require.Less(e, time.Since(begun), soon)
		if err != nil && !errors.Is(err, ams.ErrUnavailable) {
			require.ErrorIs(e, err, context.DeadlineExceeded)
		}
		require.NoError(e, e.b.Delete(e.ctx, spec.Ref))
		e.absent(spec.Ref)
	}
	require.Never(e, func() bool {
		list, err := e.b.List(e.ctx, e.cluster)
		return err == nil && len(list) > 0
	}, time.Second, 100*time.Millisecond, "an instance appeared after its deletion")
	for _, ref := range refs {
		e.absent(ref)
	}
}

// testWatch changes an instance until the watcher hears of it: an event may be
// lost, but not all of them.
func testWatch(e *test) {
	spec := e.create()
	ctx, cancel := context.WithCancel(e.ctx)
	defer cancel()
	heard := make(chan string, 1000)
	done := make(chan error, 1)
	go func() {
		done <- e.watcher.Watch(ctx, e.cluster, func(id string) {
			select {
			case heard <- id:
			default:
			}
		})
	}()
	hears := func(change func() error) bool {
		for len(heard) > 0 {
			<-heard
		}
		require.NoError(e, change())
		select {
		case id := <-heard:
			require.Equal(e, spec.ID, id)
			return true
		case <-time.After(2 * time.Second):
			return false
		}
	}
	e.eventually("a start or a stop is heard of", func() bool {
		return hears(func() error { return e.b.Start(e.ctx, spec.Ref) }) ||
			hears(func() error { return e.b.Stop(e.ctx, spec.Ref, true, 0) })
	})
	require.NoError(e, e.b.Stop(e.ctx, spec.Ref, true, 0))
	e.eventually("a deletion is heard of", func() bool {
		require.NoError(e, e.b.Create(e.ctx, spec))
		return hears(func() error { return e.b.Delete(e.ctx, spec.Ref) })
	})
	e.absent(spec.Ref)

	cancel()
	select {
	case err := <-done:
		require.ErrorIs(e, err, context.Canceled)
	case <-time.After(soon):
		e.Fatal("Watch did not end with its context")
	}
}
