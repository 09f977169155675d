package rest

import (
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"
)

// Kind says what an endpoint answers.
type Kind string

// The kinds.
const (
	Sync      Kind = "sync"      // a reply with the result
	Async     Kind = "async"     // a reply with an operation
	Raw       Kind = "raw"       // a file
	Websocket Kind = "websocket" // an upgraded connection
)

// Access says who may use an endpoint.
type Access struct {
	// Public endpoints are for everybody, trusted or not.
	Public bool
	// Secret endpoints are for whoever has the secret of a websocket.
	Secret bool
	// Authenticated endpoints are for every caller that is known, whatever it may do;
	// what they show is what the caller may see.
	Authenticated bool
	// Entitlement is needed on the object of the path, of type Type, or on the
	// server where Type is "server".
	Type        string
	Entitlement string
}

// Route is one endpoint.
type Route struct {
	Method string
	Path   string // "/1.0/instances/{id}"
	Name   string // in metrics: "instances"
	Kind   Kind
	Access Access
	Doc    string // one sentence
	Query  []Parameter
	Body   any // a value of the type the body is of; nil is none
	Upload any // a value of the type that X-AMS-Request is of, where the body may be a file
	Result any // a value of the type of the reply's metadata; nil is none
	List   any // of the elements of the reply's list, where recursion is asked for

	serve func(*request) (response, error)
}

// Parameter is one parameter of a query.
type Parameter struct {
	Name string
	Type string // "string", "integer", "boolean"
	Doc  string
}

// pattern turns a path into one of http.ServeMux that matches it alone.
func pattern(path string) string {
	if path == "/" {
		return "/{$}"
	}
	return path
}

// name tells the endpoint in metrics: the listener, the object, the method.
func (r *Route) name(listener string) string { return listener + "_" + r.Name + "_" + r.Method }

// clean returns an escaped path as routes know it, unescaped and escaped: slashes at the
// front that are too many and one at the end do not count. It reports whether the path is
// one at all: no empty element, none that is "." or "..", no control character.
func clean(escaped string) (path, raw string, ok bool) {
	raw = "/" + strings.TrimLeft(escaped, "/")
	if len(raw) > 1 {
		raw = strings.TrimSuffix(raw, "/")
	}
	if raw == "/" {
		return raw, raw, true
	}
	for element := range strings.SplitSeq(raw[1:], "/") {
		text, err := url.PathUnescape(element)
		if err != nil || text == "" || text == "." || text == ".." ||
			strings.IndexFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f || r == utf8.RuneError }) >= 0 {
			return "", "", false
		}
	}
	path, err := url.PathUnescape(raw)
	return path, raw, err == nil
}

// resource is all endpoints of one path; none is for a path that is not there.
type resource struct {
	h       *Handler
	methods map[string]*Route
}

func (s *resource) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	s.h.serve(w, r, s.methods[method], len(s.methods) > 0)
}
