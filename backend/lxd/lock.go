package lxd

import (
	"context"
	"sync"
)

// locks serialise work by key; waiting for one ends with the context.
type locks struct {
	mu    sync.Mutex
	byKey map[string]*keyLock
}

type keyLock struct {
	held  chan struct{} // holds one token while the lock is held
	users int
}

// lock takes the lock of key and returns how to give it back.
func (l *locks) lock(ctx context.Context, key string) (unlock func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	l.mu.Lock()
	k := l.byKey[key]
	if k == nil {
		k = &keyLock{held: make(chan struct{}, 1)}
		if l.byKey == nil {
			l.byKey = map[string]*keyLock{}
		}
		l.byKey[key] = k
	}
	k.users++
	l.mu.Unlock()
	leave := func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if k.users--; k.users == 0 {
			delete(l.byKey, key)
		}
	}
	select {
	case k.held <- struct{}{}:
		return func() { <-k.held; leave() }, nil
	case <-ctx.Done():
		leave()
		return nil, ctx.Err()
	}
}
