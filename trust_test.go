package ams_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
	"github.com/openams/ams/backend/fake"
	"github.com/openams/ams/storage/mem"
)

// told are the lifecycle events since the last call, as "kind action message".
func (d *desk) told() (lines []string) {
	for _, e := range d.events {
		if e.Type == ams.EventLifecycle {
			lines = append(lines, strings.TrimSpace(fmt.Sprint(e.Kind, " ", e.Action, " ", e.Message)))
		}
	}
	d.events = nil
	return lines
}

func TestIdentities(t *testing.T) {
	d := newDesk(t)
	ctx := t.Context()
	d.groups(t, "players", "viewers")
	require.Equal(t, []string{"group created", "group created"}, d.told())

	laptop := certify(t, "laptop", nil)
	i := d.know(t, laptop, "viewers", "admin", "viewers")
	require.Equal(t, []string{"identity created tls/laptop"}, d.told())
	require.Equal(t, "laptop", i.Name)
	require.Equal(t, sha(laptop.Raw), i.Fingerprint)
	require.Equal(t, []string{"admin", "viewers"}, i.Groups)
	require.False(t, i.CA)
	cert, err := i.X509()
	require.NoError(t, err)
	require.True(t, cert.Equal(laptop.Certificate))
	for _, ref := range []string{i.ID, "tls/laptop", i.Fingerprint, i.Fingerprint[:12], strings.ToUpper(i.Fingerprint[:20])} {
		got, err := d.Identities.Get(ctx, ref)
		require.NoError(t, err, ref)
		require.Equal(t, i, got)
	}

	op, err := d.Identities.Create(ctx, ams.IdentityRequest{Method: ams.AuthOIDC, Email: "anna@example.com"})
	require.NoError(t, err)
	require.Equal(t, "create identity", op.Description)
	anna, err := d.Identities.Get(ctx, "oidc/anna@example.com")
	require.NoError(t, err)
	require.Equal(t, []string{anna.ID}, op.Resources["identity"])
	require.Equal(t, "anna@example.com", anna.Name)
	_, err = anna.X509()
	require.ErrorIs(t, err, ams.ErrUnsupported)
	require.Equal(t, []string{"identity created oidc/anna@example.com"}, d.told())

	for want, filter := range map[int]ams.IdentityFilter{
		2: {}, 1: {Group: "viewers"}, 0: {Group: "players"},
	} {
		list, total, err := d.Identities.List(ctx, filter, ams.Page{})
		require.NoError(t, err)
		require.Len(t, list, want)
		require.Equal(t, want, total)
	}

	_, err = d.Identities.SetGroups(ctx, "tls/laptop", []string{"players"})
	require.NoError(t, err)
	_, err = d.Identities.SetGroups(ctx, "tls/laptop", []string{"players"}) // changes nothing
	require.NoError(t, err)
	require.Equal(t, []string{"identity updated tls/laptop"}, d.told())
	_, err = d.Identities.Delete(ctx, "tls/laptop", false)
	require.ErrorIs(t, err, ams.ErrInUse)
	_, err = d.Identities.Delete(ctx, "tls/laptop", true)
	require.NoError(t, err)
	_, err = d.Identities.Delete(ctx, "oidc/anna@example.com", false)
	require.NoError(t, err)
	require.Equal(t, []string{"identity deleted tls/laptop", "identity deleted oidc/anna@example.com"}, d.told())
	_, total, err := d.Identities.List(ctx, ams.IdentityFilter{}, ams.Page{})
	require.NoError(t, err)
	require.Zero(t, total)
}

// TestIdentityNames has certificates that cannot all have the name they ask for.
func TestIdentityNames(t *testing.T) {
	d := newDesk(t)
	require.Equal(t, "root:box", d.know(t, certify(t, "root:box", nil)).Name)
	for _, name := range []string{"root:box", "", "ab", "a b c", "root@box", "../../x", strings.Repeat("x", 256)} {
		i := d.know(t, certify(t, name, nil))
		require.Equal(t, i.Fingerprint[:12], i.Name, name)
		got, err := d.Identities.Get(t.Context(), "tls/"+i.Name)
		require.NoError(t, err)
		require.Equal(t, i.ID, got.ID)
	}
	box := certify(t, "box", nil)
	_, err := d.Identities.Create(t.Context(), ams.IdentityRequest{Method: ams.AuthTLS, Name: "mine", Certificate: append([]byte("Certificate:\n"), box.pem()...)})
	require.NoError(t, err)
	i, err := d.Identities.Get(t.Context(), "tls/mine")
	require.NoError(t, err)
	require.Equal(t, box.Raw, i.Certificate)
	for _, email := range []string{"anna@example.com", "Anna@example.com", "anna@example.org"} { // no name is taken with OIDC
		_, err := d.Identities.Create(t.Context(), ams.IdentityRequest{Method: ams.AuthOIDC, Email: email, Name: "anna@example.com"})
		require.NoError(t, err)
	}
}

