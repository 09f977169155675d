package ams_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"time"

	"github.com/openams/ams"
	"github.com/openams/ams/backend/fake"
	"github.com/openams/ams/storage/mem"
)

// A client joins with a token, is known at once with what the group may do, and is
// unknown again as soon as its identity is deleted.
func ExampleManager_Trust() {
	ctx := context.Background()
	m, err := ams.New(ams.Config{Store: mem.New(), Backend: fake.New(fake.Options{}), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		fmt.Println(err)
		return
	}
	do := func(_ ams.Operation, err error) {
		if err != nil {
			fmt.Println(err)
		}
	}
	do(m.Groups.Create(ctx, "launchers", "They launch instances."))
	permissions := []ams.Permission{{Entitlement: "can_create_instances", Resource: "server"}}
	do(m.Groups.Set(ctx, "launchers", ams.GroupPatch{Permissions: &permissions}))

	token, err := m.Tokens.Issue(ctx, ams.JoinTokenRequest{Name: "laptop", Groups: []string{"launchers"}, Lifetime: 10 * time.Minute})
	if err != nil {
		fmt.Println(err)
	}
	certificate := selfSigned("laptop")
	_, err = m.Identities.Enroll(ctx, certificate.Raw, token.Secret) // the client says both
	if err != nil {
		fmt.Println(err)
	}

	request := func() { // with the certificates of a TLS connection
		trust, err := m.Trust(ctx)
		if err != nil {
			fmt.Println(err)
			return
		}
		client, err := trust.ByCertificate([]*x509.Certificate{certificate}, time.Now())
		if errors.Is(err, ams.ErrDenied) {
			fmt.Println("denied")
			return
		}
		for _, name := range client.Groups {
			group, _ := trust.Group(name)
			fmt.Println(client.Name, "in", group.Name, group.Permissions)
		}
	}
	request()
	do(m.Identities.Delete(ctx, "tls/laptop", true))
	request()
	// Output:
	// laptop in launchers [{can_create_instances server}]
	// denied
}

// selfSigned makes a certificate as a client makes its own.
func selfSigned(name string) *x509.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().AddDate(1, 0, 0),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return cert
}
