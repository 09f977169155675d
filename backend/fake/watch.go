package fake

import (
	"context"
	"sync"
)

// watcher is one call of Watch.
type watcher struct {
	cluster string
	changed func(id string)

	mu   sync.Mutex
	gone bool // Watch has returned
}

func (w *watcher) tell(id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.gone {
		w.changed(id)
	}
}

// Watch implements ams.Watcher.
func (b *Backend) Watch(ctx context.Context, cluster string, changed func(id string)) error {
	return b.call(ctx, VerbWatch, "", func() error {
		w := &watcher{cluster: cluster, changed: changed}
		b.mu.Lock()
		epoch := b.epoch
		b.watchers[w] = true
		b.mu.Unlock()
		defer func() {
			b.mu.Lock()
			delete(b.watchers, w)
			b.mu.Unlock()
			w.mu.Lock()
			w.gone = true
			w.mu.Unlock()
		}()
		return await(ctx, epoch, nil)
	})
}

// tell tells the watchers of a cluster that an instance may have changed. b.mu
// is not held.
func (b *Backend) tell(cluster, id string) {
	b.mu.Lock()
	var told []*watcher
	for w := range b.watchers {
		if w.cluster == cluster {
			told = append(told, w)
		}
	}
	b.mu.Unlock()
	for _, w := range told {
		w.tell(id)
	}
}
