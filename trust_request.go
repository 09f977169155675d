package ams

import (
	"net/mail"
	"strings"
	"time"
	"unicode"
)

// IdentityRequest says who is to be known.
type IdentityRequest struct {
	Method AuthMethod
	// Name is what people call it, 3 to 255 letters, digits, '-', '_', ':' and '.';
	// with AuthOIDC an email address too. Default: the common name of the
	// certificate if that keeps the rule and is free, or else the first 12 digits of
	// the fingerprint; with AuthOIDC the email.
	Name string
	// Email is required with AuthOIDC, and with that only: one address, without a
	// display name, as the identity provider writes it.
	Email string
	// Certificate is required with AuthTLS, and with that only: one certificate of
	// 64 KiB at most, in DER or PEM. It must not have expired. One that is not valid
	// yet is taken, and is of use once it is.
	Certificate []byte
	Groups      []string // names; none is allowed
}

// maxEmail bounds an email address, in bytes.
const maxEmail = 254

// identity returns what is asked for, as far as it can be told without the store.
func (r *IdentityRequest) identity(now time.Time) (Identity, error) {
	i := Identity{Method: r.Method, Name: r.Name, Email: r.Email, Groups: r.Groups}
	faults := newManifestFaults()
	switch r.Method {
	case AuthTLS:
		if r.Email != "" {
			faults.add("email", r.Email, "email is for the authentication method oidc only")
		}
		if r.Name != "" {
			faults.name("name", r.Name, true)
		}
		cert, fault := parseCertificate(r.Certificate)
		if fault == "" {
			fault = certificateFault(cert, now)
		}
		if fault != "" {
			faults.add("certificate", "", "certificate %s", fault)
			break
		}
		i.Certificate, i.Fingerprint, i.CA = cert.Raw, fingerprint(cert.Raw), isCA(cert)
	case AuthOIDC:
		if len(r.Certificate) > 0 {
			faults.add("certificate", "", "certificate is for the authentication method tls only")
		}
		if fault := emailFault(r.Email); fault != "" {
			faults.add("email", r.Email, "email %s", fault)
		}
		switch {
		case r.Name == "":
			i.Name = r.Email
		case emailFault(r.Name) != "":
			faults.name("name", r.Name, true)
		}
	case "":
		faults.add("method", "", "authentication method is required: tls or oidc")
	default:
		faults.add("method", string(r.Method), "authentication method %s not supported: use tls or oidc", quote(string(r.Method)))
	}
	return i, faults.err()
}

// emailFault says why a text is not an email address that can be compared.
func emailFault(s string) string {
	if s == "" {
		return "is required"
	}
	if len(s) > maxEmail {
		return "is longer than 254 bytes"
	}
	address, err := mail.ParseAddress(s)
	if err != nil || address.Address != s || address.Name != "" || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return quote(s) + " is not an address such as somebody@example.com"
	}
	return ""
}
