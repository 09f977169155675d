package ams

import (
	"context"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/openams/ams/internal/xid"
)

// AuthMethod is how an identity proves who it is.
type AuthMethod string

// The methods.
const (
	AuthTLS  AuthMethod = "tls"  // with the key of a certificate
	AuthOIDC AuthMethod = "oidc" // with a token for its email address
)

// Identity is somebody who may call over the network.
type Identity struct {
	ID          string
	Rev         int64
	Method      AuthMethod
	Name        string
	Email       string // of AuthOIDC
	Certificate []byte // of AuthTLS: DER
	Fingerprint string // SHA-256 of it, lower-case hexadecimal
	CA          bool   // it is an authority: who has a certificate of its making is trusted too
	Groups      []string
	CreatedAt   time.Time
	UpdatedAt   time.Time
}

// X509 returns the certificate of the identity; nil if it has none.
func (i *Identity) X509() (*x509.Certificate, error) {
	if len(i.Certificate) == 0 {
		return nil, nil //nolint:nilnil // it has none
	}
	cert, err := x509.ParseCertificate(i.Certificate)
	if err != nil {
		return nil, Errorf(ErrCorrupt, "the certificate of identity %q: %w", i.ID, err)
	}
	return cert, nil
}

// IdentityRequest is what an identity is made of.
type IdentityRequest struct {
	Method AuthMethod
	// Name is 1 to 255 letters, digits or any of - _ . : @. Empty means what the
	// certificate calls itself, if that is a name, or the start of its fingerprint;
	// or the email address.
	Name string
	// Email is an address, of AuthOIDC alone.
	Email string
	// Certificate is in DER or PEM, 64 KiB at most, of AuthTLS alone.
	Certificate []byte
	// Groups are names of groups that exist.
	Groups []string
}

// IdentityFilter chooses identities. Every field that is set must match.
type IdentityFilter struct {
	ID     string
	Method AuthMethod
	Group  string // it is in this group
}

func (f *IdentityFilter) match(i *Identity) bool {
	return (f.ID == "" || f.ID == i.ID) && (f.Method == "" || f.Method == i.Method) &&
		(f.Group == "" || slices.Contains(i.Groups, f.Group))
}

// Identities is the service for those who may call over the network. What it changes
// holds for the next request; see Manager.Trust.
type Identities struct{ m *Manager }

// Create makes an identity. A certificate that is not valid yet is taken, and is not
// trusted before it is. The operation has succeeded already.
//
// Errors: ErrInvalid, naming the field; ErrExists (certificate, email address);
// ErrNotFound (group).
func (s *Identities) Create(ctx context.Context, req IdentityRequest) (Operation, error) {
	opID := xid.UUID(s.m.now())
	err := s.m.update(ctx, func(c *change) error {
		i, err := c.newIdentity(s.m, &req)
		if err != nil {
			return err
		}
		return c.doneOperation(opID, "create identity", map[string][]string{"identity": {i.ID}})
	})
	if err != nil {
		return Operation{}, err
	}
	return s.m.Operations.Get(ctx, opID)
}

// newIdentity makes the identity that is asked for.
func (c *change) newIdentity(m *Manager, req *IdentityRequest) (Identity, error) {
	i, err := req.identity(c.now)
	if err != nil {
		return i, err
	}
	if i.Groups, err = c.groups(req.Groups); err != nil {
		return i, err
	}
	all, err := c.Identities().List(AllRows{}, Page{})
	if err != nil {
		return i, err
	}
	for k := range all {
		switch {
		case i.Fingerprint != "" && all[k].Fingerprint == i.Fingerprint:
			return i, &Error{Code: ErrExists, Kind: "certificate", ID: i.Fingerprint[:12]}
		case i.Email != "" && strings.EqualFold(all[k].Email, i.Email):
			return i, &Error{Code: ErrExists, Kind: "identity", ID: "oidc/" + i.Email}
		}
	}
	i.ID, i.CreatedAt, i.UpdatedAt = m.ids.New(c.now), c.now, c.now
	c.lifecycle("identity", i.ID, "created", "")
	c.trust = true
	return i, c.Identities().Put(i)
}

