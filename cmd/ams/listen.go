package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/user"
	"strconv"
	"syscall"
	"time"

	"github.com/openams/ams"
	"github.com/openams/ams/rest"
)

// servers are what the daemon serves.
type servers struct {
	all    []*http.Server
	where  []string
	failed chan error
}

// stopTime is how long requests under way may take to end.
const stopTime = 5 * time.Second

// listen serves the unix socket and TLS.
func (c *config) listen(h *rest.Handler, m *ams.Manager, log *slog.Logger) (*servers, error) {
	s := &servers{failed: make(chan error, 2)}
	unix, err := c.unixListener()
	if err != nil {
		return nil, err
	}
	mux := health(h, m)
	s.serve(h, mux, unix, "unix://"+c.Socket)
	if c.HTTPSAddress == "" {
		return s, nil
	}
	pair, err := serverPair(c.DataDir, c.Hosts)
	if err != nil {
		s.stop()
		return nil, err
	}
	l, err := net.Listen("tcp", c.HTTPSAddress)
	if err != nil {
		s.stop()
		return nil, err
	}
	s.serve(h, mux, tls.NewListener(l, rest.TLS(pair)), "https://"+l.Addr().String())
	log.Info("the certificate of this service", "fingerprint", fingerprint(pair))
	return s, nil
}

// health adds what says whether the daemon lives, and whether it is ready, to everybody.
func health(h http.Handler, m *ams.Manager) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/healthz":
			_, _ = w.Write([]byte("ok\n")) // its reader may be gone
		case "/readyz":
			ctx, cancel := context.WithTimeout(r.Context(), 100*time.Millisecond)
			defer cancel()
			if err := m.Ready(ctx); err != nil {
				http.Error(w, "not ready", http.StatusServiceUnavailable)
				return
			}
			_, _ = w.Write([]byte("ready\n")) // its reader may be gone
		default:
			h.ServeHTTP(w, r)
		}
	})
}

func (s *servers) serve(h *rest.Handler, mux http.Handler, l net.Listener, at string) {
	server := h.Server()
	server.Handler = mux
	s.all, s.where = append(s.all, server), append(s.where, at)
	go func() {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			s.failed <- fmt.Errorf("serving %s: %w", at, err)
		}
	}()
}

// stop lets requests under way end, for a while.
func (s *servers) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), stopTime)
	defer cancel()
	for _, server := range s.all {
		if server.Shutdown(ctx) != nil {
			_ = server.Close() // nothing more can be done for them
		}
	}
}

// firstFD is the first of the sockets that systemd passes.
const firstFD = 3

// unixListener returns the socket that systemd has passed, or makes it.
func (c *config) unixListener() (net.Listener, error) {
	if os.Getenv("LISTEN_PID") == strconv.Itoa(os.Getpid()) && os.Getenv("LISTEN_FDS") != "" {
		f := os.NewFile(firstFD, "socket of systemd")
		defer f.Close() //nolint:errcheck // the listener has its own
		return net.FileListener(f)
	}
	// A socket that nobody listens on is left from a daemon that was killed.
	if conn, err := net.Dial("unix", c.Socket); err == nil {
		_ = conn.Close()
		return nil, fmt.Errorf("socket %s: another daemon serves it", c.Socket)
	}
	if err := os.Remove(c.Socket); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	// Nobody else may connect before its mode is set.
	old := syscall.Umask(0o177)
	l, err := net.Listen("unix", c.Socket)
	syscall.Umask(old)
	if err != nil {
		return nil, err
	}
	mode := os.FileMode(0o600)
	if len(c.AllowedUIDs) > 0 {
		mode = 0o666 // who may use it is asked of each
	}
	if c.SocketGroup != "" {
		mode |= 0o060
		if err := c.chown(); err != nil {
			return nil, errors.Join(err, l.Close())
		}
	}
	if err := os.Chmod(c.Socket, mode); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

func (c *config) chown() error {
	g, err := user.LookupGroup(c.SocketGroup)
	if err != nil {
		return fmt.Errorf("socket-group: %w", err)
	}
	gid, err := strconv.Atoi(g.Gid)
	if err != nil {
		return fmt.Errorf("socket-group: %w", err)
	}
	return os.Chown(c.Socket, -1, gid)
}

// notify tells systemd how far the daemon is, where it was started by it.
func notify(state string) {
	at := os.Getenv("NOTIFY_SOCKET")
	if at == "" {
		return
	}
	conn, err := net.Dial("unixgram", at)
	if err != nil {
		return // it is told as a courtesy
	}
	defer conn.Close()               //nolint:errcheck // likewise
	_, _ = conn.Write([]byte(state)) // likewise
}
