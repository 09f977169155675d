package ams_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
)

// TestTrustRefused compares the message for each bad request with
// testdata/golden/trust-refused.txt; go test -update rewrites the file.
func TestTrustRefused(t *testing.T) {
	d := newDesk(t)
	ctx := t.Context()
	d.groups(t, "players", "empty")
	one := certify(t, "one", nil)
	d.know(t, one, "players")
	_, err := d.Identities.Create(ctx, ams.IdentityRequest{Method: ams.AuthOIDC, Email: "anna@example.com", Groups: []string{"players"}})
	require.NoError(t, err)
	require.NoError(t, d.Settings.Set(ctx, "core.trust_password", "s3cret"))
	token := d.issue(t, ams.JoinTokenRequest{Name: "laptop"})
	newest, err := d.Newest(ctx)
	require.NoError(t, err)

	var got strings.Builder
	refuse := func(what string, code ams.Code, err error) {
		t.Helper()
		require.ErrorIs(t, err, code, what)
		text := strings.ReplaceAll(err.Error(), sha(one.Raw)[:12], "<fingerprint>")
		fmt.Fprintf(&got, "%s → %s\n", what, text)
	}
	create := func(what string, code ams.Code, req ams.IdentityRequest) {
		t.Helper()
		_, err := d.Identities.Create(ctx, req)
		refuse("create identity, "+what, code, err)
	}
	other := certify(t, "other", nil).Raw
	create("no method", ams.ErrInvalid, ams.IdentityRequest{Certificate: other})
	create("method ssh", ams.ErrInvalid, ams.IdentityRequest{Method: "ssh", Certificate: other})
	create("several things", ams.ErrInvalid, ams.IdentityRequest{Method: ams.AuthTLS, Name: "a b", Email: "anna@example.com"})
	create("certificate with oidc", ams.ErrInvalid, ams.IdentityRequest{Method: ams.AuthOIDC, Email: "bob@example.com", Certificate: other})
	create("certificate that is known", ams.ErrExists, ams.IdentityRequest{Method: ams.AuthTLS, Name: "two", Certificate: one.Raw})
	create("certificate that is known, in PEM", ams.ErrExists, ams.IdentityRequest{Method: ams.AuthTLS, Certificate: one.pem()})
	create("email that is known", ams.ErrExists, ams.IdentityRequest{Method: ams.AuthOIDC, Name: "Bob", Email: "anna@example.com"})
	create("group that is not there", ams.ErrNotFound, ams.IdentityRequest{Method: ams.AuthTLS, Certificate: other, Groups: []string{"players", "nosuch"}})
	create("1001 groups", ams.ErrInvalid, ams.IdentityRequest{Method: ams.AuthTLS, Certificate: other, Groups: make([]string, 1001)})
	for _, name := range []string{"one", "ab", "a b", "-ab", "...", "a/b", "grün", "a\nb", "anna@example.com", strings.Repeat("a", 256)} {
		code := ams.ErrInvalid
		if name == "one" {
			code = ams.ErrExists
		}
		create("name "+abridged(name, 40), code, ams.IdentityRequest{Method: ams.AuthTLS, Name: name, Certificate: other})
	}
	create("name with oidc", ams.ErrInvalid, ams.IdentityRequest{Method: ams.AuthOIDC, Name: "Anna Example", Email: "bob@example.com"})
	for _, email := range []string{"", "bob", "bob@", "@example.com", "Bob <bob@example.com>", "<bob@example.com>", "bob@example.com,anna@example.com", " bob@example.com",
		"bob@example.com\n", `"b ob"@example.com`, "bob(x)@example.com", "bob\u202e@example.com", "bob@example.com\x00", strings.Repeat("b", 243) + "@example.com"} {
		create("email "+abridged(email, 40), ams.ErrInvalid, ams.IdentityRequest{Method: ams.AuthOIDC, Email: email})
	}
	for _, c := range badCertificates(t) {
		create("certificate: "+c.what, ams.ErrInvalid, ams.IdentityRequest{Method: ams.AuthTLS, Certificate: c.data})
		_, err := d.Identities.Enroll(ctx, c.data, token.Secret)
		require.ErrorIs(t, err, ams.ErrInvalid, c.what)
	}
	for _, ref := range []string{"", "nosuch", "tls/", "tls/nosuch", "oidc/one", "oidc/Anna@example.com", "ssh/one", "one", strings.Repeat("0", 12), sha(one.Raw)[:11], sha(one.Raw) + "0"} {
		_, err := d.Identities.Get(ctx, ref)
		what := fmt.Sprintf("get identity %q", ref)
		if strings.HasPrefix(ref, sha(one.Raw)[:11]) {
			require.ErrorIs(t, err, ams.ErrNotFound)
			continue
		}
		refuse(what, ams.ErrNotFound, err)
	}
	_, err = d.Identities.SetGroups(ctx, "tls/nosuch", nil)
	refuse("set groups, nobody", ams.ErrNotFound, err)
	_, err = d.Identities.SetGroups(ctx, "tls/one", []string{"nosuch"})
	refuse("set groups, no group", ams.ErrNotFound, err)
	_, err = d.Identities.Delete(ctx, "tls/nosuch", true)
	refuse("delete identity, nobody", ams.ErrNotFound, err)
	_, err = d.Identities.Delete(ctx, "tls/one", false)
	refuse("delete identity, member", ams.ErrInUse, err)
	_, err = d.Identities.Enroll(ctx, other, "wrong")
	refuse("enroll, wrong secret", ams.ErrDenied, err)
	_, err = d.Identities.Enroll(ctx, one.Raw, "s3cret")
	refuse("enroll, certificate that is known", ams.ErrExists, err)

	refuseGroups(t, d, refuse)

	for what, req := range map[string]ams.JoinTokenRequest{"name": {Name: "a b"}, "negative": {Lifetime: -1}, "long": {Lifetime: 30*24*3600e9 + 1}} {
		_, err := d.Tokens.Issue(ctx, req)
		require.ErrorIs(t, err, ams.ErrInvalid, what)
	}
	_, err = d.Tokens.Issue(ctx, ams.JoinTokenRequest{Name: "-", Lifetime: -1e9})
	refuse("issue token, several things", ams.ErrInvalid, err)
	_, err = d.Tokens.Issue(ctx, ams.JoinTokenRequest{Lifetime: 721 * 3600e9})
	refuse("issue token, for 721 hours", ams.ErrInvalid, err)
	_, err = d.Tokens.Issue(ctx, ams.JoinTokenRequest{Name: "one"})
	refuse("issue token, name that is taken", ams.ErrExists, err)
	_, err = d.Tokens.Issue(ctx, ams.JoinTokenRequest{Groups: []string{"nosuch"}})
	refuse("issue token, no group", ams.ErrNotFound, err)
	refuse("revoke token", ams.ErrNotFound, d.Tokens.Revoke(ctx, "nosuch"))

	require.NotContains(t, got.String(), "PRIVATE KEY-----")
	after, err := d.Newest(ctx)
	require.NoError(t, err)
	require.Equal(t, newest, after, "a refused request leaves no trace")
	compareGolden(t, "trust-refused.txt", got.String())
}

