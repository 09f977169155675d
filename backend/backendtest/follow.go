package backendtest

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
)

const systemLog = "/var/lib/anbox/logs/system.log"

// testFollow follows a log while it grows, and until the instance ends.
func testFollow(e *test) {
	if e.execer == nil {
		e.Fatal("FollowLogs is tested with the help of Exec")
	}
	spec := e.create()
	require.ErrorIs(e, e.follower.FollowLog(e.ctx, spec.Ref, "system.log", 0, &followed{}), ams.ErrState, "of a stopped instance")
	require.NoError(e, e.b.Start(e.ctx, spec.Ref))
	for _, name := range []string{"no-such.log", "../../../../etc/passwd", "/etc/passwd", "anr/no-such", "..", ""} {
		require.ErrorIs(e, e.follower.FollowLog(e.ctx, spec.Ref, name, 0, &followed{}), ams.ErrNotFound, name)
	}
	add := func(script string) {
		e.Helper()
		exit, _, errs := e.sh(spec.Ref, script, nil)
		require.Zero(e, exit, errs)
	}
	add("mkdir -p /var/lib/anbox/logs; echo one > " + systemLog + "; echo two >> " + systemLog)

	all, end := e.follow(e.ctx, spec.Ref, 1<<20), e.follow(e.ctx, spec.Ref, int64(len("e\ntwo\n")))
	none, ended := e.follow(e.ctx, spec.Ref, 0), e.follow(e.ctx, spec.Ref, 1)
	e.shows(all, "one\ntwo\n")
	e.shows(end, "two\n")
	ctx, cancel := context.WithCancel(e.ctx)
	defer cancel()
	cancelled := e.follow(ctx, spec.Ref, 1<<20)
	e.shows(cancelled, "one\ntwo\n")
	cancel()
	e.over(cancelled)
	broken := e.follow(e.ctx, spec.Ref, 0)
	broken.breaks()
	// Somebody who follows none of the past may have begun after this line.
	add("echo three >> " + systemLog)
	e.shows(all, "one\ntwo\nthree\n")
	e.shows(end, "two\nthree\n")
	if e.freezer != nil {
		require.NoError(e, e.freezer.Freeze(e.ctx, spec.Ref))
		frozen := e.follow(e.ctx, spec.Ref, int64(len("three\n")))
		e.shows(frozen, "three\n")
		require.NoError(e, e.freezer.Unfreeze(e.ctx, spec.Ref))
		add("echo four >> " + systemLog)
		e.shows(frozen, "three\nfour\n")
		defer e.over(frozen)
	} else {
		add("echo four >> " + systemLog)
	}
	e.shows(all, "one\ntwo\nthree\nfour\n")
	add("echo new > " + systemLog)
	e.shows(all, "one\ntwo\nthree\nfour\nnew\n")
	e.shows(end, "two\nthree\nfour\nnew\n")
	e.eventually("a line for those that see no past", func() bool {
		add("echo more >> " + systemLog)
		return none.has("more\n") && ended.has("more\n")
	})
	e.eventually("the writer's error", func() bool {
		add("echo more >> " + systemLog)
		return len(broken.done) > 0
	})
	require.ErrorIs(e, <-broken.done, errBroken)
	cancelled.mu.Lock()
	require.Equal(e, "one\ntwo\n", cancelled.text)
	cancelled.mu.Unlock()

	e.remove(spec.Ref)
	for _, f := range []*followed{all, end, none, ended} {
		e.over(f)
	}
}

var errBroken = errors.New("nothing can be written")

// followed is what came of following a log.
type followed struct {
	done chan error

	mu     sync.Mutex
	text   string
	broken bool
}

// Write collects what was added to the log.
func (f *followed) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.broken {
		return 0, errBroken
	}
	f.text += string(p)
	return len(p), nil
}

func (f *followed) breaks() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.broken = true
}

func (f *followed) has(end string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.text) >= len(end) && f.text[len(f.text)-len(end):] == end
}

// follow follows system.log in the background.
func (e *test) follow(ctx context.Context, ref ams.Ref, tail int64) *followed {
	f := &followed{done: make(chan error, 1)}
	go func() { f.done <- e.follower.FollowLog(ctx, ref, "system.log", tail, f) }()
	return f
}

// shows waits until exactly that was written.
func (e *test) shows(f *followed, want string) {
	e.Helper()
	e.eventually("the log is "+want, func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.text == want
	})
}

// over checks that following ends, which is no error.
func (e *test) over(f *followed) {
	e.Helper()
	select {
	case err := <-f.done:
		require.NoError(e, err)
	case <-time.After(soon):
		e.Error("following a log did not end")
	}
}
