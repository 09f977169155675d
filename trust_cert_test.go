package ams_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
)

// holder is somebody with a certificate and its key.
type holder struct {
	*x509.Certificate
	key crypto.Signer
	up  *holder // who signed it; nil for itself
}

// certify makes a certificate for an hour to both sides of now, signed by up, or by
// itself where that is nil. Options change it before that.
func certify(t testing.TB, name string, up *holder, options ...func(*x509.Certificate)) *holder {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	return certifyKey(t, name, key, up, options...)
}

func certifyKey(t testing.TB, name string, key crypto.Signer, up *holder, options ...func(*x509.Certificate)) *holder {
	t.Helper()
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	for _, f := range options {
		f(template)
	}
	parent, signer := template, key
	if up != nil {
		parent, signer = up.Certificate, up.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return &holder{cert, key, up}
}

// chain is what its client would send: its certificate, and those that lead to the
// one that signed itself.
func (h *holder) chain() (chain []*x509.Certificate) {
	for ; h != nil && (h.up != nil || len(chain) == 0); h = h.up {
		chain = append(chain, h.Certificate)
	}
	return chain
}

func (h *holder) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: h.Raw})
}

// The options.

func authority(c *x509.Certificate) {
	c.BasicConstraintsValid, c.IsCA, c.KeyUsage = true, true, x509.KeyUsageCertSign
}

// pretender is a client that says it is a CA, with a key that is not for signing.
func pretender(c *x509.Certificate) {
	c.BasicConstraintsValid, c.IsCA, c.KeyUsage = true, true, x509.KeyUsageDigitalSignature
}

func expired(c *x509.Certificate) {
	c.NotBefore, c.NotAfter = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
}

func future(c *x509.Certificate) {
	c.NotBefore, c.NotAfter = time.Now().Add(24*time.Hour), time.Now().Add(48*time.Hour)
}

func server(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }

func client(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }

func hosts(names ...string) func(*x509.Certificate) {
	return func(c *x509.Certificate) { c.DNSNames = names }
}

// know makes a certificate known and returns its identity.
func (d *desk) know(t testing.TB, h *holder, groups ...string) ams.Identity {
	t.Helper()
	op, err := d.Identities.Create(t.Context(), ams.IdentityRequest{Method: ams.AuthTLS, Certificate: h.Raw, Groups: groups})
	require.NoError(t, err)
	require.Equal(t, ams.OperationSuccess, op.Status)
	i, err := d.Identities.Get(t.Context(), op.Resources["identity"][0])
	require.NoError(t, err)
	return i
}

// groups makes groups.
func (d *desk) groups(t testing.TB, names ...string) {
	t.Helper()
	for _, name := range names {
		_, err := d.Groups.Create(t.Context(), name, "")
		require.NoError(t, err)
	}
}
