package ams_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
	"github.com/openams/ams/backend/fake"
	"github.com/openams/ams/storage/mem"
	"github.com/openams/ams/storage/storagetest"
)

func (d *desk) trust(t testing.TB) *ams.Trust {
	t.Helper()
	trust, err := d.Trust(t.Context())
	require.NoError(t, err)
	return trust
}

// TestTrust shows chains of certificates, and says who is known by them and in which
// group they are, or why nobody is.
func TestTrust(t *testing.T) {
	d := newDesk(t)
	d.groups(t, "own", "root", "inner", "limited", "late")
	own := certify(t, "own", nil)
	tomorrow := certify(t, "tomorrow", nil, future)
	web := certify(t, "web", nil, server)
	liar := certify(t, "liar", nil, pretender)
	root := certify(t, "root", nil, authority)
	inner := certify(t, "inner", root, authority)
	below := certify(t, "below", inner, authority)
	limited := certify(t, "limited", nil, authority, func(c *x509.Certificate) {
		c.PermittedDNSDomainsCritical, c.PermittedDNSDomains = true, []string{"example.com"}
	})
	short := certify(t, "short", nil, authority, func(c *x509.Certificate) { c.MaxPathLenZero = true })
	late := certify(t, "late", nil, authority, future)
	pinned := certify(t, "pinned", root)
	for _, h := range []*holder{own, tomorrow, web, liar, pinned} {
		d.know(t, h, "own")
	}
	d.know(t, root, "root")
	d.know(t, inner, "inner")
	d.know(t, limited, "limited")
	d.know(t, short)
	d.know(t, late, "late")
	elsewhere := certify(t, "root", nil, authority)
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	require.NoError(t, err)
	trust := d.trust(t)
	now := time.Now()
	for _, c := range []struct {
		name   string
		chain  []*x509.Certificate
		at     time.Time
		groups string // empty: nobody is known by it
		why    string
	}{
		{name: "own entry", chain: own.chain(), groups: "[own]"},
		{name: "own entry, with more behind it", chain: append(own.chain(), elsewhere.Certificate), groups: "[own]"},
		{name: "own entry, with a use of its own", chain: web.chain(), groups: "[own]"},
		{name: "own entry decides, not its CA", chain: pinned.chain(), groups: "[own]"},
		{name: "own entry, expired since", chain: own.chain(), at: own.NotAfter.Add(time.Second), why: "expired on"},
		{name: "own entry, not yet", chain: tomorrow.chain(), why: "is not valid before"},
		{name: "own entry, by now", chain: tomorrow.chain(), at: tomorrow.NotBefore, groups: "[own]"},
		{name: "the CA itself", chain: root.chain(), groups: "[root]"},
		{name: "nothing", why: "was not shown"},
		{name: "unknown", chain: certify(t, "own", nil).chain(), why: "is not trusted"},
		{name: "signed by the CA", chain: certify(t, "leaf", root).chain(), groups: "[root]"},
		{name: "signed by the CA, for clients", chain: certify(t, "leaf", root, client).chain(), groups: "[root]"},
		{name: "signed by the CA, for servers", chain: certify(t, "leaf", root, server).chain(), why: "is not trusted"},
		{name: "signed by the CA, expired", chain: certify(t, "leaf", root, expired).chain(), why: "expired on 2025-01-01"},
		{name: "signed by the CA, not yet", chain: certify(t, "leaf", root, future).chain(), why: "is not valid before"},
		{name: "signed by a CA that is not valid yet", chain: certify(t, "leaf", late).chain(), why: "is not trusted"},
		{name: "signed by a CA that is valid by then", chain: certify(t, "leaf", late, future).chain(), at: late.NotBefore.Add(time.Hour), groups: "[late]"},
		{name: "signed by the CA with a weak key", chain: certifyKey(t, "leaf", small, root).chain(), why: "too weak"},
		{name: "another CA of that name", chain: certify(t, "leaf", elsewhere).chain(), why: "is not trusted"},
		{name: "another CA of that name, sent too", chain: append(certify(t, "leaf", elsewhere).chain(), elsewhere.Certificate, root.Certificate), why: "is not trusted"},
		{name: "signed below", chain: certify(t, "leaf", below).chain(), groups: "[inner]"},
		{name: "signed below, nothing sent of that", chain: certify(t, "leaf", below).chain()[:1], why: "is not trusted"},
		{name: "the nearest CA decides", chain: certify(t, "leaf", inner).chain(), groups: "[inner]"},
		{name: "signed by a client", chain: certify(t, "leaf", certify(t, "client", root)).chain(), why: "is not trusted"},
		{name: "signed by a known client", chain: certify(t, "leaf", own).chain(), why: "is not trusted"},
		{name: "signed by a known client that says it is a CA", chain: append(certify(t, "leaf", liar).chain(), liar.Certificate), why: "is not trusted"},
		{name: "path too long", chain: certify(t, "leaf", certify(t, "between", short, authority)).chain(), why: "is not trusted"},
		{name: "a name that is allowed", chain: certify(t, "leaf", limited, hosts("a.example.com")).chain(), groups: "[limited]"},
		{name: "a name that is not", chain: certify(t, "leaf", limited, hosts("example.org")).chain(), why: "is not trusted"},
		{name: "two names, one not allowed", chain: certify(t, "leaf", limited, hosts("a.example.com", "example.org")).chain(), why: "is not trusted"},
	} {
		t.Run(c.name, func(t *testing.T) {
			at := c.at
			if at.IsZero() {
				at = now
			}
			i, err := trust.ByCertificate(c.chain, at)
			if c.groups == "" {
				require.ErrorIs(t, err, ams.ErrDenied)
				require.ErrorContains(t, err, c.why)
				require.Zero(t, i)
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.groups, fmt.Sprint(i.Groups))
			require.Equal(t, sha(c.chain[0].Raw), i.Fingerprint)
			require.Equal(t, c.chain[0].Raw, i.Certificate)
			require.Equal(t, c.chain[0].Subject.CommonName, i.Name)
			require.Equal(t, ams.AuthTLS, i.Method)
		})
	}
}

