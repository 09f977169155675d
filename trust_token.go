package ams

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"slices"
	"time"
)

// JoinToken lets one client make itself known, once.
type JoinToken struct {
	ID        string
	Rev       int64
	Name      string   // of the identity that it makes; empty is as for IdentityRequest
	Groups    []string // of the identity that it makes
	Secret    string   `json:"-"` // only in what Issue returns
	Hash      string   // SHA-256 of the secret, in hexadecimal
	CreatedAt time.Time
	ExpiresAt time.Time
}

// JoinTokenRequest says what a join token is good for.
type JoinTokenRequest struct {
	Name     string
	Groups   []string
	Lifetime time.Duration // default 1 hour, 30 days at most
}

// JoinTokenFilter chooses join tokens; there is nothing to choose by.
type JoinTokenFilter struct{}

const (
	defaultTokenLife = time.Hour
	maxTokenLife     = 30 * 24 * time.Hour
	maxTokens        = 10_000
)

// JoinTokens is the service for tokens with which clients make themselves known.
type JoinTokens struct{ m *Manager }

// Issue makes a join token. Its secret is in the result, and nowhere else: what is
// kept is a hash.
//
// Errors: ErrInvalid; ErrNotFound (group); ErrState where there are 10,000 already.
func (s *JoinTokens) Issue(ctx context.Context, req JoinTokenRequest) (JoinToken, error) {
	life := cmp.Or(req.Lifetime, defaultTokenLife)
	switch {
	case life < 0 || life > maxTokenLife:
		return JoinToken{}, Errorf(ErrInvalid, "lifetime is %s; it must be more than 0 and at most %s", life, maxTokenLife)
	case req.Name != "" && !goodIdentityName(req.Name):
		return JoinToken{}, Errorf(ErrInvalid, "name %s must be 1 to 255 letters, digits or any of - _ . : @ +", quote(req.Name))
	}
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails
	t := JoinToken{Name: req.Name, Secret: hex.EncodeToString(b[:])}
	t.Hash = hashSecret(t.Secret)
	err := s.m.update(ctx, func(c *change) (err error) {
		all, err := c.JoinTokens().List(AllRows{}, Page{})
		if err != nil {
			return err
		}
		left := 0
		for _, old := range all {
			if c.now.Before(old.ExpiresAt) {
				left++
			} else if err := c.JoinTokens().Delete(old.ID); err != nil {
				return err
			}
		}
		if left >= maxTokens {
			return Errorf(ErrState, "there are %d join tokens already; revoke some", left)
		}
		if t.Groups, err = c.groups(req.Groups); err != nil {
			return err
		}
		t.ID, t.CreatedAt, t.ExpiresAt = s.m.ids.New(c.now), c.now, c.now.Add(life)
		return c.JoinTokens().Put(t)
	})
	if err != nil {
		return JoinToken{}, err
	}
	t.Rev = 1
	return t, nil
}

func hashSecret(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

// List returns the join tokens that can be used, in order of their making, and how
// many there are.
func (s *JoinTokens) List(ctx context.Context, _ JoinTokenFilter, page Page) ([]JoinToken, int, error) {
	var list []JoinToken
	err := s.m.view(ctx, func(tx Tx) (err error) {
		list, err = tx.JoinTokens().List(AllRows{}, Page{})
		return err
	})
	now := s.m.now()
	list = slices.DeleteFunc(list, func(t JoinToken) bool { return !now.Before(t.ExpiresAt) })
	return cutPage(list, page), len(list), err
}

// Revoke makes a join token useless. ErrNotFound.
func (s *JoinTokens) Revoke(ctx context.Context, id string) error {
	err := s.m.update(ctx, func(c *change) error { return c.JoinTokens().Delete(id) })
	return wrapName(err, "join token", id)
}

// Enroll makes an identity for a certificate whose owner knows a secret: a join token,
// which is used up by it, or the trust password, which makes an administrator. Whoever
// serves this to the network must bound how often it is tried.
//
// Errors: ErrDenied for any secret that is wrong, used or too old, which are not told
// apart; ErrInvalid; ErrExists for a certificate that is known, and the token is not
// used up then.
func (s *Identities) Enroll(ctx context.Context, certificate []byte, secret string) (Identity, error) {
	denied := Errorf(ErrDenied, "the join token or trust password is wrong")
	if secret == "" || len(secret) > maxSettingLength {
		return Identity{}, denied
	}
	req := IdentityRequest{Method: AuthTLS, Certificate: certificate}
	if _, err := req.identity(s.m.now()); err != nil {
		return Identity{}, err
	}
	// Both are tried whatever the first says, so that the time tells nothing.
	admin, err := s.m.Settings.trustPassword(ctx, secret)
	if err != nil {
		return Identity{}, err
	}
	hash := []byte(hashSecret(secret))
	var made Identity
	err = s.m.update(ctx, func(c *change) error {
		req := req
		tokens, err := c.JoinTokens().List(AllRows{}, Page{})
		if err != nil {
			return err
		}
		used := ""
		for _, t := range tokens {
			if subtle.ConstantTimeCompare([]byte(t.Hash), hash) == 1 && c.now.Before(t.ExpiresAt) {
				used, req.Name, req.Groups = t.ID, t.Name, t.Groups
			}
		}
		switch {
		case admin:
			used, req.Name, req.Groups = "", "", []string{AdminGroup}
		case used == "":
			return denied
		}
		// A group may have gone since.
		req.Groups = slices.DeleteFunc(slices.Clone(req.Groups), func(name string) bool {
			_, err := findGroup(c, name)
			return CodeOf(err) == ErrNotFound
		})
		if made, err = c.newIdentity(s.m, &req); err != nil || used == "" {
			return err
		}
		return c.JoinTokens().Delete(used)
	})
	if err != nil {
		return Identity{}, err
	}
	made.Rev = 1
	return made, nil
}