func refuseGroups(t *testing.T, d *desk, refuse func(what string, code ams.Code, err error)) {
	ctx := t.Context()
	for _, name := range []string{"admin", "players", "", "ab", "a b", "a,b", "-ab", "a/b", strings.Repeat("a", 256)} {
		code := ams.ErrInvalid
		if name == "admin" || name == "players" {
			code = ams.ErrExists
		}
		_, err := d.Groups.Create(ctx, name, "")
		refuse("create group, name "+abridged(name, 40), code, err)
	}
	for _, text := range []string{"a\nb", "\xff", strings.Repeat("x", 1025)} {
		_, err := d.Groups.Create(ctx, "mine", text)
		refuse("create group, description "+abridged(text, 40), ams.ErrInvalid, err)
		_, err = d.Groups.Set(ctx, "players", ams.GroupPatch{Description: &text})
		require.ErrorIs(t, err, ams.ErrInvalid)
	}
	text, none := "Bosses", []ams.Permission{}
	_, err := d.Groups.Set(ctx, "admin", ams.GroupPatch{Description: &text})
	refuse("set group admin, description", ams.ErrState, err)
	_, err = d.Groups.Set(ctx, "admin", ams.GroupPatch{Permissions: &none})
	refuse("set group admin, permissions", ams.ErrState, err)
	_, err = d.Groups.Set(ctx, "nosuch", ams.GroupPatch{})
	refuse("set group, not there", ams.ErrNotFound, err)
	_, err = d.Groups.Get(ctx, "nosuch")
	refuse("get group, not there", ams.ErrNotFound, err)
	_, err = d.Groups.Delete(ctx, "admin", true)
	refuse("delete group admin", ams.ErrState, err)
	_, err = d.Groups.Delete(ctx, "nosuch", true)
	refuse("delete group, not there", ams.ErrNotFound, err)
	_, err = d.Groups.Delete(ctx, "players", false)
	refuse("delete group, with members", ams.ErrInUse, err)
	for _, p := range []ams.Permission{
		{}, {Entitlement: "can_view"}, {Resource: "server"}, {Entitlement: "can_view", Resource: "server"}, {Entitlement: "can_view_config", Resource: "server:"},
		{Entitlement: "can_view_config", Resource: "server:x"}, {Entitlement: "can_view", Resource: "share:x"}, {Entitlement: "can_view", Resource: "application"},
		{Entitlement: "can_view", Resource: "application:"}, {Entitlement: "can_view", Resource: ":x"}, {Entitlement: "can_fly", Resource: "application:candy"},
		{Entitlement: "can_exec", Resource: "application:candy"}, {Entitlement: "can_view", Resource: "node:" + strings.Repeat("n", 300)},
		{Entitlement: "can_view", Resource: "application:nosuch"}, {Entitlement: "can_view", Resource: "image:nosuch"}, {Entitlement: "can_view", Resource: "instance:nosuch"},
		{Entitlement: "can_view", Resource: "node:nosuch"}, {Entitlement: "can_view", Resource: "addon:nosuch"}, {Entitlement: "can_view", Resource: "group:nosuch"},
		{Entitlement: "can_view", Resource: "identity:tls/nosuch"},
	} {
		code := ams.ErrInvalid
		if strings.HasSuffix(p.Resource, "nosuch") {
			code = ams.ErrNotFound
		}
		_, err := d.Groups.Set(ctx, "empty", ams.GroupPatch{Permissions: &[]ams.Permission{p}})
		refuse(fmt.Sprintf("set group, permission %s of %s", abridged(p.Entitlement, 40), abridged(p.Resource, 40)), code, err)
	}
	many := make([]ams.Permission, 1001)
	_, err = d.Groups.Set(ctx, "empty", ams.GroupPatch{Permissions: &many})
	refuse("set group, 1001 permissions", ams.ErrInvalid, err)
}

