package rest

import (
	"encoding/base64"
	"encoding/pem"
	"net/http"
	"time"

	"github.com/openams/ams"
	"github.com/openams/ams/api"
)

func authRoutes() []Route {
	const (
		identities = "/1.0/auth/identities"
		groups     = "/1.0/auth/groups"
		tokens     = "/1.0/auth/tokens"
	)
	return []Route{
		{
			Method: http.MethodGet, Path: "/1.0/auth/oidc", Name: "auth_oidc", Kind: Sync, Access: everybody(),
			Doc: "Shows how to log in with OpenID Connect.", Query: []Parameter{{"grant_type", "string", "device_code"}}, Result: api.OIDC{}, serve: showOIDC,
		},
		{
			Method: http.MethodGet, Path: "/1.0/auth/permissions", Name: "auth_permissions", Kind: Sync, Access: authenticated(),
			Doc: "Lists the permissions of the caller.", Query: recursion(), Result: []api.Permission{}, serve: listPermissions,
		},
		{
			Method: http.MethodGet, Path: identities, Name: "auth_identities", Kind: Sync, Access: authenticated(), Doc: "Lists identities.",
			Query: pageQuery(Parameter{"id", "string", ""}, Parameter{"auth_type", "string", "tls or oidc"}), Result: []string{}, List: api.Identity{}, serve: listIdentities,
		},
		{
			Method: http.MethodPost, Path: identities, Name: "auth_identities", Kind: Async, Access: onServer("can_register_identities"),
			Doc: "Makes an identity.", Body: api.IdentityPost{}, serve: createIdentity,
		},
		{
			Method: http.MethodGet, Path: identities + "/{id}", Name: "auth_identity", Kind: Sync, Access: on("identity", "can_view"),
			Doc: "Shows an identity.", Result: api.Identity{}, serve: showIdentity,
		},
		{
			Method: http.MethodPut, Path: identities + "/{id}", Name: "auth_identity", Kind: Async, Access: on("identity", "can_edit"),
			Doc: "Replaces the groups of an identity.", Body: api.IdentityPut{}, serve: putIdentity,
		},
		{
			Method: http.MethodDelete, Path: identities + "/{id}", Name: "auth_identity", Kind: Async, Access: on("identity", "can_delete"),
			Doc: "Deletes an identity.", Body: api.Delete{}, serve: deleteIdentity,
		},
		{
			Method: http.MethodGet, Path: groups, Name: "auth_groups", Kind: Sync, Access: authenticated(), Doc: "Lists groups.",
			Query: pageQuery(Parameter{"name", "string", "part of the name"}), Result: []string{}, List: api.Group{}, serve: listGroups,
		},
		{
			Method: http.MethodPost, Path: groups, Name: "auth_groups", Kind: Async, Access: onServer("can_create_groups"),
			Doc: "Makes a group.", Body: api.GroupsPost{}, serve: createGroup,
		},
		{
			Method: http.MethodGet, Path: groups + "/{id}", Name: "auth_group", Kind: Sync, Access: on("group", "can_view"),
			Doc: "Shows a group.", Result: api.Group{}, serve: showGroup,
		},
		{
			Method: http.MethodPut, Path: groups + "/{id}", Name: "auth_group", Kind: Async, Access: on("group", "can_edit"),
			Doc: "Changes the description of a group, or replaces its permissions.", Body: api.GroupPut{}, serve: putGroup,
		},
		{
			Method: http.MethodDelete, Path: groups + "/{id}", Name: "auth_group", Kind: Async, Access: on("group", "can_delete"),
			Doc: "Deletes a group.", Body: api.Delete{}, serve: deleteGroup,
		},
		{
			Method: http.MethodGet, Path: tokens, Name: "auth_tokens", Kind: Sync, Access: onServer("can_register_identities"),
			Doc: "Lists the join tokens that were not used.", Query: recursion(), Result: []api.JoinToken{}, serve: listTokens,
		},
		{
			Method: http.MethodPost, Path: tokens, Name: "auth_tokens", Kind: Sync, Access: onServer("can_register_identities"),
			Doc: "Issues a join token: with it one client makes itself known, once.", Body: api.JoinTokensPost{}, Result: api.JoinToken{}, serve: issueToken,
		},
		{
			Method: http.MethodDelete, Path: tokens + "/{id}", Name: "auth_token", Kind: Sync, Access: onServer("can_register_identities"),
			Doc: "Revokes a join token.", Result: struct{}{}, serve: revokeToken,
		},
	}
}

