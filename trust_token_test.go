package ams_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
	"github.com/openams/ams/backend/fake"
	"github.com/openams/ams/storage/mem"
	"github.com/openams/ams/storage/sqlite"
	"github.com/openams/ams/storage/storagetest"
)

func (d *desk) issue(t testing.TB, req ams.JoinTokenRequest) ams.JoinToken {
	t.Helper()
	token, err := d.Tokens.Issue(t.Context(), req)
	require.NoError(t, err)
	return token
}

func TestEnrollWithToken(t *testing.T) {
	d := newDesk(t)
	ctx := t.Context()
	d.groups(t, "players")
	d.told()
	token := d.issue(t, ams.JoinTokenRequest{Name: "laptop", Groups: []string{"players"}})
	other := d.issue(t, ams.JoinTokenRequest{})
	require.Regexp(t, "^[0-9a-f]{64}$", token.Secret)
	require.NotEqual(t, token.Secret, other.Secret)
	require.Equal(t, time.Hour, token.ExpiresAt.Sub(token.CreatedAt))
	list, total, err := d.Tokens.List(ctx, ams.Page{})
	require.NoError(t, err)
	require.Equal(t, 2, total)
	shown := token
	shown.Secret = ""
	require.Equal(t, shown, list[0])

	// A certificate that is known already uses no token up.
	known := certify(t, "known", nil)
	d.know(t, known)
	_, err = d.Identities.Enroll(ctx, known.Raw, token.Secret)
	require.ErrorIs(t, err, ams.ErrExists)
	d.told()

	mine := certify(t, "mine", nil)
	i, err := d.Identities.Enroll(ctx, mine.pem(), token.Secret)
	require.NoError(t, err)
	require.Equal(t, "laptop", i.Name)
	require.Equal(t, []string{"players"}, i.Groups)
	require.Equal(t, []string{"token deleted used", "identity created tls/laptop"}, d.told())
	got, err := d.trust(t).ByCertificate(mine.chain(), time.Now())
	require.NoError(t, err)
	require.Equal(t, i, got)

	_, err = d.Identities.Enroll(ctx, mine.Raw, token.Secret)
	require.ErrorIs(t, err, ams.ErrDenied, "a token is good for once")
	require.ErrorIs(t, d.Tokens.Revoke(ctx, token.ID), ams.ErrNotFound)
	require.NoError(t, d.Tokens.Revoke(ctx, other.ID))
	_, err = d.Identities.Enroll(ctx, certify(t, "late", nil).Raw, other.Secret)
	require.ErrorIs(t, err, ams.ErrDenied)
	require.Empty(t, d.told()[1:], "after the token that was revoked")
}

// TestEnrollKeepsTheTokenOfATakenName has somebody take the name in between.
func TestEnrollKeepsTheTokenOfATakenName(t *testing.T) {
	d := newDesk(t)
	token := d.issue(t, ams.JoinTokenRequest{Name: "laptop"})
	d.know(t, certify(t, "laptop", nil))
	mine := certify(t, "mine", nil)
	_, err := d.Identities.Enroll(t.Context(), mine.Raw, token.Secret)
	require.ErrorIs(t, err, ams.ErrExists)
	_, err = d.Identities.Delete(t.Context(), "tls/laptop", false)
	require.NoError(t, err)
	i, err := d.Identities.Enroll(t.Context(), mine.Raw, token.Secret)
	require.NoError(t, err)
	require.Equal(t, "laptop", i.Name)
}

// TestEnrollTwentyTimes has twenty clients with one token, who have all seen that it is
// good before the first uses it: one of them wins.
func TestEnrollTwentyTimes(t *testing.T) {
	file, err := sqlite.Open(filepath.Join(t.TempDir(), "ams.db"), nil)
	require.NoError(t, err)
	defer file.Close()
	for name, store := range map[string]ams.Store{"mem": mem.New(), "replay": storagetest.Replay(mem.New()), "sqlite": file} {
		t.Run(name, func(t *testing.T) {
			const clients = 20
			gate := &gate{Store: store, all: make(chan struct{})}
			m, err := ams.New(ams.Config{Store: gate, Blobs: mem.New().Blobs(), Backend: fake.New(fake.Options{})})
			require.NoError(t, err)
			d := &desk{Manager: m}
			token := d.issue(t, ams.JoinTokenRequest{})
			gate.missing.Store(clients)
			var won, denied atomic.Int64
			var busy sync.WaitGroup
			for range clients {
				cert := certify(t, "client", nil).Raw
				busy.Go(func() {
					_, err := m.Identities.Enroll(context.Background(), cert, token.Secret)
					switch {
					case err == nil:
						won.Add(1)
					case ams.CodeOf(err) == ams.ErrDenied:
						denied.Add(1)
					default:
						t.Error(err)
					}
				})
			}
			busy.Wait()
			require.Equal(t, []int64{1, clients - 1}, []int64{won.Load(), denied.Load()})
			_, total, err := m.Identities.List(t.Context(), ams.IdentityFilter{}, ams.Page{})
			require.NoError(t, err)
			require.Equal(t, 1, total)
		})
	}
}

// gate holds Updates up until as many have come as are missing.
type gate struct {
	ams.Store
	missing atomic.Int64
	all     chan struct{}
}

