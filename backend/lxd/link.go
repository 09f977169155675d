package lxd

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	client "github.com/canonical/lxd/client"
	"github.com/canonical/lxd/shared/api"
	"github.com/gorilla/websocket"
	"github.com/pkg/sftp"

	"github.com/openams/ams"
)

// server is what is used of LXD's client.
type server interface {
	GetServer() (*api.Server, string, error)
	GetServerResources() (*api.Resources, error)
	GetClusterMembers() ([]api.ClusterMember, error)
	GetProfile(name string) (*api.Profile, string, error)
	GetStoragePool(name string) (*api.StoragePool, string, error)
	GetStoragePoolResources(name string) (*api.ResourcesStoragePool, error)
	GetNetwork(name string) (*api.Network, string, error)
	GetNetworkState(name string) (*api.NetworkState, error)
	GetNetworkLeases(name string) ([]api.NetworkLease, error)

	GetInstance(name string) (*api.Instance, string, error)
	GetInstanceFull(name string) (*api.InstanceFull, string, error)
	GetInstanceConsoleLog(name string, args *client.InstanceConsoleLogArgs) (io.ReadCloser, error)
	GetInstanceFileSFTP(name string) (*sftp.Client, error)
	CreateInstance(i api.InstancesPost) (client.Operation, error)
	UpdateInstance(name string, i api.InstancePut, etag string) (client.Operation, error)
	UpdateInstanceState(name string, state api.InstanceStatePut, etag string) (client.Operation, error)
	DeleteInstance(name string) (client.Operation, error)

	GetImages() ([]api.Image, error)
	GetImage(fingerprint string) (*api.Image, string, error)
	GetImageAlias(name string) (*api.ImageAliasesEntry, string, error)
	CreateImage(image api.ImagesPost, args *client.ImageCreateArgs) (client.Operation, error)
	CreateImageAlias(alias api.ImageAliasesPost) error
	DeleteImage(fingerprint string) (client.Operation, error)
	DeleteImageAlias(name string) error

	GetOperations() ([]api.Operation, error)
	GetOperationWait(id string, timeout int) (*api.Operation, string, error)
	GetOperationWebsocket(id, secret string) (*websocket.Conn, error)
	RawQuery(method, path string, data any, etag string) (*api.Response, string, error)
	DoHTTP(req *http.Request) (*http.Response, error)
	RawWebsocket(path string) (*websocket.Conn, error)
}

var _ server = client.InstanceServer(nil)

const (
	dialTime = 10 * time.Second
	idleTime = time.Minute

	handshakeTime = time.Minute // of a stream

	maxIdle = 64 // idle connections that are kept
)

// link is how LXD is reached: connections that are kept, shared by all calls.
type link struct {
	cfg    Config
	shared *http.Transport
}

// newLink checks the configuration and connects to nothing yet.
func newLink(cfg Config) (*link, error) {
	l := &link{cfg: cfg}
	l.shared = &http.Transport{MaxIdleConnsPerHost: maxIdle, IdleConnTimeout: idleTime}
	if cfg.URL == "" {
		l.shared.DialContext = l.dial
		return l, nil
	}
	if u, err := url.Parse(cfg.URL); err != nil || u.Scheme != "https" || u.Host == "" {
		return nil, ams.Errorf(ams.ErrInvalid, "URL %q: must be https://host:port", cfg.URL)
	}
	if cfg.ServerCert == "" {
		return nil, ams.Errorf(ams.ErrInvalid, "ServerCert must be set with a URL")
	}
	if _, err := tls.X509KeyPair([]byte(cfg.ClientCert), []byte(cfg.ClientKey)); err != nil {
		return nil, ams.Errorf(ams.ErrInvalid, "ClientCert and ClientKey: %w", err)
	}
	// The client knows best how to trust a daemon; it makes a transport per
	// connection, so its first one is the one that is kept.
	_, err := client.ConnectLXD(cfg.URL, l.args(func(t *http.Transport) client.HTTPTransporter {
		l.shared = t.Clone()
		l.shared.DisableKeepAlives = false
		l.shared.MaxIdleConnsPerHost, l.shared.IdleConnTimeout = maxIdle, idleTime
		return &session{own: t}
	}))
	if err != nil {
		return nil, ams.Errorf(ams.ErrInvalid, "ServerCert: %w", err)
	}
	return l, nil
}

func (l *link) args(wrap func(*http.Transport) client.HTTPTransporter) *client.ConnectionArgs {
	return &client.ConnectionArgs{
		TLSClientCert:    l.cfg.ClientCert,
		TLSClientKey:     l.cfg.ClientKey,
		TLSServerCert:    l.cfg.ServerCert,
		SkipGetServer:    true,
		TransportWrapper: wrap,
	}
}

