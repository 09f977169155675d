package ams

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/openams/ams/internal/xid"
)

// AuthMethod is how a client shows who it is.
type AuthMethod string

// The methods.
const (
	AuthTLS  AuthMethod = "tls"  // with a certificate that it has the key of
	AuthOIDC AuthMethod = "oidc" // with a token of an identity provider, which says its email
)

// Identity is somebody who is known: the owner of a certificate or of an email
// address. What they may do follows from their groups.
type Identity struct {
	ID     string // 20 characters; ids made later sort later
	Rev    int64
	Name   string // with AuthTLS unique among those; with AuthOIDC a text for people
	Method AuthMethod
	Email  string // of AuthOIDC: unique, and compared byte by byte
	// Certificate is that of AuthTLS, in DER, and Fingerprint its SHA-256 in
	// lower-case hexadecimal, which is unique.
	Certificate []byte
	Fingerprint string
	// CA is set for a certificate that may sign others: every client whose
	// certificate it has signed is then known too, with the same groups.
	CA        bool
	Groups    []string // names, in order
	CreatedAt time.Time
	UpdatedAt time.Time
}

// X509 returns the certificate. ErrUnsupported for an identity that has none,
// ErrCorrupt for one that cannot be read.
func (i Identity) X509() (*x509.Certificate, error) {
	if i.Method != AuthTLS {
		return nil, &Error{Code: ErrUnsupported, Kind: "identity", ID: i.label(), Err: errors.New("has no certificate")}
	}
	cert, err := x509.ParseCertificate(i.Certificate)
	if err != nil {
		return nil, &Error{Code: ErrCorrupt, Kind: "identity", ID: i.label(), Err: err}
	}
	return cert, nil
}

// label is what people call the identity: "tls/<name>" or "oidc/<email>".
func (i *Identity) label() string {
	if i.Method == AuthOIDC {
		return string(i.Method) + "/" + i.Email
	}
	return string(i.Method) + "/" + i.Name
}

// IdentityFilter chooses identities. Every field that is set must match.
type IdentityFilter struct {
	ID          string
	Method      AuthMethod
	Name        string
	Email       string
	Group       string // a group it is a member of
	Fingerprint string // all of it, or the beginning
}

// Identities is the service for those who are known. Where a method takes a
// reference, that is the id, "tls/<name>", "oidc/<email>", or the fingerprint of a
// certificate or the first 12 or more of its digits.
type Identities struct{ m *Manager }

// Create makes an identity. It counts at once: with the next call of
// Manager.Trust. The operation it returns has succeeded already.
//
// Errors: ErrInvalid with all problems at once; ErrExists when the certificate, the
// email or the name is taken; ErrNotFound (group).
func (s *Identities) Create(ctx context.Context, req IdentityRequest) (Operation, error) {
	draft, err := req.identity(s.m.now())
	if err != nil {
		return Operation{}, err
	}
	return s.m.atOnce(ctx, "create identity", func(c *change) (map[string][]string, error) {
		i, err := c.newIdentity(s.m, draft)
		return map[string][]string{"identity": {i.ID}}, err
	})
}

// newIdentity stores an identity that is valid in itself, under a new id.
func (c *change) newIdentity(m *Manager, draft Identity) (i Identity, err error) {
	i = draft
	if i.Groups, err = c.groupNames(i.Groups); err != nil {
		return i, err
	}
	switch i.Method {
	case AuthTLS:
		n, err := c.Identities().Count(IdentityFilter{Fingerprint: i.Fingerprint})
		if err != nil || n > 0 {
			return i, existsOr(err, "certificate", shortFingerprint(i.Fingerprint))
		}
		if err := c.nameIdentity(&i); err != nil {
			return i, err
		}
	case AuthOIDC:
		n, err := c.Identities().Count(IdentityFilter{Method: AuthOIDC, Email: i.Email})
		if err != nil || n > 0 {
			return i, existsOr(err, "identity", i.label())
		}
	}
	i.ID, i.CreatedAt = m.ids.New(c.now), c.now
	return i, c.putIdentity(i, "created")
}

// nameIdentity gives the owner of a certificate a name, if none was asked for: the
// certificate's common name, or else the beginning of its fingerprint.
func (c *change) nameIdentity(i *Identity) error {
	names := []string{i.Name}
	if i.Name == "" {
		cert, err := i.X509()
		if err != nil {
			return err
		}
		names = []string{certificateName(cert, i.Fingerprint), shortFingerprint(i.Fingerprint)}
	}
	for _, name := range names {
		i.Name = name
		n, err := c.Identities().Count(IdentityFilter{Method: AuthTLS, Name: name})
		if err != nil || n == 0 {
			return err
		}
	}
	return &Error{Code: ErrExists, Kind: "identity", ID: i.label()}
}

