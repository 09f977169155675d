package client

import (
	"context"
	"encoding/base64"
	"encoding/pem"
	"net/http"
	"net/url"
	"slices"

	"github.com/openams/ams"
	"github.com/openams/ams/api"
)

// Identities is the service for those who may call; see ams.Identities.
type Identities struct{ c *Client }

func identity(i *api.Identity) ams.Identity {
	out := ams.Identity{
		ID: i.ID, Method: ams.AuthMethod(i.AuthenticationMethod), Name: i.Name, Email: i.Email, Fingerprint: i.Fingerprint,
		Groups: i.Groups, CreatedAt: fromUnix(i.CreatedAt), UpdatedAt: fromUnix(i.UpdatedAt),
	}
	if block, _ := pem.Decode([]byte(i.Certificate)); block != nil {
		out.Certificate = block.Bytes
	}
	return out
}

// base64Of returns a certificate, in DER or PEM, as it is sent: its DER form in base64.
func base64Of(certificate []byte) (string, error) {
	block, rest := pem.Decode(certificate)
	switch {
	case block == nil:
		return base64.StdEncoding.EncodeToString(certificate), nil
	case block.Type != "CERTIFICATE":
		return "", ams.Errorf(ams.ErrInvalid, "certificate: expected a certificate, found a %s block", block.Type)
	}
	if next, _ := pem.Decode(rest); next != nil {
		return "", ams.Errorf(ams.ErrInvalid, "certificate: there is something after it; give one certificate")
	}
	return base64.StdEncoding.EncodeToString(block.Bytes), nil
}

// Create makes an identity; see ams.Identities.
func (s *Identities) Create(ctx context.Context, req ams.IdentityRequest) (ams.Operation, error) {
	post := api.IdentityPost{AuthenticationMethod: string(req.Method), Name: req.Name, Email: req.Email, Groups: req.Groups}
	if len(req.Certificate) > 0 {
		var err error
		if post.Certificate, err = base64Of(req.Certificate); err != nil {
			return ams.Operation{}, err
		}
	}
	return s.c.begin(ctx, call{method: http.MethodPost, path: "/auth/identities", body: post})
}

// Get returns an identity by its id, fingerprint, "tls/" and name, or "oidc/" and email
// address; see ams.Identities.
func (s *Identities) Get(ctx context.Context, ref string) (ams.Identity, error) {
	var i api.Identity
	if _, err := s.c.get(ctx, path("auth", "identities", ref), nil, &i); err != nil {
		return ams.Identity{}, err
	}
	return identity(&i), nil
}

// List returns the identities that match the filter in order of their making, cut to the
// page, and how many match in all.
func (s *Identities) List(ctx context.Context, filter ams.IdentityFilter, page ams.Page) ([]ams.Identity, int, error) {
	v := listQuery(ams.Page{})
	setText(v, "id", filter.ID)
	setText(v, "auth_type", string(filter.Method))
	var shown []api.Identity
	if _, err := s.c.get(ctx, "/auth/identities", v, &shown); err != nil {
		return nil, 0, err
	}
	list := []ams.Identity{}
	for i := range shown {
		if filter.Group == "" || slices.Contains(shown[i].Groups, filter.Group) {
			list = append(list, identity(&shown[i]))
		}
	}
	return cut(list, page), len(list), nil
}

// SetGroups replaces the groups of an identity; see ams.Identities.
func (s *Identities) SetGroups(ctx context.Context, ref string, groups []string) (ams.Operation, error) {
	return s.c.begin(ctx, call{method: http.MethodPut, path: path("auth", "identities", ref), body: api.IdentityPut{Groups: groups}})
}

// Delete removes an identity; see ams.Identities.
func (s *Identities) Delete(ctx context.Context, ref string, force bool) (ams.Operation, error) {
	return s.c.begin(ctx, call{method: http.MethodDelete, path: path("auth", "identities", ref), body: api.Delete{Force: force}})
}

// Enroll makes this client's certificate a trusted one, with a join token or the trust
// password; see ams.Identities.
func (s *Identities) Enroll(ctx context.Context, certificate []byte, secret string) (ams.Identity, error) {
	encoded, err := base64Of(certificate)
	if err != nil {
		return ams.Identity{}, err
	}
	if err := s.c.finish(ctx, call{method: http.MethodPost, path: "/certificates", body: api.CertificatesPost{Certificate: encoded, TrustPassword: secret}}); err != nil {
		return ams.Identity{}, err
	}
	der, err := base64.StdEncoding.DecodeString(encoded)
	return ams.Identity{Method: ams.AuthTLS, Certificate: der, Fingerprint: Fingerprint(der)}, err
}

