package rest

import (
	"crypto/tls"
)

// TLS returns what a listener needs to serve certificate: TLS 1.3, with whatever
// certificate the client has, or none. Who is trusted is decided for each request, and
// no session outlives its connection, so that nothing that was trusted once is trusted
// longer.
func TLS(certificate *tls.Certificate) *tls.Config {
	return &tls.Config{
		MinVersion:             tls.VersionTLS13,
		GetCertificate:         func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return certificate, nil }, // whatever the name
		ClientAuth:             tls.RequestClientCert,
		SessionTicketsDisabled: true,
		NextProtos:             []string{"http/1.1"},
	}
}
