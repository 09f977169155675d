package rest

import (
	"net/http"

	"github.com/openams/ams"
)

// everybody may use it, trusted or not.
func everybody() Access { return Access{Public: true} }

// known callers may use it; what they see is what they may.
func authenticated() Access { return Access{Authenticated: true} }

// onServer needs an entitlement on the server.
func onServer(entitlement string) Access { return Access{Type: "server", Entitlement: entitlement} }

// on needs an entitlement on the object of the path.
func on(kind, entitlement string) Access { return Access{Type: kind, Entitlement: entitlement} }

// errDenied is the answer to whoever may not.
func errDenied() error { return ams.Errorf(ams.ErrDenied, "Not Authorized") }

// permit reports whether the caller of a request may use its endpoint. Whether an
// object exists is told only to those who may use it.
func (g *guard) permit(q *request) error {
	access := q.route.Access
	switch {
	case access.Public || access.Secret:
		return nil
	case q.caller == nil || !q.caller.known:
		return errDenied()
	case access.Authenticated || q.caller.admin:
		return nil
	case access.Type == "server":
		if q.caller.may("server", "", access.Entitlement) {
			return nil
		}
		return errDenied()
	}
	id, err := g.resolve(q.Context(), access.Type, q.PathValue("id"))
	if err != nil && ams.CodeOf(err) != ams.ErrNotFound {
		return err
	}
	if err != nil || !q.caller.may(access.Type, id, access.Entitlement) {
		return errDenied()
	}
	return nil
}

// unauthorized is the answer to a token that is none, or is none any more.
func unauthorized(format string, args ...any) error {
	return withStatus(http.StatusUnauthorized, ams.ErrDenied, format, args...)
}
