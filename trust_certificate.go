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
	"fmt"
	"strings"
	"time"
)

const (
	maxCertificate  = 64 << 10 // bytes, in DER or PEM
	minRSA, maxRSA  = 2048, 8192
	shortestFinger  = 12 // digits of a fingerprint that may stand for it
	pemBegin        = "-----BEGIN"
	pemCertificate  = "CERTIFICATE"
	maxIntermediate = 10 // certificates that a client may send beside its own
)

// parseCertificate reads one certificate, in DER or PEM, or says why it cannot. What
// it says never holds what it was given: that may be a key.
func parseCertificate(data []byte) (cert *x509.Certificate, fault string) {
	switch {
	case len(data) == 0:
		return nil, "is required"
	case len(data) > maxCertificate:
		return nil, fmt.Sprintf("has %d bytes (maximum %d)", len(data), maxCertificate)
	}
	der := data
	if bytes.Contains(data, []byte(pemBegin)) {
		block, rest := pem.Decode(data)
		switch {
		case block == nil:
			return nil, "is not whole: no PEM block in it can be read"
		case block.Type != pemCertificate:
			return nil, fmt.Sprintf("is expected, and a PEM block %s was found", quote(block.Type))
		case bytes.Contains(rest, []byte(pemBegin)):
			return nil, "must be alone: a second PEM block follows it"
		case len(bytes.TrimSpace(rest)) > 0:
			return nil, "must be alone: something follows it"
		}
		der = block.Bytes
	}
	cert, err := x509.ParseCertificate(der)
	if err == nil {
		return cert, ""
	}
	if _, err := x509.ParseCertificateRequest(der); err == nil {
		return nil, "is expected, and a request for one was found"
	}
	if isKey(der) {
		return nil, "is expected, and a private key was found"
	}
	return nil, "is neither DER nor PEM of an X.509 certificate: " + err.Error()
}

// isKey reports whether der is a private key.
func isKey(der []byte) bool {
	_, pkcs8 := x509.ParsePKCS8PrivateKey(der)
	_, pkcs1 := x509.ParsePKCS1PrivateKey(der)
	_, ec := x509.ParseECPrivateKey(der)
	return pkcs8 == nil || pkcs1 == nil || ec == nil
}

// certificateFault says why nobody should be trusted by a certificate, whoever says so.
func certificateFault(cert *x509.Certificate, now time.Time) string {
	if now.After(cert.NotAfter) {
		return "expired on " + cert.NotAfter.UTC().Format(time.DateOnly)
	}
	if fault := keyFault(cert); fault != "" {
		return fault
	}
	switch cert.SignatureAlgorithm {
	case x509.MD2WithRSA, x509.MD5WithRSA, x509.SHA1WithRSA, x509.DSAWithSHA1, x509.ECDSAWithSHA1:
		return fmt.Sprintf("is signed with %s, which is not safe", cert.SignatureAlgorithm)
	}
	return ""
}

// keyFault says why the key of a certificate is of no use.
func keyFault(cert *x509.Certificate) string {
	switch key := cert.PublicKey.(type) {
	case *rsa.PublicKey:
		if n := key.N.BitLen(); n < minRSA || n > maxRSA {
			return fmt.Sprintf("has an RSA key of %d bits (%d to %d allowed)", n, minRSA, maxRSA)
		}
		return ""
	case *ecdsa.PublicKey, ed25519.PublicKey:
		return ""
	}
	return "has a key that is neither RSA, ECDSA nor Ed25519"
}

// isCA reports whether a certificate may sign others. That of a client which merely
// says that it is one may not.
func isCA(cert *x509.Certificate) bool {
	return cert.BasicConstraintsValid && cert.IsCA && (cert.KeyUsage == 0 || cert.KeyUsage&x509.KeyUsageCertSign != 0)
}

// certificateName is the common name, if an object may be called that, or else the
// beginning of the fingerprint.
func certificateName(cert *x509.Certificate, fingerprint string) string {
	faults := newManifestFaults()
	faults.name("name", cert.Subject.CommonName, true)
	if faults.err() != nil {
		return shortFingerprint(fingerprint)
	}
	return cert.Subject.CommonName
}

// fingerprint returns the SHA-256 of a certificate in lower-case hexadecimal.
func fingerprint(der []byte) string {
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}

// shortFingerprint is enough of a fingerprint for people.
func shortFingerprint(s string) string { return s[:min(shortestFinger, len(s))] }

// isFingerprint reports whether s may stand for a fingerprint.
func isFingerprint(s string) bool {
	return len(s) >= shortestFinger && len(s) <= 2*sha256.Size && strings.Trim(s, "0123456789abcdefABCDEF") == ""
}
