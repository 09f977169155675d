// Package sqlite is the durable ams.Store: one SQLite database file.
//
// The file is in WAL mode. Updates that wait for each other are committed as one
// (each can still fail alone), a few connections read beside the one that
// writes, and every filter that can single out rows has an index. The blobs lie
// beside the file, in a directory of the same name with ".blobs" at its end.
//
// A file is open once: a lock on the file "<path>.lock" keeps a second Store, in
// this process or another, off it. The lock goes with the process.
package sqlite

import (
	"context"
	"errors"
	"sync"

	"github.com/openams/ams"
	"github.com/openams/ams/internal/blobdir"
)

// Synchronous says what a commit survives.
type Synchronous int

// The values of Synchronous.
const (
	Full   Synchronous = iota // a power cut; each group of commits waits for the disk
	Normal                    // a crash of the process; a power cut may undo the last commits, whole
	Off                       // a crash of the process; a power cut may damage the file
)

// Options are the choices a host has. The zero value is good.
type Options struct {
	// Synchronous is Full if not set.
	Synchronous Synchronous
	// Readers is how many Views can run at the same time, 4 if not set, at most 64.
	Readers int

	maxPages int // of the file; for tests of a full disk
}

// Store is an ams.Store in a SQLite file. It is safe for concurrent use.
//
// A function given to Update must not call Update, for which it would wait
// forever; and one given to View must not call View. Both may call the other.
type Store struct {
	lock    *lock
	writer  *writer
	readers chan *conn
	schemas *schemas
	blobs   *blobdir.Dir

	closeOnce sync.Once
	closing   chan struct{}
	closeErr  error
}

var _ ams.Store = (*Store)(nil)

// View implements ams.Store. The state seen is that of the first read in fn. When
// ctx ends, what fn asks of the transaction next fails with ctx's error.
func (s *Store) View(ctx context.Context, fn func(ams.Tx) error) (err error) {
	c, err := s.reader(ctx)
	if err != nil {
		return err
	}
	defer func() { s.readers <- c }()
	if _, err := c.exec("BEGIN"); err != nil {
		return err
	}
	defer func() {
		if c.inTransaction() {
			_, _ = c.exec("ROLLBACK") // it fails only when there is no transaction
		}
	}()
	t := &tx{ctx: ctx, conn: c, schemas: s.schemas}
	return t.run(fn)
}

// reader waits for a free reading connection.
func (s *Store) reader(ctx context.Context) (*conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	select {
	case <-s.closing:
		return nil, errClosed()
	default:
	}
	select {
	case c := <-s.readers:
		return c, nil
	case <-s.closing:
		return nil, errClosed()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Update implements ams.Store. Once fn runs, the end of ctx no longer matters.
// fn runs once, in the goroutine of the caller.
func (s *Store) Update(ctx context.Context, fn func(ams.Tx) error) error {
	return s.writer.update(ctx, func() error {
		t := &tx{ctx: context.Background(), conn: s.writer.conn, schemas: s.schemas, update: true}
		return t.run(fn)
	})
}

// Blobs returns the store of blobs beside the file. It is closed with the Store.
func (s *Store) Blobs() ams.BlobStore { return s.blobs }

// Close waits for the transactions that run, refuses all others with
// ErrUnavailable, and releases the file. Closing again does nothing and returns
// the same error.
func (s *Store) Close() error {
	s.closeOnce.Do(func() {
		close(s.closing)
		s.writer.close()
		errs := []error{}
		for range cap(s.readers) {
			c := <-s.readers
			errs = append(errs, c.close())
		}
		// The last connection to close writes the log back into the file.
		errs = append(errs, s.writer.conn.close(), s.lock.release())
		s.closeErr = errors.Join(errs...)
	})
	return s.closeErr
}