func (g *gate) Update(ctx context.Context, fn func(ams.Tx) error) error {
	if n := g.missing.Add(-1); n == 0 {
		close(g.all)
	} else if n > 0 {
		<-g.all
	}
	return g.Store.Update(ctx, fn)
}

func TestEnrollWithPassword(t *testing.T) {
	d := newDesk(t)
	ctx := t.Context()
	mine := certify(t, "mine", nil)
	for _, secret := range []string{"", "true", "wrong", strings.Repeat("x", 5000)} {
		_, err := d.Identities.Enroll(ctx, mine.Raw, secret)
		require.ErrorIs(t, err, ams.ErrDenied, "no password is set")
	}
	require.NoError(t, d.Settings.Set(ctx, "core.trust_password", "s3cret"))
	_, err := d.Identities.Enroll(ctx, mine.Raw, "S3cret")
	require.ErrorIs(t, err, ams.ErrDenied)
	i, err := d.Identities.Enroll(ctx, mine.Raw, "s3cret")
	require.NoError(t, err)
	require.Equal(t, []string{"admin"}, i.Groups)
	_, err = d.Identities.Enroll(ctx, mine.Raw, "s3cret")
	require.ErrorIs(t, err, ams.ErrExists)
	_, err = d.Identities.Enroll(ctx, certify(t, "other", nil).Raw, "s3cret")
	require.NoError(t, err, "a password is good for many")
}

// TestWrongSecretsReadTheSame compares the errors of secrets that are wrong for
// different reasons, and how often the store is asked until then.
func TestWrongSecretsReadTheSame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		store := storagetest.Faulty(mem.New(), func(int) error { calls++; return nil })
		m, err := ams.New(ams.Config{Store: store, Backend: fake.New(fake.Options{})})
		require.NoError(t, err)
		d, ctx := &desk{Manager: m}, t.Context()
		require.NoError(t, d.Settings.Set(ctx, "core.trust_password", "s3cret"))
		mine := certify(t, "mine", nil, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(72 * time.Hour) })
		used, revoked, expired := d.issue(t, ams.JoinTokenRequest{}), d.issue(t, ams.JoinTokenRequest{}), d.issue(t, ams.JoinTokenRequest{Lifetime: 24 * time.Hour})
		_, err = d.Identities.Enroll(ctx, certify(t, "first", nil).Raw, used.Secret)
		require.NoError(t, err)
		require.NoError(t, d.Tokens.Revoke(ctx, revoked.ID))
		time.Sleep(24 * time.Hour)
		for _, secret := range []string{used.Secret, revoked.Secret, expired.Secret, strings.ToUpper(expired.Secret), expired.Hash, expired.ID, "wrong", ""} {
			before := calls
			_, err := d.Identities.Enroll(ctx, mine.Raw, secret)
			require.ErrorIs(t, err, ams.ErrDenied)
			require.EqualError(t, err, "the secret is not accepted")
			require.Equal(t, 2, calls-before)
		}
		_, total, err := d.Tokens.List(ctx, ams.Page{})
		require.NoError(t, err)
		require.Zero(t, total)
	})
}

// TestTokensAreSwept has a token expire while the Manager runs.
func TestTokensAreSwept(t *testing.T) {
	bubble(t, fake.Options{}, func(t *testing.T, w *world) {
		_, err := w.Tokens.Issue(t.Context(), ams.JoinTokenRequest{Name: "soon"})
		require.NoError(t, err)
		late, err := w.Tokens.Issue(t.Context(), ams.JoinTokenRequest{Name: "late", Lifetime: 30 * 24 * time.Hour})
		require.NoError(t, err)
		time.Sleep(2 * time.Hour)
		require.NoError(t, w.store.View(t.Context(), func(tx ams.Tx) error {
			rows, err := tx.JoinTokens().List(ams.JoinTokenFilter{}, ams.Page{})
			require.Len(t, rows, 1)
			require.Equal(t, late.ID, rows[0].ID)
			return err
		}))
	})
}

// TestSecretsAreNotStored looks for a secret in all that is written and told.
func TestSecretsAreNotStored(t *testing.T) {
	dir := t.TempDir()
	store, err := sqlite.Open(filepath.Join(dir, "ams.db"), nil)
	require.NoError(t, err)
	var told strings.Builder
	m, err := ams.New(ams.Config{Store: store, Backend: fake.New(fake.Options{}), Observer: ams.Observer{Committed: func(e ams.Event) { told.WriteString(e.ID + e.Message) }}})
	require.NoError(t, err)
	d := &desk{Manager: m}
	token := d.issue(t, ams.JoinTokenRequest{Name: "laptop"})
	require.NoError(t, store.Close())
	found := false
	for _, file := range []string{"ams.db", "ams.db-wal"} {
		data, err := os.ReadFile(filepath.Join(dir, file))
		if errors.Is(err, os.ErrNotExist) {
			continue // what is in the one file may not be in the other
		}
		require.NoError(t, err)
		require.False(t, bytes.Contains(data, []byte(token.Secret)), file)
		found = found || bytes.Contains(data, []byte(token.Hash))
	}
	require.True(t, found, "the test must look where the token is")
	require.NotContains(t, told.String(), token.Secret)
}
