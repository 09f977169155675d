package fake

import (
	"context"
	"io"
	"slices"
	"sync"

	"github.com/openams/ams"
)

// ExecFunc is a command that runs inside an instance: it reads req.Stdin, writes
// req.Stdout and req.Stderr, none of which is nil, and returns the exit code. Its
// context ends when the instance stops.
type ExecFunc func(ctx context.Context, ref ams.Ref, req ams.ExecRequest) (exit int, err error)

// OnExec sets what runs instead of the commands that the fake knows; nil is
// those again. A function may call Shell for what it does not want to do itself.
func (b *Backend) OnExec(f ExecFunc) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.onExec = f
}

// Exec implements ams.Execer. When the instance stops, the command ends with 137;
// with a signal, with 128 and the signal's number, but for those that are ignored
// unless a program asks for them. A command set by OnExec does not hear that its
// terminal changes, and its request has no Control.
func (b *Backend) Exec(ctx context.Context, ref ams.Ref, req ams.ExecRequest) (exit int, err error) {
	err = b.call(ctx, VerbExec, ref.ID, func() error {
		if len(req.Command) == 0 {
			return ams.Errorf(ams.ErrInvalid, "exec: the command is empty")
		}
		b.mu.Lock()
		epoch, f := b.epoch, b.onExec
		i, err := b.running(ref)
		var stopped chan struct{}
		if err == nil {
			stopped = i.stopped
		}
		b.mu.Unlock()
		if err != nil {
			return err
		}
		if err := sleep(ctx, epoch, b.opts.ExecTime); err != nil {
			return err
		}
		t := &terminal{width: req.Width, height: req.Height}
		if f == nil {
			f = func(ctx context.Context, ref ams.Ref, req ams.ExecRequest) (int, error) {
				return b.shell(ctx, ref, req, t)
			}
		}
		control := req.Control
		req.Control = nil
		exit, err = execute(ctx, stopped, t.heed(control), func(ctx context.Context) (int, error) {
			return f(ctx, ref, withStreams(req))
		})
		return err
	})
	return exit, err
}

// running returns an instance that runs. b.mu is held.
func (b *Backend) running(ref ams.Ref) (*instance, error) {
	i, err := b.finds(ref)
	if err != nil {
		return nil, err
	}
	if i.Power != ams.PowerRunning {
		return nil, ams.Errorf(ams.ErrState, "instance %q is %s, not running", ref.ID, i.Power)
	}
	return i, nil
}

// terminal is that of a command.
type terminal struct {
	mu            sync.Mutex
	width, height int
}

func (t *terminal) size() (width, height int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.width, t.height
}

// heed returns what a command hears: signals as they are, sizes as they change.
func (t *terminal) heed(control <-chan ams.ExecControl) hearing {
	return hearing{control, func(c ams.ExecControl) (ends bool) {
		if c.Width > 0 && c.Height > 0 {
			t.mu.Lock()
			defer t.mu.Unlock()
			t.width, t.height = c.Width, c.Height
		}
		return c.Signal > 0 && !slices.Contains([]int{17, 18, 23, 28}, c.Signal)
	}}
}

// hearing is how a command is told of something.
type hearing struct {
	control <-chan ams.ExecControl
	hear    func(ams.ExecControl) (ends bool)
}

// execute runs a command until it ends, its context does, the instance stops or a
// signal comes. A command that then sits in a read of its input is left behind: it
// ends when the caller closes that.
func execute(ctx context.Context, stopped <-chan struct{}, h hearing, f func(context.Context) (int, error)) (int, error) {
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	type result struct {
		exit int
		err  error
	}
	done := make(chan result, 1)
	go func() {
		exit, err := f(inner)
		done <- result{exit, err}
	}()
	for {
		select {
		case r := <-done:
			return r.exit, r.err
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-stopped:
			return 137, nil
		case c, more := <-h.control:
			if !more {
				h.control = nil
			}
			if h.hear(c) {
				return 128 + c.Signal, nil
			}
		}
	}
}

// withStreams fills in the streams that are nil.
func withStreams(req ams.ExecRequest) ams.ExecRequest {
	if req.Stdin == nil {
		req.Stdin = eof{}
	}
	if req.Stdout == nil {
		req.Stdout = io.Discard
	}
	if req.Stderr == nil {
		req.Stderr = io.Discard
	}
	if req.Interactive {
		req.Stderr = req.Stdout
	}
	return req
}

type eof struct{}

func (eof) Read([]byte) (int, error) { return 0, io.EOF }
