package lxd

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/canonical/lxd/shared/api"
)

const (
	dialTime   = 10 * time.Second // for a connection to the only daemon
	memberTime = 4 * time.Second  // for one to a member, then the next is tried

	// When a member has vanished without a word, its connections end after this
	// time: so long nothing arrives of what was sent, or of what asks whether it
	// is there.
	silence    = 7 * time.Second
	probeFirst = 3 * time.Second // of silence
	probeNext  = 2 * time.Second
	probes     = 2
)

// route is where a cluster is reached: the members that the Config names, and
// those that the cluster told of. Connections go to one of them until it does not
// take one, and then to the next that does.
type route struct {
	mu     sync.Mutex
	given  []string // host:port
	learnt []string // host:port
	at     string   // where connections go
}

// order returns the members in the order in which they are to be tried.
func (r *route) order() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var list []string
	for _, a := range slices.Concat([]string{r.at}, r.given, r.learnt) {
		if a != "" && !slices.Contains(list, a) {
			list = append(list, a)
		}
	}
	return list
}

// use makes connections go to a member, and reports whether they went to another.
func (r *route) use(address string) (moved bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	moved = r.at != "" && r.at != address
	r.at = address
	return moved
}

// learn replaces the members that the cluster told of.
func (r *route) learn(addresses []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.learnt = slices.Clone(addresses)
	if !slices.Contains(r.given, r.at) && !slices.Contains(r.learnt, r.at) {
		r.at = "" // it has left
	}
}

// learn remembers where the members of the cluster are reached, those that are
// online first.
func (l *link) learn(members []api.ClusterMember) {
	var online, others []string
	for _, m := range members {
		u, err := url.Parse(m.URL)
		switch {
		case err != nil || u.Scheme != "https" || u.Host == "":
		case m.Status == "Online":
			online = append(online, hostPort(u))
		default:
			others = append(others, hostPort(u))
		}
	}
	l.route.learn(append(online, others...))
}

// hostPort returns what a URL's connections go to, as package net writes it.
func hostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = "443"
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// dial connects to the unix socket, or to a member that takes the connection. What
// is asked of a member that does not has not been sent, so the next may be asked.
func (l *link) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	return l.connect(ctx, network, addr, nil)
}

// dialTLS is dial, and has the member show its certificate.
func (l *link) dialTLS(ctx context.Context, network, addr string) (net.Conn, error) {
	return l.connect(ctx, network, addr, func(ctx context.Context, conn net.Conn) (net.Conn, error) {
		config := l.tls.Clone()
		if config.ServerName == "" {
			config.ServerName, _, _ = net.SplitHostPort(addr)
		}
		secure := tls.Client(conn, config)
		return secure, secure.HandshakeContext(ctx)
	})
}

func (l *link) connect(ctx context.Context, network, addr string, greet func(context.Context, net.Conn) (net.Conn, error)) (net.Conn, error) {
	if _, _, err := net.SplitHostPort(addr); err != nil {
		addr = net.JoinHostPort(addr, "443")
	}
	switch {
	case l.cfg.URL == "":
		return l.try(ctx, "unix", l.cfg.Socket, false, greet)
	case addr != l.host: // a proxy
		return l.try(ctx, network, addr, false, greet)
	}
	var errs []error
	members := l.route.order()
	for _, member := range members {
		conn, err := l.try(ctx, network, member, len(members) > 1, greet)
		if err == nil {
			if l.route.use(member) {
				l.shared.CloseIdleConnections() // they lead to where nobody answered
			}
			return conn, nil
		}
		errs = append(errs, fmt.Errorf("%s: %w", member, err))
		if ctx.Err() != nil {
			break
		}
	}
	return nil, errors.Join(errs...)
}

// try connects to one address. One of several gets less time, and is given up
// earlier when it has vanished.
func (l *link) try(ctx context.Context, network, addr string, several bool, greet func(context.Context, net.Conn) (net.Conn, error)) (net.Conn, error) {
	d, bound := net.Dialer{}, dialTime
	if several {
		bound = memberTime
		d.Control = giveUp
		d.KeepAliveConfig = net.KeepAliveConfig{Enable: true, Idle: probeFirst, Interval: probeNext, Count: probes}
	}
	ctx, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	conn, err := d.DialContext(ctx, network, addr)
	if err != nil || greet == nil {
		return conn, err
	}
	greeted, err := greet(ctx, conn)
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return greeted, nil
}