// TestAmbiguousFingerprints has two certificates that begin alike.
func TestAmbiguousFingerprints(t *testing.T) {
	d := newDesk(t)
	require.NoError(t, d.store.Update(t.Context(), func(tx ams.Tx) error {
		return errors.Join(
			tx.Identities().Put(ams.Identity{ID: "1", Method: ams.AuthTLS, Fingerprint: "0123456789abcdef00"}),
			tx.Identities().Put(ams.Identity{ID: "2", Method: ams.AuthTLS, Fingerprint: "0123456789abcdef01"}),
		)
	}))
	_, err := d.Identities.Get(t.Context(), "0123456789ab")
	require.ErrorIs(t, err, ams.ErrInvalid)
	require.EqualError(t, err, `identity "0123456789ab": matches several certificates; give more digits of the fingerprint`)
	_, err = d.Identities.Delete(t.Context(), "0123456789ABCDEF0", true)
	require.ErrorIs(t, err, ams.ErrInvalid)
	i, err := d.Identities.Get(t.Context(), "0123456789ABCDEF01")
	require.NoError(t, err)
	require.Equal(t, "2", i.ID)
}

func TestCertificateAuthorities(t *testing.T) {
	d := newDesk(t)
	require.True(t, d.know(t, certify(t, "root", nil, authority)).CA)
	require.False(t, d.know(t, certify(t, "pretender", nil, pretender)).CA)
	require.False(t, d.know(t, certify(t, "leaf", nil)).CA)
	require.False(t, d.know(t, certify(t, "tomorrow", nil, future)).CA)
}

func TestGroups(t *testing.T) {
	d := newDesk(t)
	ctx := t.Context()
	admin, err := d.Groups.Get(ctx, ams.AdminGroup)
	require.NoError(t, err)
	require.Equal(t, "Administrators", admin.Description)
	require.True(t, admin.Immutable)
	require.False(t, admin.CreatedAt.IsZero())
	require.Empty(t, d.events)

	d.groups(t, "players", "Viewers")
	d.told()
	again, err := ams.New(ams.Config{Store: d.store, Backend: fake.New(fake.Options{})})
	require.NoError(t, err)
	list, total, err := again.Groups.List(ctx, ams.GroupFilter{}, ams.Page{Limit: 2})
	require.NoError(t, err)
	require.Equal(t, 3, total)
	require.Equal(t, "Viewers", list[0].Name)
	require.Equal(t, admin, list[1])
	list, _, err = d.Groups.List(ctx, ams.GroupFilter{Name: "VIEW"}, ams.Page{})
	require.NoError(t, err)
	require.Len(t, list, 1)

	text := "They play."
	for range 2 { // the second time it changes nothing
		_, err = d.Groups.Set(ctx, "players", ams.GroupPatch{Description: &text})
		require.NoError(t, err)
	}
	require.Equal(t, []string{"group updated"}, d.told())

	one, two := d.know(t, certify(t, "one", nil), "players"), d.know(t, certify(t, "two", nil), "players", "admin")
	token, err := d.Tokens.Issue(ctx, ams.JoinTokenRequest{Groups: []string{"players", "Viewers"}})
	require.NoError(t, err)
	permissions := []ams.Permission{{Entitlement: "can_view", Resource: "group:players"}, {Entitlement: "can_view_tasks", Resource: "server"}}
	_, err = d.Groups.Set(ctx, "Viewers", ams.GroupPatch{Permissions: &permissions})
	require.NoError(t, err)
	d.told()
	_, err = d.Groups.Delete(ctx, "players", false)
	require.ErrorIs(t, err, ams.ErrInUse)
	require.Empty(t, d.events)
	_, err = d.Groups.Delete(ctx, "players", true)
	require.NoError(t, err)
	require.Equal(t, []string{"identity updated tls/one", "identity updated tls/two", "group updated", "group deleted"}, d.told())
	for want, i := range map[string]ams.Identity{"[]": one, "[admin]": two} {
		got, err := d.Identities.Get(ctx, i.ID)
		require.NoError(t, err)
		require.Equal(t, want, fmt.Sprint(got.Groups))
	}

	// Nothing of the old group is left for a new one of that name.
	d.groups(t, "players")
	viewers, err := d.Groups.Get(ctx, "Viewers")
	require.NoError(t, err)
	require.Equal(t, permissions[1:], viewers.Permissions)
	enrolled, err := d.Identities.Enroll(ctx, certify(t, "three", nil).Raw, token.Secret)
	require.NoError(t, err)
	require.Equal(t, []string{"Viewers"}, enrolled.Groups)
}

