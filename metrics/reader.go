package metrics

import (
	"maps"
	"sync"
)

// readers is how far those who read the events have come.
type readers struct {
	mu  sync.Mutex
	seq map[string]int64
}

func newReaders() *readers { return &readers{seq: map[string]int64{}} }

func (r *readers) read(name string, seq int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seq[name] = seq
}

func (r *readers) forget(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.seq, name)
}

func (r *readers) all() map[string]int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.seq)
}