// base is what a path comes after to make a URL.
func (l *link) base() string {
	if l.cfg.URL == "" {
		return "http://unix.socket"
	}
	return strings.TrimSuffix(l.cfg.URL, "/")
}

func (l *link) close() { l.shared.CloseIdleConnections() }

// dial connects to the unix socket, or to where the URL says.
func (l *link) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	if l.cfg.URL == "" {
		network, addr = "unix", l.cfg.Socket
	}
	d := net.Dialer{Timeout: dialTime}
	return d.DialContext(ctx, network, addr)
}

// session is one use of LXD's client. The client's calls take no context; in a
// session all of them end with the session's, its websockets included, and what
// they leave open is closed with it. A session costs no round trip.
type session struct {
	link    *link
	ctx     context.Context
	end     context.CancelFunc
	own     *http.Transport // made by the client; only websockets are dialled with it
	streams bool            // websockets may be opened

	mu   sync.Mutex
	open map[io.Closer]bool
}

// errNoStreams refuses the event stream which the client opens before each
// operation, if it can, and does without, if it cannot.
var errNoStreams = errors.New("no streams in this session")

// session returns a client for one use. The caller closes the session.
func (l *link) session(ctx context.Context, project, target string, streams bool) (server, *session, error) {
	s := &session{link: l, streams: streams, open: map[io.Closer]bool{}}
	s.ctx, s.end = context.WithCancel(ctx)
	wrap := func(t *http.Transport) client.HTTPTransporter {
		t.DialContext = s.dial
		s.own = t
		return s
	}
	var c client.InstanceServer
	var err error
	if l.cfg.URL == "" {
		c, err = client.ConnectLXDUnixWithContext(s.ctx, l.cfg.Socket, l.args(wrap))
	} else {
		c, err = client.ConnectLXDWithContext(s.ctx, l.cfg.URL, l.args(wrap))
	}
	if err != nil {
		s.end()
		return nil, nil, err
	}
	if project != "" && project != "default" {
		c = c.UseProject(project)
	}
	if target != "" {
		c = c.UseTarget(target)
	}
	return c, s, nil
}

// RoundTrip implements http.RoundTripper over the connections that are kept.
func (s *session) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := s.link.shared.RoundTrip(req.WithContext(s.ctx))
	if err != nil {
		return nil, err
	}
	body := &tracked{ReadCloser: resp.Body, s: s}
	s.track(body)
	resp.Body = body
	return resp, nil
}

// Transport implements the client's HTTPTransporter.
func (s *session) Transport() *http.Transport { return s.own }

// dial connects a stream that ends with the session.
func (s *session) dial(_ context.Context, network, addr string) (net.Conn, error) {
	if !s.streams {
		return nil, errNoStreams
	}
	conn, err := s.link.dial(s.ctx, network, addr)
	if err != nil {
		return nil, err
	}
	context.AfterFunc(s.ctx, func() { _ = conn.Close() })
	return &patient{conn}, nil
}

// patient is a stream that gives LXD more time to accept it than the five seconds
// that the client allows, which a busy machine exceeds.
type patient struct{ net.Conn }

// SetDeadline implements net.Conn; the client calls it around the handshake only.
func (p *patient) SetDeadline(t time.Time) error {
	if !t.IsZero() {
		t = time.Now().Add(handshakeTime)
	}
	return p.Conn.SetDeadline(t)
}

func (s *session) track(c io.Closer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open[c] = true
}

// close ends the session: requests, streams and bodies nobody closed.
func (s *session) close() {
	s.mu.Lock()
	open := s.open
	s.open = nil
	s.mu.Unlock()
	for c := range open {
		_ = c.Close()
	}
	s.end()
}

// tracked is a response's body, closed with its session at the latest.
type tracked struct {
	io.ReadCloser
	s *session
}

func (t *tracked) Close() error {
	t.s.mu.Lock()
	delete(t.s.open, t)
	t.s.mu.Unlock()
	return t.ReadCloser.Close()
}

// do uses the client until f returns or ctx ends, and classifies the error.
func (b *Backend) do(ctx context.Context, f func(server) error) error {
	return b.doOn(ctx, "", f)
}

// doOn is do, directed at a member of the cluster if target is set.
func (b *Backend) doOn(ctx context.Context, target string, f func(server) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	c, s, err := b.link.session(ctx, b.cfg.Project, target, false)
	if err != nil {
		return b.classify(ctx, err)
	}
	defer s.close()
	return b.classify(ctx, f(c))
}
