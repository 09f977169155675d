package lxd

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/canonical/lxd/shared/api"
	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
)

func TestRoute(t *testing.T) {
	r := &route{given: []string{"a:1", "b:1"}}
	require.Equal(t, []string{"a:1", "b:1"}, r.order())
	require.False(t, r.use("a:1"))
	r.learn([]string{"c:1", "b:1", "a:1"})
	require.Equal(t, []string{"a:1", "b:1", "c:1"}, r.order())
	require.True(t, r.use("c:1"))
	require.False(t, r.use("c:1"))
	require.Equal(t, []string{"c:1", "a:1", "b:1"}, r.order())
	r.learn([]string{"d:1"})
	require.Equal(t, []string{"a:1", "b:1", "d:1"}, r.order(), "c has left the cluster")
	require.True(t, func() bool { r.use("b:1"); return r.use("a:1") }())
}

func TestLearn(t *testing.T) {
	l := &link{}
	l.learn([]api.ClusterMember{
		{URL: "https://10.0.0.1:8443", Status: "Offline"},
		{URL: "https://[fd42::2]:8443", Status: "Online"},
		{URL: "https://host", Status: "Online"},
		{URL: "http://10.0.0.4:8443", Status: "Online"},
		{URL: "::", Status: "Online"},
	})
	require.Equal(t, []string{"[fd42::2]:8443", "host:443", "10.0.0.1:8443"}, l.route.order())
}

func TestLost(t *testing.T) {
	for err, want := range map[error]bool{
		&url.Error{Op: "Get", URL: "x", Err: errors.New("connection refused")}: true,
		api.StatusErrorf(500, "no"):         false,
		ams.Errorf(ams.ErrInvalid, "never"): false,
	} {
		require.Equal(t, want, lost(err), "%v", err)
	}
	require.False(t, lost(nil))
}

// TestSilent dials a member that takes connections and says nothing, as one does that
// hangs, and then one that is well; and one that is somebody else.
func TestSilent(t *testing.T) {
	t.Parallel() // it waits
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer silent.Close() //nolint:errcheck // of a test
	stranger, well := httptest.NewTLSServer(nil), httptest.NewUnstartedServer(http.NotFoundHandler())
	defer stranger.Close()
	cert, key, err := newClientCert(time.Now())
	require.NoError(t, err)
	pair, err := tls.X509KeyPair([]byte(cert), []byte(key))
	require.NoError(t, err)
	well.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	well.StartTLS()
	defer well.Close()

	l, err := newLink(Config{
		URL:        "https://" + silent.Addr().String(),
		URLs:       []string{stranger.URL, well.URL},
		ClientCert: cert,
		ClientKey:  key,
		ServerCert: cert,
	})
	require.NoError(t, err)
	l.tls = &tls.Config{InsecureSkipVerify: true, VerifyPeerCertificate: func(raw [][]byte, _ [][]*x509.Certificate) error {
		if digest(raw[0]) != digest(pair.Certificate[0]) {
			return errors.New("a stranger")
		}
		return nil
	}}
	begun := time.Now()
	conn, err := l.dialTLS(t.Context(), "tcp", l.host)
	require.NoError(t, err)
	require.Less(t, time.Since(begun), dialTime)
	require.Equal(t, strings.TrimPrefix(well.URL, "https://"), conn.RemoteAddr().String())
	require.NoError(t, conn.Close())
	begun = time.Now()
	conn, err = l.dialTLS(t.Context(), "tcp", l.host)
	require.NoError(t, err)
	require.Less(t, time.Since(begun), memberTime, "the one that answered is tried first")
	require.NoError(t, conn.Close())
}
