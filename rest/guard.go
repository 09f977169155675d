package rest

import (
	"context"
	"crypto/x509"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/openams/ams"
)

// guard finds out who calls and what they may do. Everything is looked up for each
// request anew: what a change of trust takes away is gone with the next request.
type guard struct {
	m       *ams.Manager
	allowed []uint32     // users that may use the unix socket
	tokens  bearer       // nil takes none
	events  eventKeys    // lets browsers open the events websocket
	guesses guessLimit   // of passwords and secrets
	tuned   atomic.Int64 // when limit was last looked at, in seconds
	limit   atomic.Pointer[rate.Limiter]
}

// bearer tells whose a bearer token is.
type bearer interface {
	// Email returns the address that the token was given to. An error is for the
	// caller to see.
	Email(ctx context.Context, token string) (string, error)
}

// identify finds out who calls. Without a certificate or a token that is nobody in
// particular, which is no error.
func (g *guard) identify(r *http.Request) (*caller, error) {
	over, ok := r.Context().Value(connKey).(*conn)
	if ok && over.trusted(g.allowed) {
		return &caller{known: true, admin: true, method: "unix"}, nil
	}
	if token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		return g.byToken(r.Context(), token)
	}
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return &caller{}, nil
	}
	return g.byCertificate(r.Context(), r.TLS.PeerCertificates)
}

// byCertificate finds the identity of a certificate. One that is not trusted, or not
// now, makes its caller nobody in particular.
func (g *guard) byCertificate(ctx context.Context, chain []*x509.Certificate) (*caller, error) {
	trust, err := g.m.Trust(ctx)
	if err != nil {
		return nil, err
	}
	identity, err := trust.ByCertificate(chain, time.Now())
	if err != nil {
		return &caller{}, nil //nolint:nilerr // it may still do what everybody may
	}
	return g.of(trust, identity), nil
}

func (g *guard) byToken(ctx context.Context, token string) (*caller, error) {
	if g.tokens == nil {
		return &caller{}, unauthorized("tokens are not taken here: the setting oidc.issuer_url is not set")
	}
	email, err := g.tokens.Email(ctx, token)
	if err != nil {
		return &caller{}, err
	}
	trust, err := g.m.Trust(ctx)
	if err != nil {
		return &caller{}, err
	}
	identity, err := trust.ByEmail(email)
	if err != nil {
		return &caller{}, ams.Errorf(ams.ErrDenied, "identity oidc/%s not found; create it with: amc auth identity create oidc/%s", email, email)
	}
	return g.of(trust, identity), nil
}

// of returns the caller that an identity is.
func (g *guard) of(trust *ams.Trust, identity ams.Identity) *caller {
	c := &caller{known: true, method: string(identity.Method), identity: identity, granted: map[ams.Permission]bool{}}
	for _, name := range identity.Groups {
		group, ok := trust.Group(name)
		if !ok {
			continue
		}
		if group.Immutable { // that of the administrators
			c.admin = true
		}
		for _, p := range group.Permissions {
			c.granted[p] = true
		}
	}
	c.admin = c.admin || c.granted[ams.Permission{Entitlement: "admin", Resource: "server"}]
	return c
}

// describe names the caller of a request for the log.
func (g *guard) describe(r *http.Request) string {
	if over, ok := r.Context().Value(connKey).(*conn); ok && over.unix {
		return "uid " + strconv.FormatUint(uint64(over.uid), 10)
	}
	if r.TLS != nil && len(r.TLS.PeerCertificates) > 0 {
		return "certificate " + fingerprint(r.TLS.PeerCertificates[0].Raw)
	}
	return "nobody"
}

// resolve returns the id of an object that may be named.
func (g *guard) resolve(ctx context.Context, kind, ref string) (string, error) {
	switch kind {
	case "instance":
		in, err := g.m.Instances.Get(ctx, ref)
		return in.ID, err
	case "application":
		a, err := g.m.Applications.Get(ctx, ref)
		return a.ID, err
	case "image":
		i, err := g.m.Images.Get(ctx, ref)
		return i.ID, err
	case "identity":
		i, err := g.m.Identities.Get(ctx, ref)
		return i.ID, err
	}
	return ref, nil // its name is its id
}

// limiter returns what the setting core.max_requests_per_second grants, read once a
// second at most; nil is no limit.
func (g *guard) limiter(ctx context.Context) *rate.Limiter {
	now := time.Now().Unix()
	if last := g.tuned.Load(); last == now || !g.tuned.CompareAndSwap(last, now) {
		return g.limit.Load()
	}
	value, err := g.m.Settings.Get(ctx, "core.max_requests_per_second")
	n, numberErr := strconv.Atoi(value)
	have := g.limit.Load()
	switch {
	case err != nil || numberErr != nil: // what held before holds on
	case n <= 0:
		g.limit.Store(nil)
	case have == nil || have.Burst() != n:
		g.limit.Store(rate.NewLimiter(rate.Limit(n), n))
	}
	return g.limit.Load()
}

// revoked returns what is closed when an identity or a group changes.
func (g *guard) revoked(ctx context.Context) (<-chan struct{}, error) {
	trust, err := g.m.Trust(ctx)
	if err != nil {
		return nil, err
	}
	return trust.Changed(), nil
}

// watch calls stop when whoever sent a request may no longer do what it was for; it
// returns when ctx ends.
func (g *guard) watch(ctx context.Context, r *http.Request, may func(*caller) bool, stop func()) {
	for ctx.Err() == nil {
		changed, err := g.revoked(ctx)
		if err == nil {
			var who *caller
			if who, err = g.identify(r.WithContext(background(r.Context()))); err == nil && !may(who) {
				err = errDenied()
			}
		}
		if err != nil {
			stop()
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
}
