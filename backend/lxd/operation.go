package lxd

import (
	"context"
	"path"
	"slices"
	"strings"
	"sync"
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
func (b *Backend) operate(ctx context.Context, h *held, target string, send func(server) (client.Operation, error)) error {
	type sent struct {
		op  api.Operation
		err error
	}
	if err := b.begin(); err != nil {
		return err
	}
	done := make(chan sent, 1)
	finish := make(chan struct{}) // closed when the caller has taken over
	lent := make(chan struct{})   // closed when it has left
	requestCtx, cancel := context.WithTimeout(b.life, requestTime)
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
			return b.classify(ctx, s.err)
		}
		return b.wait(ctx, s.op)
	case <-ctx.Done():
		h.lent = true
		close(lent)
		return ctx.Err()
	}
}

// wait waits for the end of an operation.
func (b *Backend) wait(ctx context.Context, op api.Operation) error {
	b.awaited.add(op.ID)
	defer b.awaited.remove(op.ID)
	if !op.StatusCode.IsFinal() {
		err := b.do(ctx, func(c server) error {
			o, _, err := c.GetOperationWait(op.ID, -1)
			if err == nil {
				op = *o
			}
			return err
		})
		if ams.CodeOf(err) == ams.ErrNotFound {
			return ams.Errorf(ams.ErrUnavailable, "LXD: the operation was lost")
		}
		if err != nil {
			return err
		}
	}
	switch {
	case op.StatusCode == api.Success:
		return nil
	case !op.StatusCode.IsFinal():
		return ams.Errorf(ams.ErrUnavailable, "LXD: the operation is still %s", op.Status)
	}
	return failed(op.Err)
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

// imageOperation describes the operations that import or publish an image. They
// name neither the image nor the instance, so this text is all that tells them.
const imageOperation = "Downloading image"

// settleImages waits until no image is being made but by callers that wait for it
// now: what remains is what was given up, or asked for before a restart.
func (b *Backend) settleImages(ctx context.Context) error {
	for {
		var all []api.Operation
		err := b.do(ctx, func(c server) (err error) {
			all, err = c.GetOperations()
			return err
		})
		if err != nil {
			return err
		}
		left := slices.DeleteFunc(all, func(op api.Operation) bool {
			return op.StatusCode.IsFinal() || op.Description != imageOperation || b.awaited.has(op.ID)
		})
		if len(left) == 0 {
			return nil
		}
		for _, op := range left {
			if err := b.wait(ctx, op); err != nil && ctx.Err() != nil {
				return err
			}
		}
	}
}

// awaited is the set of operations that are waited for in this process.
type awaited struct {
	mu  sync.Mutex
	ids map[string]int
}

func (a *awaited) add(id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ids == nil {
		a.ids = map[string]int{}
	}
	a.ids[id]++
}

func (a *awaited) remove(id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ids[id]--; a.ids[id] == 0 {
		delete(a.ids, id)
	}
}

func (a *awaited) has(id string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.ids[id] > 0
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
			if err := b.wait(ctx, op); err != nil && ctx.Err() != nil {
				return err
			}
		}
	}
}
