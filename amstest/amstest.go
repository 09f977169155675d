// Package amstest gives tests the real service over the fake backend: a host's own
// tests talk to it as to any other.
package amstest

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/openams/ams"
	"github.com/openams/ams/backend/fake"
	"github.com/openams/ams/rest"
	"github.com/openams/ams/storage/mem"
)

// Server is a running service.
type Server struct {
	*ams.Manager
	Backend *fake.Backend
	Handler *rest.Handler
	Socket  string // the path of the unix socket it serves
}

// Options change how a Server is set up. The zero value is good.
type Options struct {
	Backend fake.Options
	Config  ams.Config // its Store and Backend, if set, are used instead of new ones
	Rest    rest.Options
}

// NewServer starts a service on a unix socket, on which the test may do everything, and
// stops it when the test ends. It waits until the service is ready.
func NewServer(t testing.TB) *Server {
	t.Helper()
	return NewServerWith(t, Options{})
}

// NewServerWith is NewServer with options.
func NewServerWith(t testing.TB, opts Options) *Server {
	t.Helper()
	s := &Server{}
	cfg := opts.Config
	if cfg.Backend == nil {
		s.Backend = fake.New(opts.Backend)
		cfg.Backend = s.Backend
	}
	if cfg.Store == nil {
		cfg.Store = mem.New()
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Rest.Logger == nil {
		opts.Rest.Logger = cfg.Logger
	}
	m, err := ams.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	s.Manager, s.Handler = m, rest.NewHandler(m, opts.Rest)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- m.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("the manager ended with %v", err)
		}
	})
	if err := m.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	// Not t.TempDir: its paths may be too long for a socket.
	dir, err := os.MkdirTemp("", "ams")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	s.Socket = filepath.Join(dir, "s")
	l, err := net.Listen("unix", s.Socket)
	if err != nil {
		t.Fatal(err)
	}
	s.serve(t, l)
	return s
}

// Listen has the service on one more listener until the test ends.
func (s *Server) Listen(t testing.TB, l net.Listener) {
	t.Helper()
	s.serve(t, l)
}

func (s *Server) serve(t testing.TB, l net.Listener) {
	server := s.Handler.Server()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(l) // until it is closed
	}()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if server.Shutdown(ctx) != nil {
			_ = server.Close()
		}
		<-done
	})
}

// HTTP returns a client whose requests all go to the service, whatever their host.
func (s *Server) HTTP() *http.Client {
	return &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", s.Socket)
		},
		DisableKeepAlives: true,
	}}
}
