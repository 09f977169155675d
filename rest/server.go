package rest

import (
	"log/slog"
	"net/http"
	"time"
)

// The bounds of a connection.
const (
	headerTime = 10 * time.Second
	idleTime   = 2 * time.Minute
	maxHeader  = 64 << 10
)

// Server returns a server for the handler, with bounds on what a client may send before
// it is known what it wants. For TLS, serve a listener of tls.NewListener with TLS.
func (h *Handler) Server() *http.Server {
	return &http.Server{
		Handler: h, ConnContext: h.ConnContext, ReadHeaderTimeout: headerTime, IdleTimeout: idleTime, MaxHeaderBytes: maxHeader,
		ErrorLog: slog.NewLogLogger(h.opts.Logger.Handler(), slog.LevelDebug), // what clients do wrong
	}
}
