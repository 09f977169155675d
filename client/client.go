package client

import (
	"cmp"
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/openams/ams"
)

// Options say how a service is reached. The zero value is good for a unix socket.
type Options struct {
	// TLS is used for https; see TLSConfig. Nil trusts what the system trusts, and
	// sends no certificate.
	TLS *tls.Config
	// Token, if set, is asked for the bearer token of each request.
	Token func(ctx context.Context) (string, error)
	// Timeout bounds a request that is neither an upload, a download nor a wait.
	// Default 1 minute.
	Timeout time.Duration
	// UserAgent is sent with each request. Default "ams".
	UserAgent string
}

// Client reaches one service. Its fields are the services of an ams.Manager; all methods
// are safe for concurrent use.
type Client struct {
	Addons       *Addons
	Applications *Applications
	Groups       *Groups
	Identities   *Identities
	Images       *Images
	Instances    *Instances
	Tokens       *JoinTokens
	Nodes        *Nodes
	Operations   *Operations
	Settings     *Settings

	base *url.URL
	http *http.Client
	opts Options
}

// Open returns a client for the service at an address: "https://host:8444", or the path
// of a unix socket, also as "unix:///path". It does not connect. ErrInvalid.
func Open(address string, opts Options) (*Client, error) {
	opts.Timeout = cmp.Or(opts.Timeout, time.Minute)
	opts.UserAgent = cmp.Or(opts.UserAgent, "ams")
	c := &Client{opts: opts}
	dialer := &net.Dialer{Timeout: 10 * time.Second}
	transport := &http.Transport{
		DialContext: dialer.DialContext, TLSClientConfig: opts.TLS, TLSHandshakeTimeout: 10 * time.Second,
		MaxIdleConnsPerHost: 64, IdleConnTimeout: time.Minute, DisableCompression: true,
	}
	if path, ok := socketPath(address); ok {
		c.base = &url.URL{Scheme: "http", Host: "unix"}
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) { return dialer.DialContext(ctx, "unix", path) }
	} else {
		u, err := url.Parse(address)
		if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
			return nil, ams.Errorf(ams.ErrInvalid, "address %.100q must be https://<host>:<port>, or unix://<path>", address)
		}
		c.base = &url.URL{Scheme: u.Scheme, Host: u.Host}
	}
	c.http = &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	c.Addons, c.Applications, c.Groups, c.Identities = &Addons{c}, &Applications{c}, &Groups{c}, &Identities{c}
	c.Images, c.Instances, c.Tokens, c.Nodes = &Images{c}, &Instances{c}, &JoinTokens{c}, &Nodes{c}
	c.Operations, c.Settings = &Operations{c}, &Settings{c}
	return c, nil
}

// socketPath returns the path of the unix socket that an address names.
func socketPath(address string) (string, bool) {
	if path, ok := strings.CutPrefix(address, "unix://"); ok {
		return path, true
	}
	return address, strings.HasPrefix(address, "/") || strings.HasPrefix(address, ".")
}

// Close closes the connections that wait for more requests.
func (c *Client) Close() { c.http.CloseIdleConnections() }
