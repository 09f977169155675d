// Package streamtest has an image server for tests, which misbehaves on request.
package streamtest

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/openams/ams"
	"github.com/openams/ams/simplestreams"
)

// Fault is how a server misbehaves. It concerns requests whose path contains Path.
type Fault struct {
	Path   string // empty is every request
	Status int    // answers with it
	Header http.Header
	Half   bool          // sends half of the answer and breaks off
	Flip   bool          // changes the last byte
	More   bool          // goes on without end after the answer
	Hang   bool          // sends half and then nothing
	Delay  time.Duration // before the answer
	Times  int           // how often; 0 is always
}

// Server is an image server over a directory of its own.
type Server struct {
	*httptest.Server
	t   testing.TB
	dir string

	mu       sync.Mutex
	faults   []*Fault
	requests []string
	stop     chan struct{}
}

// New starts a server, which ends with the test.
func New(t testing.TB, opts simplestreams.HandlerOptions) *Server {
	t.Helper()
	s := &Server{t: t, dir: t.TempDir(), stop: make(chan struct{})}
	h, err := simplestreams.NewHandler(s.dir, opts)
	if err != nil {
		t.Fatal(err)
	}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.serve(h, w, r) }))
	t.Cleanup(func() {
		close(s.stop)
		s.Server.CloseClientConnections()
		s.Server.Close()
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// Source says where the server is.
func (s *Server) Source() ams.ImageSource { return ams.ImageSource{URL: s.URL} }

// Add puts a version of an image there: file names and contents in turn, as
// simplestreams.Handler wants them.
func (s *Server) Add(name, version string, files ...string) {
	s.t.Helper()
	dir, err := simplestreams.Path(name, version)
	if err == nil {
		err = os.MkdirAll(filepath.Join(s.dir, dir), 0o750)
	}
	for i := 0; i < len(files) && err == nil; i += 2 {
		err = os.WriteFile(filepath.Join(s.dir, dir, files[i]), []byte(files[i+1]), 0o600)
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// Remove takes an image away.
func (s *Server) Remove(name string) {
	s.t.Helper()
	if err := os.RemoveAll(filepath.Join(s.dir, strings.ReplaceAll(name, ":", "/"))); err != nil {
		s.t.Fatal(err)
	}
}

// Fail makes it misbehave.
func (s *Server) Fail(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, &f)
}

// Heal ends all faults.
func (s *Server) Heal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// Requests are the paths that were asked for, each preceded by the Authorization
// that came with it.
func (s *Server) Requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.requests...)
}

// take returns the fault that befalls a request, or nil.
func (s *Server) take(r *http.Request) *Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, r.Header.Get("Authorization")+" "+r.URL.Path)
	for i, f := range s.faults {
		if !strings.Contains(r.URL.Path, f.Path) {
			continue
		}
		if f.Times == 1 {
			s.faults = append(s.faults[:i:i], s.faults[i+1:]...)
		}
		f.Times--
		return f
	}
	return nil
}

func (s *Server) serve(h http.Handler, w http.ResponseWriter, r *http.Request) {
	f := s.take(r)
	if f == nil {
		h.ServeHTTP(w, r)
		return
	}
	s.wait(r, f.Delay)
	for key, values := range f.Header {
		w.Header()[key] = values
	}
	if f.Status != 0 {
		w.WriteHeader(f.Status)
		return
	}
	good := httptest.NewRecorder()
	h.ServeHTTP(good, r)
	body := good.Body.Bytes()
	switch {
	case f.Flip && len(body) > 0:
		body[len(body)-1] ^= 1
		_, _ = w.Write(body)
	case f.More:
		_, _ = w.Write(body)
		for chunk := make([]byte, 64<<10); r.Context().Err() == nil; {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	case f.Half || f.Hang:
		w.Header().Set("Content-Length", fmt.Sprint(len(body)))
		_, _ = w.Write(body[:len(body)/2])
		_ = http.NewResponseController(w).Flush()
		if f.Hang {
			s.wait(r, time.Hour)
		}
		panic(http.ErrAbortHandler) // breaks the connection off
	default:
		h.ServeHTTP(w, r)
	}
}

// wait waits, as long as the client and the test do.
func (s *Server) wait(r *http.Request, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.Context().Done():
	case <-s.stop:
	}
}
