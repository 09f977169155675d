package lxd

import (
	"context"
	"path"
	"slices"
	"strings"
	"time"

	client "github.com/canonical/lxd/client"
	"github.com/canonical/lxd/shared/api"

	"github.com/openams/ams"
)

// requestTime bounds a request that starts an operation. It goes on for that long
// after its caller has given up, so that it is known to have arrived or not.
const requestTime = time.Minute

// held is a lock that may outlive the call that took it.
type held struct {
	unlock func()
	lent   bool // to a request that goes on
}

func (h *held) release() {
	if !h.lent {
		h.unlock()
	}
}

// operate sends a request that starts an operation and waits for its end. When
// ctx ends before LXD has taken the request, the lock is held until it has: what
// comes next for that key finds the operation among those that run.
func (b *Backend) operate(ctx context.Context, h *held, target string, send func(server) (client.Operation, error)) (*api.Operation, error) {
	type sent struct {
		op  api.Operation
		err error
	}
	done := make(chan sent, 1)
	finish := make(chan struct{}) // closed when the caller has taken over
	lent := make(chan struct{})   // closed when it has left
	requestCtx, cancel := context.WithTimeout(b.life, requestTime)
	b.work.Add(1)
	go func() {
		defer b.work.Done()
		defer cancel()
		var s sent
		s.err = b.doOn(requestCtx, target, func(c server) error {
			op, err := send(c)
			if err == nil {
				s.op = op.Get()
			}
			return err
		})
		done <- s
		select {
		case <-finish:
		case <-lent:
			h.unlock()
		}
	}()
	select {
	case s := <-done:
		close(finish)
		if s.err != nil {
			return nil, b.classify(ctx, s.err)
		}
		return b.wait(ctx, s.op)
	case <-ctx.Done():
		h.lent = true
		close(lent)
		return nil, ctx.Err()
	}
}

// wait waits for the end of an operation and returns what it became.
func (b *Backend) wait(ctx context.Context, op api.Operation) (*api.Operation, error) {
	if !op.StatusCode.IsFinal() {
		err := b.do(ctx, func(c server) error {
			o, _, err := c.GetOperationWait(op.ID, -1)
			if err == nil {
				op = *o
			}
			return err
		})
		if ams.CodeOf(err) == ams.ErrNotFound {
			return nil, ams.Errorf(ams.ErrUnavailable, "LXD: the operation was lost")
		}
		if err != nil {
			return nil, err
		}
	}
	switch {
	case op.StatusCode == api.Success:
		return &op, nil
	case !op.StatusCode.IsFinal():
		return nil, ams.Errorf(ams.ErrUnavailable, "LXD: the operation is still %s", op.Status)
	}
	return nil, failed(op.Err)
}

// running returns the operations that work on an instance now. Commands that run
// in it are not among them.
func (b *Backend) running(ctx context.Context, name string) ([]api.Operation, error) {
	var all []api.Operation
	err := b.do(ctx, func(c server) (err error) {
		all, err = c.GetOperations()
		return err
	})
	return slices.DeleteFunc(all, func(op api.Operation) bool {
		return op.StatusCode.IsFinal() || op.Class != "task" || !concerns(op, name)
	}), err
}

// concerns reports whether an operation works on an instance.
func concerns(op api.Operation, name string) bool {
	return slices.ContainsFunc(op.Resources["instances"], func(url string) bool {
		url, _, _ = strings.Cut(url, "?")
		return path.Base(url) == name
	})
}

// settle waits until no operation works on an instance. How they end does not
// matter: the caller looks at what came of it.
func (b *Backend) settle(ctx context.Context, name string) error {
	for {
		ops, err := b.running(ctx, name)
		if err != nil || len(ops) == 0 {
			return err
		}
		for _, op := range ops {
			if _, err := b.wait(ctx, op); err != nil && ctx.Err() != nil {
				return err
			}
		}
	}
}
