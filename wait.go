package ams

import "sync"

// broadcast wakes everybody who waits for a commit.
type broadcast struct {
	mu sync.Mutex
	ch chan struct{}
}

func newBroadcast() *broadcast { return &broadcast{ch: make(chan struct{})} }

// wait returns a channel that is closed at the next broadcast.
func (b *broadcast) wait() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ch
}

func (b *broadcast) broadcast() {
	b.mu.Lock()
	defer b.mu.Unlock()
	close(b.ch)
	b.ch = make(chan struct{})
}

// waiters wakes those who wait for one operation to end.
type waiters struct {
	mu sync.Mutex
	by map[string]*waiter
}

type waiter struct {
	n     int
	ended chan struct{}
}

func newWaiters() *waiters { return &waiters{by: map[string]*waiter{}} }

// join returns a channel that is closed when the operation ends. The caller
// reads the operation after joining, and leaves when it is done.
func (w *waiters) join(id string) <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.by[id] == nil {
		w.by[id] = &waiter{ended: make(chan struct{})}
	}
	w.by[id].n++
	return w.by[id].ended
}

func (w *waiters) leave(id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if e := w.by[id]; e != nil {
		if e.n--; e.n == 0 {
			delete(w.by, id)
		}
	}
}

func (w *waiters) end(id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if e := w.by[id]; e != nil {
		close(e.ended)
		delete(w.by, id)
	}
}
