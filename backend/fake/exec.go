package fake

import (
	"context"
	"io"

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

// Exec implements ams.Execer. When the instance stops, the command ends with 137.
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
		if f == nil {
			f = b.Shell
		}
		exit, err = execute(ctx, stopped, func(ctx context.Context) (int, error) {
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

// execute runs a command until it ends, its context does or the instance stops.
// A command that then sits in a read of its input is left behind: it ends when
// the caller closes that.
func execute(ctx context.Context, stopped <-chan struct{}, f func(context.Context) (int, error)) (int, error) {
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
	select {
	case r := <-done:
		return r.exit, r.err
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-stopped:
		return 137, nil
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