func TestPermissions(t *testing.T) {
	d := newDesk(t)
	ctx := t.Context()
	require.NoError(t, d.store.Update(ctx, func(tx ams.Tx) error {
		return errors.Join(
			tx.Applications().Put(ams.Application{ID: "a1", Name: "candy"}), tx.Images().Put(ams.Image{ID: "i1", Name: "jammy:android15:amd64"}),
			tx.Instances().Put(ams.Instance{ID: "c1", Name: "ams-one"}), tx.Nodes().Put(ams.Node{Name: "lxd0", Status: ams.NodeOnline}),
		)
	}))
	d.groups(t, "players")
	one := d.know(t, certify(t, "one", nil))
	wanted := []ams.Permission{
		{Entitlement: "can_view_config", Resource: "server"},
		{Entitlement: "can_view", Resource: "node:lxd0"},
		{Entitlement: "can_publish", Resource: "application:candy"},
		{Entitlement: "can_publish", Resource: "application:a1"},
		{Entitlement: "can_delete", Resource: "application:a1"},
		{Entitlement: "can_view", Resource: "image:jammy:android15:amd64"},
		{Entitlement: "can_exec", Resource: "instance:ams-one"},
		{Entitlement: "can_edit", Resource: "group:players"},
		{Entitlement: "can_view", Resource: "addon:ssh"},
		{Entitlement: "can_view", Resource: "identity:tls/one"},
	}
	set := func(list []ams.Permission) error {
		_, err := d.Groups.Set(ctx, "players", ams.GroupPatch{Permissions: &list})
		return err
	}
	stored := func() (lines []string) {
		g, err := d.Groups.Get(ctx, "players")
		require.NoError(t, err)
		for _, p := range g.Permissions {
			lines = append(lines, p.Resource+" "+p.Entitlement)
		}
		return lines
	}
	require.NoError(t, set(wanted))
	want := []string{
		"addon:ssh can_view", "application:a1 can_delete", "application:a1 can_publish", "group:players can_edit",
		"identity:" + one.ID + " can_view", "image:i1 can_view", "instance:c1 can_exec", "node:lxd0 can_view", "server can_view_config",
	}
	require.Equal(t, want, stored())

	// Objects go, and something else is called what the id of one was.
	require.NoError(t, d.store.Update(ctx, func(tx ams.Tx) error {
		return errors.Join(tx.Instances().Delete("c1"), tx.Applications().Delete("a1"), tx.Addons().Delete("ssh"),
			tx.Applications().Put(ams.Application{ID: "a2", Name: "a1"}))
	}))
	g, err := d.Groups.Get(ctx, "players")
	require.NoError(t, err)
	more := append([]ams.Permission{{Entitlement: "can_edit", Resource: "image:i1"}}, g.Permissions...)
	require.NoError(t, set(more), "what went stale is no hindrance")
	require.ElementsMatch(t, append(want, "image:i1 can_edit"), stored())
	require.ErrorIs(t, set(append(more, ams.Permission{Entitlement: "can_edit", Resource: "addon:ssh"})), ams.ErrNotFound)
	require.NoError(t, set([]ams.Permission{}))
	require.Empty(t, stored())
	require.ErrorIs(t, set(more), ams.ErrNotFound, "what is stale cannot be added again")
}

// TestEntitlements compares the table with what AMS documents.
func TestEntitlements(t *testing.T) {
	want := map[string]string{
		"server": "admin can_create_addons can_create_applications can_create_groups can_create_images can_create_instances can_create_nodes " +
			"can_delete_registry_applications can_edit_config can_pull_registry_applications can_push_registry_applications can_register_identities " +
			"can_view_config can_view_metrics can_view_operations can_view_registry_applications can_view_tasks",
		"instance":    "can_delete can_edit can_exec can_view can_view_logs",
		"application": "can_delete can_edit can_publish can_view",
	}
	for _, typ := range []string{"addon", "group", "identity", "image", "node"} {
		want[typ] = "can_delete can_edit can_view"
	}
	got := map[string]string{}
	for _, e := range ams.Entitlements() {
		got[e.Type] = strings.TrimSpace(got[e.Type] + " " + e.Name)
		require.Regexp(t, `^[A-Z].*\.$`, e.Description)
	}
	require.Equal(t, want, got)
	ams.Entitlements()[0].Name = "spoilt"
	require.Equal(t, "admin", ams.Entitlements()[0].Name)
}

// TestTrustLastsAcrossRestarts has a second Manager on the same store.
func TestTrustLastsAcrossRestarts(t *testing.T) {
	d := newDesk(t)
	d.groups(t, "players")
	i := d.know(t, certify(t, "one", nil), "players")
	again, err := ams.New(ams.Config{Store: d.store, Backend: fake.New(fake.Options{})})
	require.NoError(t, err)
	got, err := again.Identities.Get(t.Context(), i.Fingerprint)
	require.NoError(t, err)
	require.Equal(t, i, got)
	fresh, err := ams.New(ams.Config{Store: mem.New(), Backend: fake.New(fake.Options{})})
	require.NoError(t, err)
	trust, err := fresh.Trust(t.Context())
	require.NoError(t, err)
	admin, ok := trust.Group(ams.AdminGroup)
	require.True(t, ok && admin.Immutable)
}
