package ams

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"net/mail"
	"strings"
	"time"
)

// The bounds of what an identity is made of.
const (
	maxCertificate   = 64 << 10
	maxIdentityName  = 255
	maxEmail         = 254
	fingerprintStart = 12 // digits that name a certificate among people
	leastRSA         = 2048
)

// identity checks a request and returns the identity that it asks for.
func (r *IdentityRequest) identity(now time.Time) (Identity, error) {
	i := Identity{Method: r.Method, Name: r.Name, Email: r.Email}
	switch r.Method {
	case AuthTLS:
		if r.Email != "" {
			return i, Errorf(ErrInvalid, "email is for identities of oidc; one of tls has a certificate")
		}
		cert, err := parseCertificate(r.Certificate, now)
		if err != nil {
			return i, err
		}
		i.Certificate, i.Fingerprint, i.CA = cert.Raw, fingerprintOf(cert.Raw), isAuthority(cert)
		if i.Name == "" {
			i.Name = cert.Subject.CommonName
			if !goodIdentityName(i.Name) {
				i.Name = i.Fingerprint[:fingerprintStart]
			}
		}
	case AuthOIDC:
		if len(r.Certificate) > 0 {
			return i, Errorf(ErrInvalid, "certificate is for identities of tls; one of oidc has an email")
		}
		if a, err := mail.ParseAddress(r.Email); err != nil || a.Name != "" || a.Address != r.Email || len(r.Email) > maxEmail {
			return i, Errorf(ErrInvalid, "email %s is not an email address", quote(r.Email))
		}
		if i.Name == "" {
			i.Name = i.Email
		}
	default:
		return i, Errorf(ErrInvalid, "authentication method %s is not one; it must be tls or oidc", quote(string(r.Method)))
	}
	if !goodIdentityName(i.Name) {
		return i, Errorf(ErrInvalid, "name %s must be 1 to 255 letters, digits or any of - _ . : @ +", quote(i.Name))
	}
	return i, nil
}

func goodIdentityName(name string) bool {
	return name != "" && len(name) <= maxIdentityName && strings.IndexFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-_.:@+", r)
	}) < 0
}

// fingerprintOf returns the SHA-256 of a certificate.
func fingerprintOf(der []byte) string {
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}

// parseCertificate reads one certificate in DER or PEM, and refuses one that will never
// be good for anything. What it is not, is never told by showing it: it may be a key.
func parseCertificate(data []byte, now time.Time) (*x509.Certificate, error) {
	if len(data) > maxCertificate {
		return nil, Errorf(ErrTooLarge, "certificate has %d bytes, the most is %d", len(data), maxCertificate)
	}
	if block, rest := pem.Decode(data); block != nil {
		if block.Type != "CERTIFICATE" {
			return nil, Errorf(ErrInvalid, "certificate: expected a certificate, found a %s block", block.Type)
		}
		if len(bytes.TrimSpace(rest)) > 0 {
			return nil, Errorf(ErrInvalid, "certificate: there is something after it; give one certificate")
		}
		data = block.Bytes
	}
	if len(data) == 0 {
		return nil, Errorf(ErrInvalid, "certificate is missing")
	}
	cert, err := x509.ParseCertificate(data)
	if err != nil {
		return nil, Errorf(ErrInvalid, "certificate is not one, or is damaged")
	}
	if now.After(cert.NotAfter) {
		return nil, Errorf(ErrInvalid, "certificate expired on %s", cert.NotAfter.UTC().Format(time.DateOnly))
	}
	switch key := cert.PublicKey.(type) {
	case *rsa.PublicKey:
		if key.N.BitLen() < leastRSA {
			return nil, Errorf(ErrInvalid, "certificate has an RSA key of %d bits, the least is %d", key.N.BitLen(), leastRSA)
		}
	case *ecdsa.PublicKey, ed25519.PublicKey:
	default:
		return nil, Errorf(ErrInvalid, "certificate has a key of a kind that is not known")
	}
	switch cert.SignatureAlgorithm {
	case x509.MD2WithRSA, x509.MD5WithRSA, x509.SHA1WithRSA, x509.DSAWithSHA1, x509.ECDSAWithSHA1:
		return nil, Errorf(ErrInvalid, "certificate is signed with %s, which is broken", cert.SignatureAlgorithm)
	default:
	}
	return cert, nil
}

// isAuthority reports whether a certificate may make others: it says that it is an
// authority, and does not say that its key is for other things only.
func isAuthority(cert *x509.Certificate) bool {
	return cert.BasicConstraintsValid && cert.IsCA && (cert.KeyUsage == 0 || cert.KeyUsage&x509.KeyUsageCertSign != 0)
}
