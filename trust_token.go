package ams

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"
)

// JoinToken lets one client, whoever has its secret, make its own certificate known.
type JoinToken struct {
	ID   string // 20 characters; ids made later sort later
	Rev  int64
	Name string // that the identity gets; empty is the default of IdentityRequest
	// Groups are those that the identity will be in, in order.
	Groups []string
	// Secret is what the client needs, 64 hexadecimal digits. It is set in what Issue
	// returns, and nowhere else: only its SHA-256, Hash, is stored.
	Secret    string
	Hash      string
	ExpiresAt time.Time // when it ends to be of use
	CreatedAt time.Time
}

// JoinTokenFilter chooses join tokens. Every field that is set must match.
type JoinTokenFilter struct {
	Hash          string
	ExpiresBefore time.Time // before this instant
	ExpiresAfter  time.Time // after this instant
}

// JoinTokenRequest says what a join token is for.
type JoinTokenRequest struct {
	Name     string        // that the identity gets; must be free, now and then
	Groups   []string      // that the identity will be in; none is allowed
	Lifetime time.Duration // default an hour, 30 days at most
}

const (
	tokenLifetime    = time.Hour
	maxTokenLifetime = 30 * 24 * time.Hour
	secretLength     = 32 // bytes
)

// JoinTokens is the service for join tokens.
type JoinTokens struct{ m *Manager }

// Issue makes a join token and returns it with its secret, for the only time. It is
// good for one identity, made by Identities.Enroll before it expires.
//
// Errors: ErrInvalid with all problems at once; ErrExists (name); ErrNotFound (group).
func (s *JoinTokens) Issue(ctx context.Context, req JoinTokenRequest) (JoinToken, error) {
	if err := req.check(); err != nil {
		return JoinToken{}, err
	}
	if err := s.m.builtIn(ctx); err != nil {
		return JoinToken{}, err
	}
	raw := make([]byte, secretLength)
	rand.Read(raw) // never fails
	secret := hex.EncodeToString(raw)
	var t JoinToken
	err := s.m.update(ctx, func(c *change) error {
		groups, err := c.groupNames(req.Groups)
		if err != nil {
			return err
		}
		if req.Name != "" {
			n, err := c.Identities().Count(IdentityFilter{Method: AuthTLS, Name: req.Name})
			if err != nil || n > 0 {
				return existsOr(err, "identity", string(AuthTLS)+"/"+req.Name)
			}
		}
		t = JoinToken{
			ID: s.m.ids.New(c.now), Name: req.Name, Groups: groups, Hash: secretHash(secret),
			ExpiresAt: c.now.Add(cmp.Or(req.Lifetime, tokenLifetime)).Truncate(time.Millisecond), CreatedAt: c.now,
		}
		c.lifecycle("token", t.ID, "created", t.Name)
		return c.JoinTokens().Put(t)
	})
	if err != nil {
		return JoinToken{}, err
	}
	t.Rev, t.Secret = 1, secret
	return t, nil
}

func (r *JoinTokenRequest) check() error {
	faults := newManifestFaults()
	if r.Name != "" {
		faults.name("name", r.Name, true)
	}
	switch {
	case r.Lifetime < 0:
		faults.add("lifetime", "", "lifetime must not be negative, got %s", r.Lifetime)
	case r.Lifetime > maxTokenLifetime:
		faults.add("lifetime", "", "lifetime is %s (maximum %s)", r.Lifetime, maxTokenLifetime)
	}
	return faults.err()
}

// List returns the join tokens that can still be used, oldest first, without their
// secrets, cut to the page, and how many there are in all.
func (s *JoinTokens) List(ctx context.Context, page Page) ([]JoinToken, int, error) {
	var list []JoinToken
	var total int
	err := s.m.view(ctx, func(tx Tx) (err error) {
		list, total, err = listPage(tx.JoinTokens(), JoinTokenFilter{ExpiresAfter: s.m.now()}, page)
		return err
	})
	return list, total, err
}

// Revoke makes a join token useless, at once. ErrNotFound, also for one that was used.
func (s *JoinTokens) Revoke(ctx context.Context, id string) error {
	return s.m.update(ctx, func(c *change) error {
		t, err := c.JoinTokens().Get(id)
		if err != nil {
			return wrapName(err, "token", id)
		}
		return c.endToken(&t, "revoked")
	})
}

// endToken deletes a join token and tells why.
func (c *change) endToken(t *JoinToken, why string) error {
	c.lifecycle("token", t.ID, "deleted", why)
	return c.JoinTokens().Delete(t.ID)
}

// sweepTokens deletes join tokens that have expired.
func (c *change) sweepTokens() error {
	expired, err := c.JoinTokens().List(JoinTokenFilter{ExpiresBefore: c.now}, Page{Limit: 10_000})
	for i := range expired {
		if err == nil {
			err = c.endToken(&expired[i], "expired")
		}
	}
	return err
}

// Enroll makes the certificate of a client known that nobody knows yet, because it
// has a secret. With the secret of a join token it gets the groups of the token,
// which is used up; with the password of the setting core.trust_password it becomes a
// member of the group admin. It counts at once.
//
// A wrong secret costs as much time whatever is wrong with it. How often somebody may
// try is for the caller to limit: each try with a password costs tenths of a second
// of computing.
//
// Errors: ErrInvalid (certificate); ErrDenied, in the same words for every secret
// that is wrong, expired, used or revoked; ErrExists when the certificate is known
// already, or the token's name is taken: the token can be used again then.
func (s *Identities) Enroll(ctx context.Context, certificate []byte, secret string) (Identity, error) {
	m := s.m
	req := IdentityRequest{Method: AuthTLS, Certificate: certificate, Groups: []string{AdminGroup}}
	draft, err := req.identity(m.now())
	if err != nil {
		return Identity{}, err
	}
	if err := m.builtIn(ctx); err != nil {
		return Identity{}, err
	}
	var byToken bool
	err = m.view(ctx, func(tx Tx) error {
		t, err := usableToken(tx, secret, m.now())
		byToken = t != nil
		return err
	})
	if err != nil {
		return Identity{}, err
	}
	if !byToken {
		ok, err := m.Settings.trustPassword(ctx, secret)
		if err != nil || !ok {
			return Identity{}, deniedOr(err)
		}
	}
	var made Identity
	err = m.update(ctx, func(c *change) error {
		draft := draft
		if byToken {
			t, err := usableToken(c, secret, c.now)
			if err != nil || t == nil { // somebody was faster
				return deniedOr(err)
			}
			draft.Name, draft.Groups = t.Name, t.Groups
			if err := c.endToken(t, "used"); err != nil {
				return err
			}
		}
		made, err = c.newIdentity(m, draft)
		return err
	})
	if err != nil {
		return Identity{}, err
	}
	return s.Get(ctx, made.ID)
}

// usableToken returns the join token of a secret, nil if there is none that has not
// expired. Tokens are found by a hash: how long it takes tells nothing of secrets.
func usableToken(tx Tx, secret string, now time.Time) (*JoinToken, error) {
	found, err := tx.JoinTokens().List(JoinTokenFilter{Hash: secretHash(secret), ExpiresAfter: now}, Page{Limit: 1})
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return &found[0], nil
}

func secretHash(secret string) string {
	return fmt.Sprintf("%x", sha256.Sum256([]byte(secret)))
}

func deniedOr(err error) error {
	if err != nil {
		return err
	}
	return Errorf(ErrDenied, "the secret is not accepted")
}
