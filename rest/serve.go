package rest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/openams/ams"
)

// writeTime bounds how long a client may take to read an answer that is not a file.
const writeTime = 30 * time.Second

// ServeHTTP answers one request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path, raw, ok := clean(r.URL.EscapedPath())
	if !ok {
		h.serve(w, r, nil, false)
		return
	}
	if path != r.URL.Path || raw != r.URL.RawPath {
		to := *r.URL
		to.Path, to.RawPath = path, raw
		request := *r
		request.URL = &to
		r = &request
	}
	h.mux.ServeHTTP(w, r)
}

// serve answers a request for an endpoint: route is nil where there is none, though
// the path may be one of others.
func (h *Handler) serve(w http.ResponseWriter, r *http.Request, route *Route, path bool) {
	began := time.Now()
	counted := &counter{ResponseWriter: w}
	body := &countedBody{ReadCloser: r.Body}
	r.Body = body
	listener := listenerOf(r)
	defer func() {
		if fault := recover(); fault != nil {
			if err, ok := fault.(error); ok && errors.Is(err, http.ErrAbortHandler) {
				panic(fault)
			}
			h.opts.Logger.ErrorContext(r.Context(), "a request met a fault of ours", "method", r.Method, "path", r.URL.Path,
				"fault", fmt.Sprint(fault), "stack", string(debug.Stack()))
			if counted.status == 0 {
				_ = failure{ams.Errorf(ams.ErrInternal, "a fault")}.write(h, counted, r) // its reader may be gone
			}
		}
		if h.opts.Measure != nil {
			name := listener + "_none_" + known(r.Method)
			if route != nil {
				name = route.name(listener)
			}
			h.opts.Measure(Request{
				Handler: name, Method: known(r.Method), Status: counted.status, Took: time.Since(began),
				Received: body.n, Sent: counted.n,
			})
		}
	}()
	res := h.answer(counted, r, route, path)
	if f, ok := res.(failure); ok {
		h.logFailure(r, f.err)
	}
	if _, ok := res.(taken); ok {
		return
	}
	if _, ok := res.(raw); !ok {
		h.deadline(w, writeTime)
	}
	if err := res.write(h, counted, r); err != nil && counted.status < http.StatusBadRequest {
		// What was sent so far must not look whole.
		panic(http.ErrAbortHandler)
	}
}

// answer finds out who calls, whether they may, and what the answer is.
func (h *Handler) answer(w *counter, r *http.Request, route *Route, path bool) response {
	switch {
	case route == nil && path:
		return failure{withStatus(http.StatusMethodNotAllowed, ams.ErrUnsupported, "%s does not take %s", r.URL.Path, known(r.Method))}
	case route == nil:
		return failure{ams.Errorf(ams.ErrNotFound, "there is no such path")}
	}
	if over, ok := r.Context().Value(connKey).(*conn); (!ok || !over.local()) && !h.allowed(r.Context()) {
		w.Header().Set("Retry-After", "1")
		return failure{withStatus(http.StatusTooManyRequests, ams.ErrUnavailable, "too many requests; see the setting core.max_requests_per_second")}
	}
	q := &request{Request: r, h: h, w: w, route: route}
	var err error
	if q.caller, err = h.guard.identify(r); err != nil && !route.Access.Public && !route.Access.Secret {
		return failure{err}
	}
	if err := h.guard.permit(q); err != nil {
		return failure{err}
	}
	res, err := route.serve(q)
	if err != nil {
		if q.stalled.Load() {
			err = withStatus(http.StatusRequestTimeout, ams.ErrTimeout, "the body did not come: nothing was received for %s", h.opts.BodyTimeout)
		}
		return failure{err}
	}
	return res
}

// deadline bounds the writing of an answer. Where the server has no deadlines, as in
// tests without a connection, there is none.
func (h *Handler) deadline(w http.ResponseWriter, d time.Duration) {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(d))
}

// logFailure tells the log what the caller is not told, and of callers that were
// turned away.
func (h *Handler) logFailure(r *http.Request, err error) {
	status := statusOf(err)
	switch {
	case r.Context().Err() != nil:
	case status >= http.StatusInternalServerError && status != http.StatusServiceUnavailable:
		h.opts.Logger.ErrorContext(r.Context(), "a request failed", "method", r.Method, "path", r.URL.Path, "error", err)
	case status == http.StatusForbidden || status == http.StatusUnauthorized:
		h.opts.Logger.InfoContext(r.Context(), "a request was denied", "method", r.Method, "path", r.URL.Path,
			"remote", r.RemoteAddr, "caller", h.guard.describe(r), "error", err)
	}
}

// known returns a method, or "OTHER": metrics must not grow with what clients make up.
func known(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return method
	}
	return "OTHER"
}

// allowed takes one request from what the setting core.max_requests_per_second grants.
func (h *Handler) allowed(ctx context.Context) bool {
	limit := h.guard.limiter(ctx)
	return limit == nil || limit.Allow()
}

// counter counts what is sent.
type counter struct {
	http.ResponseWriter
	status int
	n      int64
}

// Unwrap is for http.ResponseController.
func (c *counter) Unwrap() http.ResponseWriter { return c.ResponseWriter }

func (c *counter) WriteHeader(status int) {
	if c.status == 0 {
		c.status = status
	}
	c.ResponseWriter.WriteHeader(status)
}

func (c *counter) Write(b []byte) (int, error) {
	if c.status == 0 {
		c.status = http.StatusOK
	}
	n, err := c.ResponseWriter.Write(b)
	c.n += int64(n)
	return n, err
}

// countedBody counts what is received.
type countedBody struct {
	io.ReadCloser
	n int64
}

func (c *countedBody) Read(b []byte) (int, error) {
	n, err := c.ReadCloser.Read(b)
	c.n += int64(n)
	return n, err
}

// listenerOf says over what a request came: "unix", "https" or "http".
func listenerOf(r *http.Request) string {
	switch over, ok := r.Context().Value(connKey).(*conn); {
	case ok && over.local():
		return "unix"
	case r.TLS != nil:
		return "https"
	}
	return "http"
}

// isUpgrade reports whether a request wants a websocket.
func isUpgrade(r *http.Request) bool {
	return strings.EqualFold(r.Header.Get("Upgrade"), "websocket")
}
