package main

import (
	"context"
	"net"
	"net/http"
	"net/http/httputil"
	"path"
	"strings"
	"sync"
)

// proxy hands requests on to LXD and counts them.
type proxy struct {
	path     string
	listener net.Listener

	mu     sync.Mutex
	counts map[string]int
}

func openProxy(name, socket string) (*proxy, error) {
	l, err := net.Listen("unix", name)
	if err != nil {
		return nil, err
	}
	p := &proxy{path: name, listener: l, counts: map[string]int{}}
	to := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host = "http", "lxd"
		},
		Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", socket)
		}},
		FlushInterval: -1,
	}
	go func() {
		_ = http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { // it ends with the listener
			p.count(r)
			to.ServeHTTP(w, r)
		}))
	}()
	return p, nil
}

func (p *proxy) close() { _ = p.listener.Close() }

// count counts a request by its kind, without names.
func (p *proxy) count(r *http.Request) {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	for i := range parts {
		if i == 2 {
			parts[i] = "*"
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.counts[r.Method+" "+path.Join(parts[min(1, len(parts)-1):]...)]++
}

// reset returns the counts and begins anew.
func (p *proxy) reset() map[string]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	counts := p.counts
	p.counts = map[string]int{}
	return counts
}
