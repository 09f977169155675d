package rest

import (
	"net"
	"net/http"
	"sync"
	"time"
)

// The bounds of guessing: of the trust password, of join tokens, of secrets.
const (
	mostGuesses = 5
	guessWindow = time.Minute
	mostGuessed = 10_000 // addresses that are remembered
)

// guessLimit bounds how often an address may guess wrongly.
type guessLimit struct {
	mu    sync.Mutex
	wrong map[string]guesses
}

type guesses struct {
	n     int
	since time.Time
}

// blocked reports whether whoever sent r has guessed too often.
func (g *guessLimit) blocked(r *http.Request, now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	w, ok := g.wrong[host(r)]
	return ok && w.n >= mostGuesses && now.Sub(w.since) < guessWindow
}

// failed counts a wrong guess.
func (g *guessLimit) failed(r *http.Request, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.wrong == nil || len(g.wrong) >= mostGuessed {
		g.wrong = map[string]guesses{} // whoever guesses from so many addresses is not held up by this anyway
	}
	w := g.wrong[host(r)]
	if now.Sub(w.since) >= guessWindow {
		w = guesses{since: now}
	}
	w.n++
	g.wrong[host(r)] = w
}

// host is the address a request comes from, without its port.
func host(r *http.Request) string {
	h, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return h
}
