package client

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"math/big"
	"net"
	"net/url"
	"time"

	"github.com/openams/ams"
)

// Fingerprint returns the SHA-256 of a certificate in DER, in lower-case hexadecimal.
func Fingerprint(der []byte) string {
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}

// FetchCertificate returns the certificate of the service at an address, "https://…",
// without trusting it: its fingerprint is to be compared by somebody who knows it. It
// takes 30 seconds at most. ErrUnavailable, ErrInvalid.
func FetchCertificate(ctx context.Context, address string) (*x509.Certificate, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" || u.Host == "" {
		return nil, ams.Errorf(ams.ErrInvalid, "address %.100q must be https://<host>:<port>", address)
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	host := u.Host
	if u.Port() == "" {
		host = net.JoinHostPort(u.Hostname(), "443")
	}
	d := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13}} //nolint:gosec // to be shown, not trusted
	conn, err := d.DialContext(ctx, "tcp", host)
	if err != nil {
		return nil, ams.Errorf(ams.ErrUnavailable, "the service does not answer: %w", err)
	}
	defer conn.Close() //nolint:errcheck // nothing was sent
	secure, ok := conn.(*tls.Conn)
	if !ok || len(secure.ConnectionState().PeerCertificates) == 0 {
		return nil, ams.Errorf(ams.ErrUnavailable, "the service shows no certificate")
	}
	return secure.ConnectionState().PeerCertificates[0], nil
}

// keyTime is how long a certificate of NewKeyPair is good.
const keyTime = 10 * 365 * 24 * time.Hour

// NewKeyPair makes a key and a certificate for it, both in PEM. With hosts it is one for
// a service that is reached under those names and addresses; without, one for a client.
func NewKeyPair(name string, hosts ...string) (certificate, key []byte, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		return nil, nil, ams.Errorf(ams.ErrInternal, "making a key: %w", err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, nil, ams.Errorf(ams.ErrInternal, "making a key: %w", err)
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name, Organization: []string{"AMS"}},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(keyTime), // clocks differ
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, BasicConstraintsValid: true,
	}
	if len(hosts) > 0 {
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, h)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		return nil, nil, ams.Errorf(ams.ErrInternal, "making a certificate: %w", err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, nil, ams.Errorf(ams.ErrInternal, "making a key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}), nil
}

// TLSConfig returns the configuration of a client that shows a certificate, in PEM with
// its key, and talks to one service only: that with the certificate server. ErrInvalid.
func TLSConfig(certificate, key []byte, server *x509.Certificate) (*tls.Config, error) {
	cfg := &tls.Config{
		MinVersion: tls.VersionTLS13,
		// The name and the maker of a certificate that is known byte by byte do not matter.
		InsecureSkipVerify: true, //nolint:gosec // VerifyConnection checks more
		VerifyConnection: func(s tls.ConnectionState) error {
			if len(s.PeerCertificates) == 0 || !s.PeerCertificates[0].Equal(server) {
				return ams.Errorf(ams.ErrDenied, "the service shows another certificate than the one that is trusted: it may be somebody else")
			}
			return nil
		},
	}
	if certificate != nil {
		pair, err := tls.X509KeyPair(certificate, key)
		if err != nil {
			return nil, ams.Errorf(ams.ErrInvalid, "certificate and key: %w", err)
		}
		cfg.Certificates = []tls.Certificate{pair}
	}
	return cfg, nil
}
