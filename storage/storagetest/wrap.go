package storagetest

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/openams/ams"
)

// Replay returns a store that runs each function given to Update twice, as a
// distributed store does after a conflict: once in a transaction that is rolled
// back, whatever the function returns, and once for good. The store that is
// wrapped is still closed by who opened it.
func Replay(s ams.Store) ams.Store { return withBlobs(s, replay{s}) }

type replay struct{ ams.Store }

func (r replay) Update(ctx context.Context, fn func(ams.Tx) error) error {
	undo := errors.New("rolled back to run again")
	ran := false
	err := r.Store.Update(ctx, func(tx ams.Tx) error {
		ran = true
		if err := fn(tx); err != nil {
			return err
		}
		return undo
	})
	if !ran {
		return err
	}
	return r.Store.Update(context.WithoutCancel(ctx), fn)
}

// Faulty returns a store that fails as fault says. Every View and Update is a
// call; calls are numbered from 1 in the order in which they begin. For each,
// fault is called with its number, and
//
//   - nil lets the call through;
//   - an error is returned in place of the call, which is not made;
//   - an error made by AfterCommit is returned after the call was made. An Update
//     is then committed although its caller is told that it failed, as when the
//     connection to a distributed store breaks while the answer is on its way. If
//     the call fails by itself, its own error is returned.
//
// fault must be safe for concurrent use.
func Faulty(s ams.Store, fault func(n int) error) ams.Store {
	return withBlobs(s, &faulty{inner: s, fault: fault})
}

// AfterCommit marks an error for Faulty: the call is made first. The caller of
// the store gets err itself.
func AfterCommit(err error) error { return afterCommit{err} }

type afterCommit struct{ error }

type faulty struct {
	inner ams.Store
	fault func(n int) error
	calls atomic.Int64
}

func (f *faulty) View(ctx context.Context, fn func(ams.Tx) error) error {
	return f.call(func() error { return f.inner.View(ctx, fn) })
}

func (f *faulty) Update(ctx context.Context, fn func(ams.Tx) error) error {
	return f.call(func() error { return f.inner.Update(ctx, fn) })
}

func (f *faulty) call(inner func() error) error {
	fault := f.fault(int(f.calls.Add(1)))
	var after afterCommit
	if fault != nil && !errors.As(fault, &after) {
		return fault
	}
	if err := inner(); err != nil || fault == nil {
		return err
	}
	return after.error
}

// withBlobs gives the wrapper the method Blobs if the store it wraps has it.
func withBlobs(inner, wrapper ams.Store) ams.Store {
	if owner, ok := inner.(blobOwner); ok {
		return struct {
			ams.Store
			blobOwner
		}{wrapper, owner}
	}
	return wrapper
}
