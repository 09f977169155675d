package lxd

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/canonical/lxd/shared/api"

	"github.com/openams/ams"
)

// joinMark is the name of our certificate at a machine that joins.
const joinMark = "ams-join"

// machine is an LXD that is to join, and is told so with a client's certificate.
type machine struct {
	*Backend           // for its calls only
	address     string // host:port
	fingerprint string // of its certificate
	own         string // fingerprint of ours
	added       bool   // it did not trust ours before
	server      *api.Server
}

// meet asks a machine who it is. From then on only who shows that certificate is
// talked to.
func (b *Backend) meet(ctx context.Context, join ams.NodeJoin, address string) (*machine, error) {
	var token api.CertificateAddToken
	if join.TrustToken != "" {
		raw, err := base64.StdEncoding.DecodeString(join.TrustToken)
		if err == nil {
			err = json.Unmarshal(raw, &token)
		}
		if err != nil || token.Fingerprint == "" || token.Secret == "" {
			return nil, ams.Errorf(ams.ErrInvalid, "the trust token is not one of LXD's")
		}
	}
	cert, err := b.certificateOf(ctx, address)
	if err != nil {
		return nil, ams.Errorf(ams.ErrUnavailable, "node %q does not answer at %s: %v", join.Name, address, err)
	}
	m := &machine{address: address, fingerprint: digest(cert)}
	if token.Fingerprint != "" && !strings.EqualFold(token.Fingerprint, m.fingerprint) {
		return nil, ams.Errorf(ams.ErrInvalid, "the trust token is for another machine than answers at %s", address)
	}
	cfg := Config{
		URL:        "https://" + address,
		Project:    "default",
		ServerCert: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})),
		ClientCert: b.cfg.ClientCert,
		ClientKey:  b.cfg.ClientKey,
	}
	if b.cfg.URL == "" {
		if cfg.ClientCert, cfg.ClientKey, err = newClientCert(time.Now()); err != nil {
			return nil, err
		}
	}
	block, _ := pem.Decode([]byte(cfg.ClientCert))
	if block == nil {
		return nil, ams.Errorf(ams.ErrInvalid, "ClientCert is not PEM")
	}
	m.own = digest(block.Bytes)
	l, err := newLink(cfg)
	if err != nil {
		return nil, err
	}
	m.Backend = &Backend{cfg: cfg, link: l}
	return m, nil
}

func digest(der []byte) string {
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}

// certificateOf returns the certificate that is shown at an address.
func (b *Backend) certificateOf(ctx context.Context, address string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	// Whoever answers is the one; see AddNode.
	d := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}}
	conn, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	defer conn.Close() //nolint:errcheck // nothing was sent
	secure, ok := conn.(*tls.Conn)
	if !ok || len(secure.ConnectionState().PeerCertificates) == 0 {
		return nil, fmt.Errorf("no certificate is shown")
	}
	return secure.ConnectionState().PeerCertificates[0].Raw, nil
}

// newClientCert makes a certificate for one join.
func newClientCert(now time.Time) (cert, key string, err error) {
	k, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		return "", "", err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()),
		Subject:      pkix.Name{CommonName: joinMark},
		NotBefore:    now.Add(-time.Hour),
		NotAfter:     now.Add(24 * time.Hour),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &k.PublicKey, k)
	if err != nil {
		return "", "", err
	}
	private, err := x509.MarshalECPrivateKey(k)
	if err != nil {
		return "", "", err
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: private})), nil
}

// trust makes the machine trust us.
func (m *machine) trust(ctx context.Context, join ams.NodeJoin) error {
	return m.do(ctx, func(c server) error {
		s, _, err := c.GetServer()
		if err != nil {
			return err
		}
		if s.Auth != "trusted" {
			post := api.CertificatesPost{Type: "client", Name: joinMark, Password: join.TrustPassword}
			switch {
			case join.TrustToken == "":
			case slices.Contains(s.APIExtensions, "explicit_trust_token"):
				post.TrustToken = join.TrustToken
			default:
				post.Password = join.TrustToken
			}
			err := c.CreateCertificate(post)
			if api.StatusErrorCheck(err, http.StatusForbidden, http.StatusBadRequest, http.StatusNotFound, http.StatusUnauthorized) {
				return ams.Errorf(ams.ErrInvalid, "node %q does not accept the trust password or token: %w", join.Name, err)
			}
			if err != nil {
				return err
			}
			m.added = true
			if s, _, err = c.GetServer(); err != nil {
				return err
			}
		}
		m.server = s
		return nil
	})
}

// fit checks that a machine can join: LXD would discard what it has. What a join
// that was broken off has left there is removed first.
func (b *Backend) fit(ctx context.Context, m *machine) error {
	var version string
	var pools, networks []string
	err := b.do(ctx, func(c server) error {
		s, _, err := c.GetServer()
		if err != nil {
			return err
		}
		version = s.Environment.ServerVersion
		if pools, err = c.GetStoragePoolNames(); err != nil {
			return err
		}
		networks, err = managed(c)
		return err
	})
	if err != nil {
		return err
	}
	refuse := func(format string, args ...any) error {
		return ams.Errorf(ams.ErrState, "the machine at %s %s", m.address, fmt.Sprintf(format, args...))
	}
	switch {
	case m.server.Environment.ServerClustered:
		return refuse("is a member of another cluster")
	case m.server.Environment.ServerVersion != version:
		return refuse("has LXD %s, and the cluster %s", m.server.Environment.ServerVersion, version)
	}
	return m.do(ctx, func(c server) error {
		if err := m.clean(c, pools, networks); err != nil {
			return err
		}
		instances, err := c.GetInstancesAllProjects(api.InstanceTypeAny)
		if err != nil {
			return err
		}
		if len(instances) > 0 {
			return refuse("has %d instances, among them %q: LXD would lose them", len(instances), instances[0].Name)
		}
		own, err := c.GetStoragePoolNames()
		if err != nil {
			return err
		}
		if len(own) > 0 {
			return refuse("has the storage pool %q: LXD would lose it; join it before it is set up", own[0])
		}
		if own, err = managed(c); err != nil {
			return err
		}
		if len(own) > 0 {
			return refuse("has the network %q: LXD would lose it; join it before it is set up", own[0])
		}
		return nil
	})
}

// clean removes what a join has left on a machine that died, or whose teller died,
// in the middle of it: then it trusts a certificate of ours from before, and what
// it has of the cluster's pools and networks was made by that join, for it had
// none. LXD removes nothing that is in use.
func (m *machine) clean(c server, pools, networks []string) error {
	certs, err := c.GetCertificates()
	if err != nil {
		return err
	}
	left := false
	for _, cert := range certs {
		left = left || cert.Name == joinMark && (cert.Fingerprint != m.own || !m.added)
	}
	if !left {
		return nil
	}
	if p, _, err := c.GetProfile("default"); err == nil && len(p.UsedBy) == 0 {
		_ = c.UpdateProfile("default", api.ProfilePut{Description: p.Description}, "") // the cluster's
	}
	for _, name := range networks {
		_ = c.DeleteNetwork(name)
	}
	for _, name := range pools {
		_ = c.DeleteStoragePool(name)
	}
	return nil
}

// managed returns the names of LXD's own networks.
func managed(c server) ([]string, error) {
	all, err := c.GetNetworks()
	var names []string
	for _, n := range all {
		if n.Managed {
			names = append(names, n.Name)
		}
	}
	return names, err
}
