// Package mem is the ams.Store in memory, for tests and simulations. It keeps
// the same promises as storage/sqlite, durability apart: rows come out as they
// would from JSON, a View sees one state however long it lasts, and an Update
// that fails leaves no trace.
package mem

import (
	"context"
	"hash/maphash"
	"sync/atomic"

	"github.com/openams/ams"
)

// Store is an ams.Store in memory. It is safe for concurrent use. Views run
// beside everything else; Updates run one after another.
//
// A function given to Update must not call Update, for which it would wait
// forever.
type Store struct {
	seed    maphash.Seed
	schemas *schemas
	turn    chan struct{} // holds a value while an Update runs
	state   atomic.Pointer[state]
	closed  atomic.Bool
	blobs   *blobs
}

var _ ams.Store = (*Store)(nil)

// New returns an empty store.
func New() *Store {
	s := &Store{
		seed:    maphash.MakeSeed(),
		schemas: newSchemas(),
		turn:    make(chan struct{}, 1),
		blobs:   newBlobs(),
	}
	s.state.Store(&state{})
	return s
}

// View implements ams.Store.
func (s *Store) View(ctx context.Context, fn func(ams.Tx) error) error {
	if err := s.usable(ctx); err != nil {
		return err
	}
	t := &tx{ctx: ctx, store: s, state: *s.state.Load()}
	defer func() { t.ended = true }()
	return fn(t)
}

// Update implements ams.Store. Once fn runs, the end of ctx no longer matters.
// fn runs once, in the goroutine of the caller.
func (s *Store) Update(ctx context.Context, fn func(ams.Tx) error) error {
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-s.turn }()
	if err := s.usable(ctx); err != nil {
		return err
	}
	t := &tx{ctx: context.Background(), store: s, state: *s.state.Load(), update: true}
	defer func() { t.ended = true }()
	if err := fn(t); err != nil {
		return err
	}
	s.state.Store(&t.state)
	return nil
}

// usable returns why no transaction can begin.
func (s *Store) usable(ctx context.Context) error {
	if s.closed.Load() {
		return ams.Errorf(ams.ErrUnavailable, "store is closed")
	}
	return ctx.Err()
}

// Blobs returns the blobs of this store, which are in memory too.
func (s *Store) Blobs() ams.BlobStore { return s.blobs }

// Close makes further transactions fail with ErrUnavailable. It is optional, and
// always returns nil.
func (s *Store) Close() error {
	s.closed.Store(true)
	return nil
}
