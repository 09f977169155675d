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
	UpdateServer(server api.ServerPut, etag string) error
	GetProfile(name string) (*api.Profile, string, error)
	UpdateProfile(name string, profile api.ProfilePut, etag string) error
	GetStoragePoolNames() ([]string, error)
	CreateStoragePool(pool api.StoragePoolsPost) error
	DeleteStoragePool(name string) error
	GetNetworks() ([]api.Network, error)
	DeleteNetwork(name string) error
	GetStoragePool(name string) (*api.StoragePool, string, error)
	GetStoragePoolResources(name string) (*api.ResourcesStoragePool, error)
	GetNetwork(name string) (*api.Network, string, error)
	GetNetworkState(name string) (*api.NetworkState, error)
	GetNetworkLeases(name string) ([]api.NetworkLease, error)

	GetCluster() (*api.Cluster, string, error)
	UpdateCluster(cluster api.ClusterPut, etag string) (client.Operation, error)
	GetClusterMembers() ([]api.ClusterMember, error)
	CreateClusterMember(member api.ClusterMembersPost) (client.Operation, error)
	DeleteClusterMember(name string, force bool) error
	GetCertificates() ([]api.Certificate, error)
	GetCertificateFingerprints() ([]string, error)
	CreateCertificate(certificate api.CertificatesPost) error
	DeleteCertificate(fingerprint string) error

	GetInstancesAllProjects(kind api.InstanceType) ([]api.Instance, error)
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
	DeleteOperation(id string) error
	GetOperationWait(id string, timeout int) (*api.Operation, string, error)
	GetOperationWebsocket(id, secret string) (*websocket.Conn, error)
	RawQuery(method, path string, data any, etag string) (*api.Response, string, error)
	DoHTTP(req *http.Request) (*http.Response, error)
	RawWebsocket(path string) (*websocket.Conn, error)
}

var _ server = client.InstanceServer(nil)

const (
	idleTime = time.Minute

	handshakeTime = time.Minute // of a stream

	maxIdle = 64 // idle connections that are kept
)

// link is how LXD is reached: connections that are kept, shared by all calls.
type link struct {
	cfg    Config
	shared *http.Transport
	tls    *tls.Config // nil for a unix socket
	host   string      // what stands for the cluster: the host and port of the URL
	route  route
}

// newLink checks the configuration and connects to nothing yet.
func newLink(cfg Config) (*link, error) {
	l := &link{cfg: cfg}
	l.shared = &http.Transport{MaxIdleConnsPerHost: maxIdle, IdleConnTimeout: idleTime}
	if cfg.URL == "" {
		l.shared.DialContext = l.dial
		return l, nil
	}
	for _, text := range append([]string{cfg.URL}, cfg.URLs...) {
		u, err := url.Parse(text)
		if err != nil || u.Scheme != "https" || u.Host == "" {
			return nil, ams.Errorf(ams.ErrInvalid, "URL %q: must be https://host:port", text)
		}
		l.route.given = append(l.route.given, hostPort(u))
	}
	l.host = l.route.given[0]
	if cfg.ServerCert == "" {
		return nil, ams.Errorf(ams.ErrInvalid, "ServerCert must be set with a URL")
	}
	if _, err := tls.X509KeyPair([]byte(cfg.ClientCert), []byte(cfg.ClientKey)); err != nil {
		return nil, ams.Errorf(ams.ErrInvalid, "ClientCert and ClientKey: %w", err)
	}
	// The client knows best how to trust a daemon; it makes a transport per
	// connection, so its first one is the one that is kept.
	_, err := client.ConnectLXD(cfg.URL, l.args(func(t *http.Transport) client.HTTPTransporter {
		l.shared, l.tls = t.Clone(), t.TLSClientConfig
		l.shared.DialContext, l.shared.DialTLSContext = l.dial, l.dialTLS
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

// session is one use of LXD's client. The client's calls take no context; in a
// session all of them end with the session's, its websockets included, and what
// they leave open is closed with it. A session costs no round trip.
type session struct {
	link    *link
	ctx     context.Context
	end     context.CancelFunc
	own     *http.Transport // made by the client; only streams are dialled with it
	streams bool            // streams may be opened

	mu    sync.Mutex
	open  map[io.Closer]bool
	spent bool // a request was sent whose body cannot be read again
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
		if t.TLSClientConfig != nil {
			t.DialTLSContext = s.dialTLS
		}
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
	if req.Body != nil && req.Body != http.NoBody && req.GetBody == nil {
		s.spend()
	}
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
	return s.stream(network, addr, s.link.dial)
}

// dialTLS is dial for streams that are secured by who dials.
func (s *session) dialTLS(_ context.Context, network, addr string) (net.Conn, error) {
	return s.stream(network, addr, s.link.dialTLS)
}

func (s *session) stream(network, addr string, dial func(context.Context, string, string) (net.Conn, error)) (net.Conn, error) {
	if !s.streams {
		return nil, errNoStreams
	}
	conn, err := dial(s.ctx, network, addr)
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

func (s *session) spend() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.spent = true
}

func (s *session) isSpent() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.spent
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
//
// Where there are several members and the connection to one is lost, f is called
// again, and another member is asked. This may ask for a thing twice that was done
// already: every verb of this package may be, for its objects have names that were
// chosen before, and a verb looks at what there is when LXD refuses. An upload,
// which cannot be read again, is not sent twice.
func (b *Backend) doOn(ctx context.Context, target string, f func(server) error) error {
	for try := 1; ; try++ {
		spent, err := b.once(ctx, target, f)
		if !spent && lost(err) && ctx.Err() == nil && try < len(b.link.route.order()) {
			continue
		}
		return b.classify(ctx, err)
	}
}

// once calls f with a client, and reports whether it must not be called again.
func (b *Backend) once(ctx context.Context, target string, f func(server) error) (spent bool, err error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	c, s, err := b.link.session(ctx, b.cfg.Project, target, false)
	if err != nil {
		return false, err
	}
	defer s.close()
	err = f(c)
	return s.isSpent(), err
}

// lost reports whether an error is that of a connection: neither LXD's nor ours.
func lost(err error) bool {
	var own *ams.Error
	var answer api.StatusError
	return err != nil && !errors.As(err, &own) && !errors.As(err, &answer)
}
