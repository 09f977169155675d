package ams

import (
	"context"
	"crypto/x509"
	"strings"
	"time"
)

// Trust is who may call, and with what permissions, at one time. It never changes;
// Changed tells when it is out of date.
type Trust struct {
	byFingerprint map[string]*Identity
	byEmail       map[string]*Identity // in lower case
	byID          map[string]*Identity
	groups        map[string]*Group
	authorities   []authority
	changed       chan struct{}
}

type authority struct {
	cert     *x509.Certificate
	identity *Identity
}

// Trust returns who may call now: a change of an identity or a group that was
// committed before the call is in it.
//
// Errors: the store's.
func (m *Manager) Trust(ctx context.Context) (*Trust, error) {
	m.trustMu.Lock()
	defer m.trustMu.Unlock()
	if m.trust != nil {
		return m.trust, nil
	}
	var identities []Identity
	var groups []Group
	err := m.view(ctx, func(tx Tx) (err error) {
		if identities, err = tx.Identities().List(AllRows{}, Page{}); err != nil {
			return err
		}
		groups, err = tx.Groups().List(AllRows{}, Page{})
		return err
	})
	if err != nil {
		return nil, err
	}
	t := &Trust{
		byFingerprint: map[string]*Identity{}, byEmail: map[string]*Identity{}, byID: map[string]*Identity{},
		groups: map[string]*Group{AdminGroup: adminGroup()}, changed: make(chan struct{}),
	}
	for k := range groups {
		t.groups[groups[k].Name] = &groups[k]
	}
	for k := range identities {
		i := &identities[k]
		t.byID[i.ID] = i
		if i.Method == AuthOIDC {
			t.byEmail[strings.ToLower(i.Email)] = i
			continue
		}
		t.byFingerprint[i.Fingerprint] = i
		if i.CA {
			cert, err := i.X509()
			if err != nil {
				return nil, err
			}
			t.authorities = append(t.authorities, authority{cert, i})
		}
	}
	m.trust = t
	return t, nil
}

// distrust has the next Trust read what is stored.
func (m *Manager) distrust() {
	m.trustMu.Lock()
	defer m.trustMu.Unlock()
	if m.trust != nil {
		close(m.trust.changed)
		m.trust = nil
	}
}

// Changed is closed when an identity or a group has changed.
func (t *Trust) Changed() <-chan struct{} { return t.changed }

// ByCertificate returns the identity of a client: chain[0] is its certificate, and the
// rest are what it sent with it. Its own entry decides if it has one; otherwise an
// authority that is trusted must have made its certificate, directly or through the
// others, for the use of clients. The identity is then that of the authority with the
// name and the fingerprint of the certificate.
//
// Errors: ErrDenied, also outside the certificate's time.
func (t *Trust) ByCertificate(chain []*x509.Certificate, now time.Time) (Identity, error) {
	if len(chain) == 0 {
		return Identity{}, Errorf(ErrDenied, "there is no certificate")
	}
	leaf := chain[0]
	mark := fingerprintOf(leaf.Raw)
	switch {
	case now.Before(leaf.NotBefore):
		return Identity{}, Errorf(ErrDenied, "certificate %s is not valid before %s", mark[:fingerprintStart], leaf.NotBefore.UTC().Format(time.RFC3339))
	case now.After(leaf.NotAfter):
		return Identity{}, Errorf(ErrDenied, "certificate %s expired on %s", mark[:fingerprintStart], leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	if i := t.byFingerprint[mark]; i != nil {
		return *i, nil
	}
	if len(t.authorities) == 0 {
		return Identity{}, Errorf(ErrDenied, "certificate %s is not trusted", mark[:fingerprintStart])
	}
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	for _, a := range t.authorities {
		roots := x509.NewCertPool()
		roots.AddCert(a.cert)
		_, err := leaf.Verify(x509.VerifyOptions{
			Roots: roots, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		})
		if err != nil {
			continue
		}
		i := *a.identity
		i.Fingerprint, i.Certificate, i.CA = mark, leaf.Raw, false
		if goodIdentityName(leaf.Subject.CommonName) {
			i.Name = leaf.Subject.CommonName
		}
		return i, nil
	}
	return Identity{}, Errorf(ErrDenied, "certificate %s is not trusted", mark[:fingerprintStart])
}

// ByEmail returns the identity of whoever has proved to own an email address. ErrDenied.
func (t *Trust) ByEmail(email string) (Identity, error) {
	if i := t.byEmail[strings.ToLower(email)]; i != nil {
		return *i, nil
	}
	return Identity{}, Errorf(ErrDenied, "identity oidc/%s not found", email)
}

// ByID returns an identity that was there before. ErrDenied.
func (t *Trust) ByID(id string) (Identity, error) {
	if i := t.byID[id]; i != nil {
		return *i, nil
	}
	return Identity{}, Errorf(ErrDenied, "identity %q not found", id)
}

// Group returns a group.
func (t *Trust) Group(name string) (Group, bool) {
	g, ok := t.groups[name]
	if !ok {
		return Group{}, false
	}
	return *g, true
}