// Groups is the service for groups of identities; see ams.Groups.
type Groups struct{ c *Client }

func group(g *api.Group) ams.Group {
	out := ams.Group{Name: g.Name, Description: g.Description, Immutable: g.Immutable, CreatedAt: fromUnix(g.CreatedAt), UpdatedAt: fromUnix(g.UpdatedAt)}
	for _, p := range g.Permissions {
		out.Permissions = append(out.Permissions, ams.Permission{Entitlement: p.Entitlement, Resource: p.Resource})
	}
	return out
}

// Create makes a group; see ams.Groups.
func (s *Groups) Create(ctx context.Context, name, description string) (ams.Operation, error) {
	return s.c.begin(ctx, call{method: http.MethodPost, path: "/auth/groups", body: api.GroupsPost{Name: name, Description: description}})
}

// Get returns a group, or ErrNotFound.
func (s *Groups) Get(ctx context.Context, name string) (ams.Group, error) {
	var g api.Group
	if _, err := s.c.get(ctx, path("auth", "groups", name), nil, &g); err != nil {
		return ams.Group{}, err
	}
	return group(&g), nil
}

// List returns the groups that match the filter in order of name, cut to the page, and
// how many match in all.
func (s *Groups) List(ctx context.Context, filter ams.GroupFilter, page ams.Page) ([]ams.Group, int, error) {
	v := listQuery(page)
	setText(v, "name", filter.Name)
	var shown []api.Group
	total, err := s.c.get(ctx, "/auth/groups", v, &shown)
	list := []ams.Group{}
	for i := range shown {
		list = append(list, group(&shown[i]))
	}
	return list, total, err
}

// Set changes a group; see ams.Groups.
func (s *Groups) Set(ctx context.Context, name string, p ams.GroupPatch) (ams.Operation, error) {
	put := api.GroupPut{Description: p.Description}
	if p.Permissions != nil {
		list := []api.Permission{}
		for _, p := range *p.Permissions {
			list = append(list, api.Permission{Entitlement: p.Entitlement, Resource: p.Resource})
		}
		put.Permissions = &list
	}
	return s.c.begin(ctx, call{method: http.MethodPut, path: path("auth", "groups", name), body: put})
}

// Delete removes a group; see ams.Groups.
func (s *Groups) Delete(ctx context.Context, name string, force bool) (ams.Operation, error) {
	return s.c.begin(ctx, call{method: http.MethodDelete, path: path("auth", "groups", name), body: api.Delete{Force: force}})
}

// JoinTokens is the service for tokens with which clients make themselves known; see
// ams.JoinTokens.
type JoinTokens struct{ c *Client }

func joinToken(t *api.JoinToken) ams.JoinToken {
	return ams.JoinToken{ID: t.ID, Name: t.Name, Groups: t.Groups, Secret: t.Secret, CreatedAt: fromUnix(t.CreatedAt), ExpiresAt: fromUnix(t.ExpiresAt)}
}

// Issue makes a join token; see ams.JoinTokens.
func (s *JoinTokens) Issue(ctx context.Context, req ams.JoinTokenRequest) (ams.JoinToken, error) {
	post := api.JoinTokensPost{Name: req.Name, Groups: req.Groups}
	if req.Lifetime != 0 {
		post.Lifetime = req.Lifetime.String()
	}
	var t api.JoinToken
	_, err := s.c.do(ctx, call{method: http.MethodPost, path: "/auth/tokens", body: post}, &t)
	return joinToken(&t), err
}

// List returns the join tokens that can be used, and how many there are.
func (s *JoinTokens) List(ctx context.Context, page ams.Page) ([]ams.JoinToken, int, error) {
	var shown []api.JoinToken
	_, err := s.c.get(ctx, "/auth/tokens", url.Values{"recursion": {"1"}}, &shown)
	list := []ams.JoinToken{}
	for i := range shown {
		list = append(list, joinToken(&shown[i]))
	}
	return cut(list, page), len(list), err
}

// Revoke makes a join token useless.
func (s *JoinTokens) Revoke(ctx context.Context, id string) error {
	_, err := s.c.do(ctx, call{method: http.MethodDelete, path: path("auth", "tokens", id)}, nil)
	return err
}
