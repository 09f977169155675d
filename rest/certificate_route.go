package rest

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"

	"github.com/openams/ams"
	"github.com/openams/ams/api"
)

func certificateRoutes() []Route {
	const base = "/1.0/certificates"
	return []Route{
		{
			Method: http.MethodGet, Path: base, Name: "certificates", Kind: Sync, Access: authenticated(), Doc: "Lists trusted certificates.",
			Query: pageQuery(), Result: []string{}, List: api.Certificate{}, serve: listCertificates,
		},
		{
			Method: http.MethodPost, Path: base, Name: "certificates", Kind: Async, Access: everybody(),
			Doc: "Trusts a certificate. Who is not trusted needs the trust password, or a join token, and adds its own.", Body: api.CertificatesPost{}, serve: addCertificate,
		},
		{
			Method: http.MethodGet, Path: base + "/{id}", Name: "certificate", Kind: Sync, Access: on("identity", "can_view"),
			Doc: "Shows a trusted certificate.", Result: api.Certificate{}, serve: showCertificate,
		},
		{
			Method: http.MethodDelete, Path: base + "/{id}", Name: "certificate", Kind: Async, Access: on("identity", "can_delete"),
			Doc: "Trusts a certificate no longer.", serve: deleteCertificate,
		},
	}
}

// fingerprint returns the SHA-256 of a certificate.
func fingerprint(der []byte) string {
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}

func certificateOf(i *ams.Identity) (api.Certificate, error) {
	return api.Certificate{Certificate: pemOf(i.Certificate), Fingerprint: i.Fingerprint}, nil
}

func listCertificates(q *request) (response, error) {
	list, total, err := paged(q, "identity", func(p ams.Page) ([]ams.Identity, int, error) {
		return q.h.m.Identities.List(q.Context(), ams.IdentityFilter{Method: ams.AuthTLS}, p)
	}, func(i *ams.Identity) string { return i.ID })
	if err != nil {
		return nil, err
	}
	return shown(q, list, total, func(i *ams.Identity) string { return "/1.0/certificates/" + i.Fingerprint }, certificateOf)
}

func showCertificate(q *request) (response, error) {
	i, err := q.h.m.Identities.Get(q.Context(), q.PathValue("id"))
	if err != nil {
		return nil, err
	}
	if i.Method != ams.AuthTLS {
		return nil, &ams.Error{Code: ams.ErrNotFound, Kind: "certificate", ID: q.PathValue("id")}
	}
	c, err := certificateOf(&i)
	return result{value: c, etag: etag(i.Rev)}, err
}

func deleteCertificate(q *request) (response, error) {
	i, err := q.h.m.Identities.Get(q.Context(), q.PathValue("id"))
	if err != nil {
		return nil, err
	}
	if _, err := q.h.m.Identities.Delete(q.Context(), i.ID, true); err != nil {
		return nil, err
	}
	return q.at("Removing certificate", map[string][]string{"certificates": {"/1.0/certificates/" + i.Fingerprint}}), nil
}

// addCertificate trusts a certificate: any, for a caller that may register identities;
// the caller's own, for one that has the trust password or a join token.
func addCertificate(q *request) (response, error) {
	var post api.CertificatesPost
	if err := q.body(&post); err != nil {
		return nil, err
	}
	if q.caller != nil && q.caller.may("server", "", "can_register_identities") && post.TrustPassword == "" && post.JoinToken == "" {
		der, err := derOf(post.Certificate)
		if err != nil {
			return nil, err
		}
		groups := []string(nil)
		if q.caller.admin {
			groups = []string{"admin"}
		}
		if _, err := q.h.m.Identities.Create(q.Context(), ams.IdentityRequest{Method: ams.AuthTLS, Certificate: der, Groups: groups}); err != nil {
			return nil, err
		}
		return q.at("Adding certificate", map[string][]string{"certificates": {"/1.0/certificates/" + fingerprint(der)}}), nil
	}
	return q.enroll(&post)
}

// enroll trusts the certificate of a caller that is not trusted yet.
func (q *request) enroll(post *api.CertificatesPost) (response, error) {
	now := q.h.now()
	if q.h.guard.guesses.blocked(q.Request, now) {
		return nil, withStatus(http.StatusTooManyRequests, ams.ErrDenied, "too many wrong guesses; wait a minute")
	}
	secret := post.JoinToken
	if secret == "" {
		secret = post.TrustPassword
	}
	if secret == "" {
		return nil, errDenied()
	}
	var der []byte
	switch {
	case post.Certificate != "":
		var err error
		if der, err = derOf(post.Certificate); err != nil {
			return nil, err
		}
	case q.TLS != nil && len(q.TLS.PeerCertificates) > 0:
		der = q.TLS.PeerCertificates[0].Raw
	default:
		return nil, ams.Errorf(ams.ErrInvalid, "certificate is missing")
	}
	i, err := q.h.m.Identities.Enroll(q.Context(), der, secret)
	if ams.CodeOf(err) == ams.ErrDenied {
		q.h.guard.guesses.failed(q.Request, now)
	}
	if err != nil {
		return nil, err
	}
	path := "/1.0/certificates/" + i.Fingerprint
	who := &caller{identity: i}
	return begun{q.h.locals.done(now, "Adding certificate", map[string][]string{"certificates": {path}}, who.same)}, nil
}