// List returns the identities that match the filter, oldest first, cut to the
// page, and how many match in all.
func (s *Identities) List(ctx context.Context, filter IdentityFilter, page Page) ([]Identity, int, error) {
	var list []Identity
	var total int
	err := s.m.view(ctx, func(tx Tx) (err error) {
		list, total, err = listPage(tx.Identities(), filter, page)
		return err
	})
	return list, total, err
}

// Get returns the identity that a reference means. ErrNotFound, or ErrInvalid for
// the beginning of several fingerprints.
func (s *Identities) Get(ctx context.Context, ref string) (Identity, error) {
	var i Identity
	err := s.m.view(ctx, func(tx Tx) (err error) {
		i, err = findIdentity(tx, ref)
		return err
	})
	return i, err
}

func findIdentity(tx Tx, ref string) (Identity, error) {
	i, err := tx.Identities().Get(ref)
	if CodeOf(err) != ErrNotFound {
		return i, err
	}
	var filter IdentityFilter
	method, rest, _ := strings.Cut(ref, "/")
	switch {
	case method == string(AuthTLS) && rest != "":
		filter = IdentityFilter{Method: AuthTLS, Name: rest}
	case method == string(AuthOIDC) && rest != "":
		filter = IdentityFilter{Method: AuthOIDC, Email: rest}
	case isFingerprint(ref):
		filter = IdentityFilter{Fingerprint: strings.ToLower(ref)}
	default:
		return Identity{}, notFound("identity", ref)
	}
	found, err := tx.Identities().List(filter, Page{Limit: 2})
	switch {
	case err != nil || len(found) == 0:
		return Identity{}, notFoundOr(err, "identity", ref)
	case len(found) > 1:
		return Identity{}, &Error{Code: ErrInvalid, Kind: "identity", ID: ref, Err: errors.New("matches several certificates; give more digits of the fingerprint")}
	}
	return found[0], nil
}

// SetGroups makes an identity a member of these groups and of no others; none at
// all is allowed. It counts at once. The operation it returns has succeeded already.
//
// Errors: ErrNotFound (identity, group); ErrInvalid as for Get.
func (s *Identities) SetGroups(ctx context.Context, ref string, groups []string) (Operation, error) {
	return s.m.atOnce(ctx, "set groups of identity", func(c *change) (map[string][]string, error) {
		i, err := findIdentity(c, ref)
		if err != nil {
			return nil, err
		}
		resources := map[string][]string{"identity": {i.ID}}
		names, err := c.groupNames(groups)
		if err != nil || slices.Equal(names, i.Groups) {
			return resources, err
		}
		i.Groups = names
		return resources, c.putIdentity(i, "updated")
	})
}

// Delete forgets an identity. It counts at once; a client that a CA vouches for is
// still known by that. The operation it returns has succeeded already.
//
// Errors: ErrNotFound; ErrInvalid as for Get; ErrInUse when it is a member of a
// group, unless forced.
func (s *Identities) Delete(ctx context.Context, ref string, force bool) (Operation, error) {
	return s.m.atOnce(ctx, "delete identity", func(c *change) (map[string][]string, error) {
		i, err := findIdentity(c, ref)
		if err != nil {
			return nil, err
		}
		if len(i.Groups) > 0 && !force {
			return nil, &Error{Code: ErrInUse, Kind: "identity", ID: ref, Err: fmt.Errorf("is a member of %s; force deletes it all the same", strings.Join(i.Groups, ", "))}
		}
		c.trusted = true
		c.lifecycle("identity", i.ID, "deleted", i.label())
		return map[string][]string{"identity": {i.ID}}, c.Identities().Delete(i.ID)
	})
}

// putIdentity stores an identity and tells what became of it.
func (c *change) putIdentity(i Identity, action string) error {
	i.UpdatedAt = c.now
	c.trusted = true
	c.lifecycle("identity", i.ID, action, i.label())
	return c.Identities().Put(i)
}

// atOnce commits a change of who is known or may do what, and the operation of it,
// which has succeeded then. fn returns what the operation is about.
func (m *Manager) atOnce(ctx context.Context, description string, fn func(*change) (map[string][]string, error)) (Operation, error) {
	if err := m.builtIn(ctx); err != nil {
		return Operation{}, err
	}
	opID := xid.UUID(m.now())
	err := m.update(ctx, func(c *change) error {
		resources, err := fn(c)
		if err != nil {
			return err
		}
		return c.doneOperation(opID, description, resources)
	})
	if err != nil {
		return Operation{}, err
	}
	return m.Operations.Get(ctx, opID)
}

func existsOr(err error, kind, id string) error {
	if err != nil {
		return err
	}
	return &Error{Code: ErrExists, Kind: kind, ID: id}
}
