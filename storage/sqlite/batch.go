package sqlite

import (
	"context"
	"slices"
	"sync"
)

// maxBatch bounds how many updates are committed as one.
const maxBatch = 128

// writer gives the one writing connection to one update after another, in the
// order of their coming, and commits together those that wait for each other.
//
// There is no goroutine: who holds the connection runs his function in his own
// goroutine and then hands the connection on, with the transaction still open,
// to the next in the queue. The last one, when nobody is waiting or the batch is
// full, commits for all of them. So an update that is alone commits at once, and
// while a commit waits for the disk the next batch gathers.
type writer struct {
	conn *conn

	mu     sync.Mutex
	held   bool
	closed bool
	queue  []*waiter
	idle   chan struct{} // closed when the writer is closed and not held

	batch *batch // belongs to whoever holds the connection
}

// waiter is an update waiting for the connection.
type waiter struct {
	ready chan struct{} // closed when it has the connection, or err
	err   error
}

// batch is the updates that are committed together.
type batch struct {
	open bool          // a transaction is open, and there is something in it
	size int           // updates it was given to
	done chan struct{} // closed when it is committed, or has failed
	err  error         // why it has failed
}

func newWriter(c *conn) *writer {
	return &writer{conn: c, idle: make(chan struct{})}
}

// update runs fn in a transaction and returns when that is committed. It returns
// the error of fn as it is, or of the commit. When fn panics or ends its
// goroutine, what it did is rolled back.
func (w *writer) update(ctx context.Context, fn func() error) error {
	if err := w.acquire(ctx); err != nil {
		return err
	}
	b := w.batch
	err := func() error {
		defer w.settle(b)
		if err := ctx.Err(); err != nil {
			return err
		}
		return b.run(w.conn, fn)
	}()
	// An update that failed by what it read waits too: that might not be kept.
	<-b.done
	if b.err != nil {
		return b.err
	}
	return err
}

// acquire waits for the connection.
func (w *writer) acquire(ctx context.Context) error {
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		return errClosed()
	}
	if !w.held {
		w.held = true
		w.mu.Unlock()
		w.batch = newBatch()
		return nil
	}
	self := &waiter{ready: make(chan struct{})}
	w.queue = append(w.queue, self)
	w.mu.Unlock()

	select {
	case <-self.ready:
		return self.err
	case <-ctx.Done():
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if i := slices.Index(w.queue, self); i >= 0 {
		w.queue = slices.Delete(w.queue, i, i+1)
		return ctx.Err()
	}
	return self.err // it was given the connection meanwhile, and must hand it on
}

// next takes the first waiter off the queue, or returns nil. w.mu is held.
func (w *writer) next() *waiter {
	if len(w.queue) == 0 {
		return nil
	}
	first := w.queue[0]
	w.queue[0] = nil
	w.queue = w.queue[1:]
	return first
}

// settle hands the batch on to the next update, or commits it and hands on the
// connection.
func (w *writer) settle(b *batch) {
	if b.open && b.size < maxBatch {
		w.mu.Lock()
		next := w.next()
		w.mu.Unlock()
		if next != nil {
			close(next.ready)
			return
		}
	}
	b.commit(w.conn)

	w.mu.Lock()
	defer w.mu.Unlock()
	if next := w.next(); next != nil {
		w.batch = newBatch()
		close(next.ready)
		return
	}
	w.held = false
	if w.closed {
		close(w.idle)
	}
}

// close refuses further updates and those that wait, and returns when the last
// one is committed. The connection is then free.
func (w *writer) close() {
	w.mu.Lock()
	w.closed = true
	for next := w.next(); next != nil; next = w.next() {
		next.err = errClosed()
		close(next.ready)
	}
	if !w.held {
		close(w.idle)
	}
	w.mu.Unlock()
	<-w.idle
}

func newBatch() *batch { return &batch{done: make(chan struct{})} }

// run adds an update to the batch, or leaves the batch as it was.
func (b *batch) run(c *conn, fn func() error) error {
	b.size++
	first := !b.open
	begin := "SAVEPOINT one"
	if first {
		begin = "BEGIN IMMEDIATE" // and no savepoint: there is nothing else to keep
	}
	if _, err := c.exec(begin); err != nil {
		b.check(c)
		return err
	}
	b.open = true
	kept := false
	defer func() {
		if !kept {
			b.undo(c, first)
		}
	}()
	if err := fn(); err != nil {
		return err
	}
	if !first {
		if _, err := c.exec("RELEASE one"); err != nil {
			return err
		}
	}
	kept = true
	return nil
}

// undo takes back the update that was last begun.
func (b *batch) undo(c *conn, first bool) {
	if first {
		b.rollback(c)
		return
	}
	b.check(c)
	for _, sql := range []string{"ROLLBACK TO one", "RELEASE one"} {
		if !b.open {
			return
		}
		if _, err := c.exec(sql); err != nil {
			b.fail(c, err)
		}
	}
}

// check fails the batch if SQLite has rolled back its transaction.
func (b *batch) check(c *conn) {
	if b.open && !c.inTransaction() {
		b.fail(c, c.failure)
	}
}

// commit ends the batch.
func (b *batch) commit(c *conn) {
	if b.open {
		if _, err := c.exec("COMMIT"); err != nil {
			b.fail(c, err)
		}
	}
	b.open = false
	close(b.done)
}

// fail takes back the whole batch.
func (b *batch) fail(c *conn, cause error) {
	b.err = cause
	b.rollback(c)
}

// rollback ends the transaction, which SQLite may have done already.
func (b *batch) rollback(c *conn) {
	b.open = false
	if c.inTransaction() {
		_, _ = c.exec("ROLLBACK") // it fails only when there is no transaction
	}
}
