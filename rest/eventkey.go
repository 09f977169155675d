package rest

import (
	"crypto/rand"
	"encoding/hex"
	"maps"
	"sync"
	"time"
)

// eventKeyTime is how long a token for the events websocket is good.
const eventKeyTime = time.Minute

// mostEventKeys bounds the tokens that are out.
const mostEventKeys = 10_000

// eventKeys are the tokens that open the events websocket in place of credentials,
// once.
type eventKeys struct {
	mu   sync.Mutex
	keys map[string]eventKey
}

type eventKey struct {
	who   *caller
	until time.Time
}

// issue returns a new token for a caller.
func (k *eventKeys) issue(who *caller, now time.Time) string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails
	token := hex.EncodeToString(b[:])
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.keys == nil {
		k.keys = map[string]eventKey{}
	}
	maps.DeleteFunc(k.keys, func(_ string, e eventKey) bool { return now.After(e.until) })
	if len(k.keys) >= mostEventKeys {
		clear(k.keys)
	}
	k.keys[token] = eventKey{who, now.Add(eventKeyTime)}
	return token
}

// redeem returns whose token it is, and nil if it is none or has been used. It has 256
// random bits, so that looking it up in a map tells nothing.
func (k *eventKeys) redeem(token string, now time.Time) *caller {
	k.mu.Lock()
	defer k.mu.Unlock()
	e, ok := k.keys[token]
	delete(k.keys, token)
	if !ok || now.After(e.until) {
		return nil
	}
	return e.who
}