// derOf decodes the certificate of a request: base64 of its DER form, or PEM.
func derOf(text string) ([]byte, error) {
	if block, rest := pem.Decode([]byte(text)); block != nil {
		if block.Type != "CERTIFICATE" {
			return nil, ams.Errorf(ams.ErrInvalid, "certificate: expected a certificate, found a %s block", block.Type)
		}
		if next, _ := pem.Decode(rest); next != nil {
			return nil, ams.Errorf(ams.ErrInvalid, "certificate: there is more than one; give one")
		}
		return block.Bytes, nil
	}
	der, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, ams.Errorf(ams.ErrInvalid, "certificate must be the base64 of its DER form")
	}
	return der, nil
}

func pemOf(der []byte) string {
	if len(der) == 0 {
		return ""
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func (q *request) identity(i *ams.Identity) (api.Identity, error) {
	out := api.Identity{
		ID: i.ID, Name: i.Name, Groups: append([]string{}, i.Groups...), AuthenticationMethod: string(i.Method),
		CreatedAt: unix(i.CreatedAt), UpdatedAt: unix(i.UpdatedAt), Fingerprint: i.Fingerprint, Email: i.Email, Certificate: pemOf(i.Certificate),
	}
	entitled, err := q.flag("entitlements")
	if entitled {
		out.Entitlements = q.caller.entitlements("identity", i.ID)
	}
	return out, err
}

func listPermissions(q *request) (response, error) {
	list := []api.Permission{}
	if q.caller.admin {
		list = append(list, api.Permission{Entitlement: "admin", Resource: "server"})
	} else {
		for _, p := range sortedPermissions(q.caller.granted) {
			list = append(list, api.Permission{Entitlement: p.Entitlement, Resource: p.Resource})
		}
	}
	return result{value: list, total: len(list)}, nil
}

func listIdentities(q *request) (response, error) {
	v := q.URL.Query()
	kind := ams.AuthMethod(v.Get("auth_type"))
	switch kind {
	case "", ams.AuthTLS, ams.AuthOIDC:
	default:
		return nil, ams.Errorf(ams.ErrInvalid, "auth_type is %.40q; it must be tls or oidc", kind)
	}
	list, total, err := paged(q, "identity", func(p ams.Page) ([]ams.Identity, int, error) {
		return q.h.m.Identities.List(q.Context(), ams.IdentityFilter{ID: v.Get("id"), Method: kind}, p)
	}, func(i *ams.Identity) string { return i.ID })
	if err != nil {
		return nil, err
	}
	return shown(q, list, total, func(i *ams.Identity) string { return pathOf("identity", i.ID) }, q.identity)
}

func createIdentity(q *request) (response, error) {
	var post api.IdentityPost
	if err := q.body(&post); err != nil {
		return nil, err
	}
	req := ams.IdentityRequest{Method: ams.AuthMethod(post.AuthenticationMethod), Name: post.Name, Email: post.Email, Groups: post.Groups}
	if post.Certificate != "" {
		var err error
		if req.Certificate, err = derOf(post.Certificate); err != nil {
			return nil, err
		}
	}
	if err := q.mayGrant(post.Groups); err != nil {
		return nil, err
	}
	return q.op(q.h.m.Identities.Create(q.Context(), req))
}

// mayGrant refuses to put anybody into a group that can do what the caller cannot.
func (q *request) mayGrant(groups []string) error {
	if q.caller.admin || len(groups) == 0 {
		return nil
	}
	trust, err := q.h.m.Trust(q.Context())
	if err != nil {
		return err
	}
	for _, name := range groups {
		group, ok := trust.Group(name)
		if !ok {
			continue // it is refused further on
		}
		for _, p := range group.Permissions {
			if !q.caller.granted[p] {
				return errDenied()
			}
		}
		if group.Immutable {
			return errDenied()
		}
	}
	return nil
}

func showIdentity(q *request) (response, error) {
	i, err := q.h.m.Identities.Get(q.Context(), q.PathValue("id"))
	if err != nil {
		return nil, err
	}
	out, err := q.identity(&i)
	return result{value: out, etag: etag(i.Rev)}, err
}

func putIdentity(q *request) (response, error) {
	var put api.IdentityPut
	if err := q.body(&put); err != nil {
		return nil, err
	}
	if err := q.mayGrant(put.Groups); err != nil {
		return nil, err
	}
	return q.op(q.h.m.Identities.SetGroups(q.Context(), q.PathValue("id"), put.Groups))
}

func deleteIdentity(q *request) (response, error) {
	var body api.Delete
	if err := q.maybe(&body); err != nil {
		return nil, err
	}
	return q.op(q.h.m.Identities.Delete(q.Context(), q.PathValue("id"), body.Force))
}

func (q *request) groupOf(g *ams.Group) (api.Group, error) {
	out := api.Group{
		Name: g.Name, Description: g.Description, CreatedAt: unix(g.CreatedAt), UpdatedAt: unix(g.UpdatedAt),
		Identities: []string{}, Permissions: []api.Permission{}, Immutable: g.Immutable,
	}
	for _, p := range g.Permissions {
		out.Permissions = append(out.Permissions, api.Permission{Entitlement: p.Entitlement, Resource: p.Resource})
	}
	members, _, err := q.h.m.Identities.List(q.Context(), ams.IdentityFilter{Group: g.Name}, ams.Page{})
	if err != nil {
		return out, err
	}
	for _, i := range members {
		out.Identities = append(out.Identities, i.ID)
	}
	entitled, err := q.flag("entitlements")
	if entitled {
		out.Entitlements = q.caller.entitlements("group", g.Name)
	}
	return out, err
}

func listGroups(q *request) (response, error) {
	list, total, err := paged(q, "group", func(p ams.Page) ([]ams.Group, int, error) {
		return q.h.m.Groups.List(q.Context(), ams.GroupFilter{Name: q.URL.Query().Get("name")}, p)
	}, func(g *ams.Group) string { return g.Name })
	if err != nil {
		return nil, err
	}
	return shown(q, list, total, func(g *ams.Group) string { return pathOf("group", g.Name) }, q.groupOf)
}

func createGroup(q *request) (response, error) {
	var post api.GroupsPost
	if err := q.body(&post); err != nil {
		return nil, err
	}
	return q.op(q.h.m.Groups.Create(q.Context(), post.Name, post.Description))
}

func showGroup(q *request) (response, error) {
	g, err := q.h.m.Groups.Get(q.Context(), q.PathValue("id"))
	if err != nil {
		return nil, err
	}
	out, err := q.groupOf(&g)
	return result{value: out, etag: etag(g.Rev)}, err
}

func putGroup(q *request) (response, error) {
	var put api.GroupPut
	if err := q.body(&put); err != nil {
		return nil, err
	}
	patch := ams.GroupPatch{Description: put.Description}
	if put.Permissions != nil {
		permissions := []ams.Permission{}
		for _, p := range *put.Permissions {
			permissions = append(permissions, ams.Permission{Entitlement: p.Entitlement, Resource: p.Resource})
		}
		if !q.caller.admin {
			return nil, ams.Errorf(ams.ErrDenied, "permissions of groups are changed by administrators")
		}
		patch.Permissions = &permissions
	}
	return q.op(q.h.m.Groups.Set(q.Context(), q.PathValue("id"), patch))
}

func deleteGroup(q *request) (response, error) {
	var body api.Delete
	if err := q.maybe(&body); err != nil {
		return nil, err
	}
	return q.op(q.h.m.Groups.Delete(q.Context(), q.PathValue("id"), body.Force))
}

func tokenOf(t *ams.JoinToken) api.JoinToken {
	return api.JoinToken{
		ID: t.ID, Name: t.Name, Groups: append([]string{}, t.Groups...), Secret: t.Secret, CreatedAt: unix(t.CreatedAt), ExpiresAt: unix(t.ExpiresAt),
	}
}

func listTokens(q *request) (response, error) {
	tokens, _, err := q.h.m.Tokens.List(q.Context(), ams.Page{})
	list := []api.JoinToken{}
	for i := range tokens {
		list = append(list, tokenOf(&tokens[i]))
	}
	return result{value: list, total: len(list)}, err
}

func issueToken(q *request) (response, error) {
	var post api.JoinTokensPost
	if err := q.maybe(&post); err != nil {
		return nil, err
	}
	req := ams.JoinTokenRequest{Name: post.Name, Groups: post.Groups}
	if post.Lifetime != "" {
		var err error
		if req.Lifetime, err = time.ParseDuration(post.Lifetime); err != nil {
			return nil, ams.Errorf(ams.ErrInvalid, "lifetime is %.40q; it must be a duration such as 1h", post.Lifetime)
		}
	}
	if err := q.mayGrant(post.Groups); err != nil {
		return nil, err
	}
	t, err := q.h.m.Tokens.Issue(q.Context(), req)
	return result{value: tokenOf(&t)}, err
}

func revokeToken(q *request) (response, error) {
	return result{value: struct{}{}}, q.h.m.Tokens.Revoke(q.Context(), q.PathValue("id"))
}

func showOIDC(q *request) (response, error) {
	get := func(key string) string {
		v, err := q.h.m.Settings.Get(q.Context(), key)
		if err != nil {
			return ""
		}
		return v
	}
	issuer := get("oidc.issuer_url")
	if issuer == "" {
		return nil, ams.Errorf(ams.ErrNotFound, "OpenID Connect is not set up: the setting oidc.issuer_url is not set")
	}
	return result{value: api.OIDC{
		Issuer: issuer, RequiredScopes: []string{"openid", "email", "profile"}, ClientID: get("oidc.client_id"), Audience: get("oidc.audience"),
	}}, nil
}