// TestTrustCountsAtOnce changes who is known, and asks right after.
func TestTrustCountsAtOnce(t *testing.T) {
	d := newDesk(t)
	ctx := t.Context()
	known := func(h *holder) string {
		i, err := d.trust(t).ByCertificate(h.chain(), time.Now())
		if err != nil {
			require.ErrorIs(t, err, ams.ErrDenied)
			return "nobody"
		}
		return fmt.Sprint(i.Groups)
	}
	root := certify(t, "root", nil, authority)
	leaf := certify(t, "leaf", root)
	require.Equal(t, "nobody", known(leaf))
	d.know(t, root, "admin")
	require.Equal(t, "[admin]", known(leaf))
	d.know(t, leaf)
	require.Equal(t, "[]", known(leaf))
	_, err := d.Identities.Delete(ctx, "tls/leaf", false)
	require.NoError(t, err)
	require.Equal(t, "[admin]", known(leaf))
	_, err = d.Identities.SetGroups(ctx, "tls/root", nil)
	require.NoError(t, err)
	require.Equal(t, "[]", known(leaf))
	_, err = d.Identities.Delete(ctx, "tls/root", false)
	require.NoError(t, err)
	require.Equal(t, "nobody", known(leaf))
	require.Equal(t, "nobody", known(root))

	_, err = d.trust(t).ByEmail("anna@example.com")
	require.ErrorIs(t, err, ams.ErrDenied)
	_, err = d.Identities.Create(ctx, ams.IdentityRequest{Method: ams.AuthOIDC, Email: "anna@example.com"})
	require.NoError(t, err)
	i, err := d.trust(t).ByEmail("anna@example.com")
	require.NoError(t, err)
	require.Equal(t, "anna@example.com", i.Email)
	for _, email := range []string{"", "Anna@example.com", "anna@example.com "} {
		_, err = d.trust(t).ByEmail(email)
		require.ErrorIs(t, err, ams.ErrDenied, email)
	}

	_, ok := d.trust(t).Group("players")
	require.False(t, ok)
	d.groups(t, "players")
	permissions := []ams.Permission{{Entitlement: "admin", Resource: "server"}}
	_, err = d.Groups.Set(ctx, "players", ams.GroupPatch{Permissions: &permissions})
	require.NoError(t, err)
	g, ok := d.trust(t).Group("players")
	require.True(t, ok)
	require.Equal(t, permissions, g.Permissions)
	_, err = d.Groups.Delete(ctx, "players", false)
	require.NoError(t, err)
	_, ok = d.trust(t).Group("players")
	require.False(t, ok)
}

