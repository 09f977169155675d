package ams

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Trust is who is known and what the groups are, at one instant. It never changes and
// is safe for concurrent use; what it returns must not be changed.
type Trust struct {
	changes        int64 // the count of changes it was read at, or after
	byCertificate  map[[sha256.Size]byte]*Identity
	byEmail        map[string]*Identity
	groups         map[string]Group
	authorities    *x509.CertPool
	anyAuthorities bool
	outdate        sync.Once
	outdated       chan struct{}
}

// Changed returns what is closed when an identity or a group has changed since: then
// Manager.Trust returns another Trust.
func (t *Trust) Changed() <-chan struct{} { return t.outdated }

func (t *Trust) end() { t.outdate.Do(func() { close(t.outdated) }) }

// Trust returns who is known now. It costs next to nothing while that stays the same:
// call it for each request. A change that this Manager has committed is in the Trust
// of every call that begins after the method which made it has returned. An error is
// that of the store.
func (m *Manager) Trust(ctx context.Context) (*Trust, error) {
	cache := &m.trust
	if t := cache.fresh(); t != nil {
		return t, nil
	}
	cache.reading.Lock()
	defer cache.reading.Unlock()
	if t := cache.fresh(); t != nil {
		return t, nil
	}
	changes := cache.changes.Load() // before it is read
	var identities []Identity
	var groups []Group
	err := m.view(ctx, func(tx Tx) (err error) {
		if identities, err = tx.Identities().List(IdentityFilter{}, Page{}); err == nil {
			groups, err = tx.Groups().List(GroupFilter{}, Page{})
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	t := newTrust(identities, groups)
	t.changes = changes
	cache.newest.Store(t)
	if cache.changes.Load() != changes {
		t.end() // it was out of date before whoever changed it could know of it
	}
	return t, nil
}

// trustCache keeps the newest Trust.
type trustCache struct {
	changes atomic.Int64 // how many there were, or may have been
	newest  atomic.Pointer[Trust]
	reading sync.Mutex
	builtIn atomic.Bool // the row of the group admin is there
}

// fresh returns the newest Trust if nothing has changed since.
func (c *trustCache) fresh() *Trust {
	if t := c.newest.Load(); t != nil && t.changes == c.changes.Load() {
		return t
	}
	return nil
}

// changed has the next call of Manager.Trust read everything anew, if a transaction
// that was committed, or may have been, concerns it.
func (c *trustCache) changed(by *change) {
	if by.trusted {
		c.changes.Add(1)
		if t := c.newest.Load(); t != nil {
			t.end()
		}
	}
}

func newTrust(identities []Identity, groups []Group) *Trust {
	t := &Trust{
		byCertificate: make(map[[sha256.Size]byte]*Identity, len(identities)),
		byEmail:       map[string]*Identity{},
		groups:        map[string]Group{AdminGroup: adminGroup()}, // its row is made by the first who needs one
		authorities:   x509.NewCertPool(),
		outdated:      make(chan struct{}),
	}
	for _, g := range groups {
		t.groups[g.Name] = g
	}
	for i := range identities {
		one := &identities[i]
		switch one.Method {
		case AuthOIDC:
			t.byEmail[one.Email] = one
		case AuthTLS:
			t.byCertificate[sha256.Sum256(one.Certificate)] = one
			if cert, err := x509.ParseCertificate(one.Certificate); one.CA && err == nil && isCA(cert) {
				t.authorities.AddCert(cert)
				t.anyAuthorities = true
			}
		}
	}
	return t
}

// ByCertificate returns who has shown a chain of certificates at an instant: the
// client's own first, and then, in any order, those that lead to a CA. The caller must
// know that the client has the key of the first, as it does after a TLS handshake.
//
// An identity with that very certificate decides. Else the nearest CA that is known and
// vouches for the certificate does, if its signatures, constraints and uses allow it:
// then the identity has no id, the name and fingerprint of the certificate, and the
// groups of the CA.
//
// Errors: ErrDenied when nobody is known by it, or it has expired or is not valid yet.
func (t *Trust) ByCertificate(chain []*x509.Certificate, now time.Time) (Identity, error) {
	if len(chain) == 0 {
		return Identity{}, &Error{Code: ErrDenied, Kind: "certificate", Err: errors.New("was not shown")}
	}
	sum := sha256.Sum256(chain[0].Raw)
	one := t.byCertificate[sum]
	var ca *Identity
	var why error
	switch {
	case now.After(chain[0].NotAfter):
		why = fmt.Errorf("expired on %s", chain[0].NotAfter.UTC().Format(time.DateOnly))
	case now.Before(chain[0].NotBefore):
		why = fmt.Errorf("is not valid before %s", chain[0].NotBefore.UTC().Format(time.DateOnly))
	case one != nil:
		return *one, nil
	default:
		ca, why = t.authority(chain, now)
	}
	digits := hex.EncodeToString(sum[:])
	if why != nil {
		return Identity{}, &Error{Code: ErrDenied, Kind: "certificate", ID: shortFingerprint(digits), Err: why}
	}
	return Identity{
		Name: certificateName(chain[0], digits), Method: AuthTLS,
		Certificate: chain[0].Raw, Fingerprint: digits, Groups: ca.Groups,
	}, nil
}

// authority returns the CA that vouches for a certificate.
func (t *Trust) authority(chain []*x509.Certificate, now time.Time) (*Identity, error) {
	if !t.anyAuthorities {
		return nil, errors.New("is not trusted")
	}
	between := x509.NewCertPool()
	for _, cert := range chain[1:min(len(chain), 1+maxIntermediate)] {
		between.AddCert(cert)
	}
	verified, err := chain[0].Verify(x509.VerifyOptions{
		Roots: t.authorities, Intermediates: between, CurrentTime: now,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return nil, fmt.Errorf("is not trusted: %w", err)
	}
	var best *Identity
	var length int
	for _, way := range verified {
		ca := t.byCertificate[sha256.Sum256(way[len(way)-1].Raw)]
		if weak(way) || ca == nil {
			continue
		}
		if best == nil || cmp.Or(cmp.Compare(len(way), length), cmp.Compare(ca.ID, best.ID)) < 0 {
			best, length = ca, len(way)
		}
	}
	if best == nil {
		return nil, errors.New("is not trusted: a key on the way to the CA is too weak")
	}
	return best, nil
}

// weak reports whether a key of the certificates is of no use.
func weak(certs []*x509.Certificate) bool {
	for _, cert := range certs {
		if keyFault(cert) != "" {
			return true
		}
	}
	return false
}

// ByEmail returns the identity of an email address, as the identity provider wrote it.
// ErrDenied when nobody is known by it.
func (t *Trust) ByEmail(email string) (Identity, error) {
	if one := t.byEmail[email]; one != nil && email != "" {
		return *one, nil
	}
	return Identity{}, &Error{Code: ErrDenied, Kind: "identity", ID: string(AuthOIDC) + "/" + email, Err: errors.New("is not known")}
}

// Group returns a group; false if there is none of that name.
func (t *Trust) Group(name string) (Group, bool) {
	g, ok := t.groups[name]
	return g, ok
}