// Get returns an identity by its id, "tls/" and its name, "oidc/" and its email
// address, its fingerprint, or the start of that: 12 digits at least.
//
// Errors: ErrNotFound; ErrInvalid where several are meant.
func (s *Identities) Get(ctx context.Context, ref string) (Identity, error) {
	var i Identity
	err := s.m.view(ctx, func(tx Tx) (err error) {
		i, err = findIdentity(tx, ref)
		return err
	})
	return i, err
}

func findIdentity(tx Tx, ref string) (Identity, error) {
	if i, err := tx.Identities().Get(ref); CodeOf(err) != ErrNotFound {
		return i, err
	}
	all, err := tx.Identities().List(AllRows{}, Page{})
	if err != nil {
		return Identity{}, err
	}
	var found []Identity
	for _, i := range all {
		prefix := len(ref) >= 12 && i.Fingerprint != "" && strings.HasPrefix(i.Fingerprint, strings.ToLower(ref))
		if prefix || i.Method == AuthTLS && ref == "tls/"+i.Name || i.Method == AuthOIDC && strings.EqualFold(ref, "oidc/"+i.Email) {
			found = append(found, i)
		}
	}
	switch len(found) {
	case 0:
		return Identity{}, &Error{Code: ErrNotFound, Kind: "identity", ID: ref}
	case 1:
		return found[0], nil
	}
	return Identity{}, Errorf(ErrInvalid, "%s matches %d identities; give the id of one", quote(ref), len(found))
}

// List returns the identities that match the filter in order of their making, cut to
// the page, and how many match in all.
func (s *Identities) List(ctx context.Context, filter IdentityFilter, page Page) ([]Identity, int, error) {
	var list []Identity
	err := s.m.view(ctx, func(tx Tx) error {
		all, err := tx.Identities().List(AllRows{}, Page{})
		list = slices.DeleteFunc(all, func(i Identity) bool { return !filter.match(&i) })
		return err
	})
	return cutPage(list, page), len(list), err
}

// SetGroups replaces the groups of an identity. The operation has succeeded already.
//
// Errors: those of Get; ErrNotFound (group).
func (s *Identities) SetGroups(ctx context.Context, ref string, groups []string) (Operation, error) {
	opID := xid.UUID(s.m.now())
	err := s.m.update(ctx, func(c *change) error {
		i, err := findIdentity(c, ref)
		if err != nil {
			return err
		}
		if i.Groups, err = c.groups(groups); err != nil {
			return err
		}
		if err := c.putIdentity(i); err != nil {
			return err
		}
		return c.doneOperation(opID, "update identity", map[string][]string{"identity": {i.ID}})
	})
	if err != nil {
		return Operation{}, err
	}
	return s.m.Operations.Get(ctx, opID)
}

func (c *change) putIdentity(i Identity) error {
	i.UpdatedAt, c.trust = c.now, true
	c.lifecycle("identity", i.ID, "updated", "")
	return c.Identities().Put(i)
}

// Delete removes an identity: it is nobody to the next request. One that is in groups
// is removed only by force. The operation has succeeded already.
//
// Errors: those of Get; ErrInUse.
func (s *Identities) Delete(ctx context.Context, ref string, force bool) (Operation, error) {
	opID := xid.UUID(s.m.now())
	err := s.m.update(ctx, func(c *change) error {
		i, err := findIdentity(c, ref)
		if err != nil {
			return err
		}
		if len(i.Groups) > 0 && !force {
			return &Error{Code: ErrInUse, Kind: "identity", ID: ref, Err: fmt.Errorf("is in %s; force removes it from there too", strings.Join(i.Groups, ", "))}
		}
		c.trust = true
		c.lifecycle("identity", i.ID, "deleted", "")
		if err := c.Identities().Delete(i.ID); err != nil {
			return err
		}
		return c.doneOperation(opID, "delete identity", map[string][]string{"identity": {i.ID}})
	})
	if err != nil {
		return Operation{}, err
	}
	return s.m.Operations.Get(ctx, opID)
}

// cutPage returns a page of a list.
func cutPage[Row any](all []Row, page Page) []Row {
	all = all[min(max(0, page.Offset), len(all)):]
	if page.Limit > 0 && len(all) > page.Limit {
		all = all[:page.Limit]
	}
	return all
}