// TestTrustIsKept reads the store only when something has changed, and allocates
// nothing for a certificate with an entry of its own.
func TestTrustIsKept(t *testing.T) {
	reads := 0
	var counting sync.Mutex
	store := storagetest.Faulty(mem.New(), func(int) error {
		counting.Lock()
		defer counting.Unlock()
		reads++
		return nil
	})
	m, err := ams.New(ams.Config{Store: store, Backend: fake.New(fake.Options{})})
	require.NoError(t, err)
	d := &desk{Manager: m}
	own := certify(t, "own", nil)
	d.know(t, own)
	chain, now, ctx := own.chain(), time.Now(), t.Context()
	d.trust(t)
	before := reads
	allocated := testing.AllocsPerRun(100, func() {
		trust, err := m.Trust(ctx)
		if err == nil {
			_, err = trust.ByCertificate(chain, now)
		}
		if err != nil {
			t.Error(err)
		}
	})
	require.Zero(t, allocated)
	require.Equal(t, before, reads)
	require.NoError(t, m.Settings.Set(ctx, "images.update_interval", "10m"))
	before = reads
	d.trust(t)
	require.Equal(t, before, reads, "a setting is nobody who is known")
}

// TestTrustAfterLostAnswers has commits whose callers are told that they failed.
func TestTrustAfterLostAnswers(t *testing.T) {
	lose := false
	store := storagetest.Faulty(mem.New(), func(int) error {
		if lose {
			lose = false
			return storagetest.AfterCommit(ams.Errorf(ams.ErrUnavailable, "no answer"))
		}
		return nil
	})
	m, err := ams.New(ams.Config{Store: store, Backend: fake.New(fake.Options{})})
	require.NoError(t, err)
	d := &desk{Manager: m}
	own := certify(t, "own", nil)
	d.know(t, own, "admin")
	_, err = d.trust(t).ByCertificate(own.chain(), time.Now())
	require.NoError(t, err)
	lose = true
	_, err = m.Identities.Delete(t.Context(), "tls/own", true)
	require.ErrorIs(t, err, ams.ErrUnavailable)
	_, err = d.trust(t).ByCertificate(own.chain(), time.Now())
	require.ErrorIs(t, err, ams.ErrDenied)
}

// TestTrustUnderLoad has many who ask while identities come and go: whoever has made a
// change sees it.
func TestTrustUnderLoad(t *testing.T) {
	m, err := ams.New(ams.Config{Store: mem.New(), Backend: fake.New(fake.Options{})})
	require.NoError(t, err)
	d := &desk{Manager: m}
	var busy sync.WaitGroup
	for n := range 8 {
		h := certify(t, fmt.Sprint("client-", n), nil)
		busy.Go(func() {
			for range 30 {
				_, err := d.Identities.Create(context.Background(), ams.IdentityRequest{Method: ams.AuthTLS, Certificate: h.Raw})
				if trust, terr := d.Trust(context.Background()); err == nil && terr == nil {
					_, err = trust.ByCertificate(h.chain(), time.Now())
				}
				if err == nil {
					_, err = d.Identities.Delete(context.Background(), sha(h.Raw), false)
				}
				if err != nil {
					t.Error(err)
				}
				trust, err := d.Trust(context.Background())
				if err == nil {
					_, err = trust.ByCertificate(h.chain(), time.Now())
				}
				if ams.CodeOf(err) != ams.ErrDenied {
					t.Errorf("a deleted identity: %v", err)
				}
			}
		})
	}
	busy.Wait()
}