type badCertificate struct {
	what string
	data []byte
}

// badCertificates are things that are no certificate, or none that may be trusted.
func badCertificates(t *testing.T) []badCertificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	ec, err := x509.MarshalECPrivateKey(key)
	require.NoError(t, err)
	request, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	require.NoError(t, err)
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	require.NoError(t, err)
	block := func(typ string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: typ, Bytes: der}))
	}
	good := certify(t, "good", nil)
	sha1, err := os.ReadFile("testdata/certificates/sha1.pem")
	require.NoError(t, err)
	weak, err := os.ReadFile("testdata/certificates/dsa.pem")
	require.NoError(t, err)
	return []badCertificate{
		{"none", nil},
		{"text", []byte("hello")},
		{"65537 bytes", append(make([]byte, 65537-len(good.Raw)), good.Raw...)},
		{"PEM of 65537 bytes", []byte(strings.Repeat("\n", 65537-len(good.pem())) + string(good.pem()))},
		{"half of it", good.Raw[:len(good.Raw)/2]},
		{"with a byte behind it", append(good.Raw[:len(good.Raw):len(good.Raw)], 0)},
		{"two of them", append(good.Raw[:len(good.Raw):len(good.Raw)], good.Raw...)},
		{"PEM, half of it", good.pem()[:len(good.pem())/2]},
		{"PEM of nothing", []byte(block("CERTIFICATE", nil))},
		{"PEM of two", append(good.pem(), good.pem()...)},
		{"PEM with a key behind it", []byte(string(good.pem()) + block("PRIVATE KEY", pkcs8))},
		{"PEM with a key before it", []byte(block("PRIVATE KEY", pkcs8) + string(good.pem()))},
		{"PEM with text behind it", append(good.pem(), "hello"...)},
		{"PEM of a key", []byte(block("EC PRIVATE KEY", ec))},
		{"PEM of a request", []byte(block("CERTIFICATE REQUEST", request))},
		{"PEM of a key that says it is one", []byte(block("CERTIFICATE", pkcs8))},
		{"key, PKCS 8", pkcs8},
		{"key, SEC 1", ec},
		{"key, PKCS 1", x509.MarshalPKCS1PrivateKey(small)},
		{"request", request},
		{"expired", certify(t, "expired", nil, expired).Raw},
		{"RSA of 1024 bits", certifyKey(t, "small", small, nil).Raw},
		{"signed with SHA-1", sha1},
		{"key of DSA", weak},
	}
}
