package rest_test

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
	"github.com/openams/ams/amstest"
	"github.com/openams/ams/api"
	"github.com/openams/ams/client"
	"github.com/openams/ams/rest"
)

// secure is a world that is served over TLS, too.
type secure struct {
	*world
	url    string
	server *x509.Certificate
}

func newSecure(t *testing.T) *secure {
	t.Helper()
	w := newWorld(t, amstest.Options{})
	certificate, key, err := client.NewKeyPair("ams", "127.0.0.1")
	require.NoError(t, err)
	pair, err := tls.X509KeyPair(certificate, key)
	require.NoError(t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	w.Listen(t, tls.NewListener(l, rest.TLS(&pair)))
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	require.NoError(t, err)
	return &secure{w, "https://" + l.Addr().String(), leaf}
}

// someone is a client with a key of its own.
type someone struct {
	t           *testing.T
	url         string
	certificate []byte // PEM
	http        *http.Client
}

func (s *secure) someone(name string) *someone {
	s.t.Helper()
	certificate, key, err := client.NewKeyPair(name)
	require.NoError(s.t, err)
	cfg, err := client.TLSConfig(certificate, key, s.server)
	require.NoError(s.t, err)
	transport := &http.Transport{TLSClientConfig: cfg}
	s.t.Cleanup(transport.CloseIdleConnections)
	return &someone{s.t, s.url, certificate, &http.Client{Transport: transport}}
}

// known makes it an identity of those groups.
func (s *secure) known(name string, groups ...string) *someone {
	s.t.Helper()
	one := s.someone(name)
	_, err := s.Identities.Create(s.t.Context(), ams.IdentityRequest{Method: ams.AuthTLS, Name: name, Certificate: one.certificate, Groups: groups})
	require.NoError(s.t, err)
	return one
}

// asks sends a request, and returns the status of the answer and its error.
func (o *someone) asks(method, path string, body any) (int, string) {
	o.t.Helper()
	var r io.Reader
	if body != nil {
		data, err := json.Marshal(body)
		require.NoError(o.t, err)
		r = bytes.NewReader(data)
	}
	ctx, cancel := context.WithTimeout(o.t.Context(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, o.url+path, r)
	require.NoError(o.t, err)
	res, err := o.http.Do(req)
	require.NoError(o.t, err)
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	require.NoError(o.t, err)
	var reply api.Reply
	if res.Header.Get("Content-Type") == "application/json" && json.Unmarshal(data, &reply) == nil {
		return res.StatusCode, reply.Error
	}
	return res.StatusCode, ""
}

// object is what a path with a name in it is about, in the tests.
func object(kind string) string {
	return map[string]string{
		"instance": "one", "application": "candy", "image": "jammy:android15:amd64", "node": "node0", "addon": "salt", "group": "viewers", "identity": "tls/admin", "server": "none",
	}[kind]
}

// TestAccess asks every endpoint as every kind of caller. What the answer is besides
// does not matter: it is denied, or it is not.
func TestAccess(t *testing.T) {
	s := newSecure(t)
	ctx := t.Context()
	app := s.application("candy")
	require.Eventually(t, func() bool { v, err := s.Applications.Version(ctx, app, 0); return err == nil && v.Published }, 10*time.Second, 5*time.Millisecond)
	s.done(s.do(http.MethodPost, "/1.0/instances", api.InstancesPost{AppID: app, Name: "one"}))
	_, err := s.Addons.Add(ctx, "salt", bytes.NewReader(zipped(t, map[string]string{"manifest.yaml": "name: salt\n", "hooks/pre-start": "#!/bin/sh\n"})), ams.AddonOptions{})
	require.NoError(t, err)
	for _, name := range []string{"viewers", "right", "wrong"} {
		_, err := s.Groups.Create(ctx, name, "")
		require.NoError(t, err)
	}
	stranger, nobody := s.someone("stranger"), &someone{t, s.url, nil, s.http}
	cfg, err := client.TLSConfig(nil, nil, s.server)
	require.NoError(t, err)
	nobody.http = &http.Client{Transport: &http.Transport{TLSClientConfig: cfg, DisableKeepAlives: true}}
	admin, idle := s.known("admin", ams.AdminGroup), s.known("idle")
	s.known("victim")
	right, wrong := s.known("right", "right"), s.known("wrong", "wrong")
	other, err := s.Instances.Launch(ctx, ams.LaunchRequest{Application: app, Name: "other"})
	require.NoError(t, err)
	_, err = s.Operations.Wait(ctx, other.ID)
	require.NoError(t, err)

	for _, r := range rest.Routes() {
		t.Run(r.Method+" "+r.Path, func(t *testing.T) {
			path := strings.NewReplacer("{id}", strings.ReplaceAll(cmp.Or(object(r.Access.Type), "none"), "/", "%2F"), "{version}", "7", "{name}", "none.log", "{share}", "none").Replace(r.Path)
			if strings.HasPrefix(r.Path, "/1.0/certificates/{id}") {
				i, err := s.Identities.Get(ctx, "tls/victim")
				require.NoError(t, err)
				path = "/1.0/certificates/" + i.Fingerprint
			}
			grants := func(group string, p ams.Permission) {
				_, err := s.Groups.Set(ctx, group, ams.GroupPatch{Permissions: &[]ams.Permission{p}})
				require.NoError(t, err)
			}
			// A body that is refused for what it is, once it is looked at.
			denied := func(o *someone) bool {
				o.t = t
				var body any
				if r.Method != http.MethodGet {
					body = []int{}
				}
				status, _ := o.asks(r.Method, path, body)
				return status == http.StatusForbidden || status == http.StatusUnauthorized
			}
			switch {
			case r.Access.Public:
				for _, o := range []*someone{nobody, stranger, idle, admin} {
					require.False(t, denied(o))
				}
				return
			case r.Access.Secret:
				require.True(t, denied(nobody) || r.Path == "/1.0/operations/{id}/websocket")
				return
			}
			require.True(t, denied(nobody), "no certificate")
			require.True(t, denied(stranger), "a certificate that nobody knows")
			if r.Access.Authenticated {
				require.False(t, denied(idle), "a client without permissions: it sees nothing, but may ask")
				require.False(t, denied(admin))
				return
			}
			require.True(t, denied(idle), "a client without permissions")
			resource, elsewhere := "server", "server"
			if r.Access.Type != "server" {
				resource, elsewhere = r.Access.Type+":"+object(r.Access.Type), "instance:other"
				if strings.HasPrefix(r.Path, "/1.0/certificates/{id}") {
					resource = "identity:tls/victim"
				}
			}
			grants("right", ams.Permission{Entitlement: r.Access.Entitlement, Resource: resource})
			if r.Access.Type == "server" {
				grants("wrong", ams.Permission{Entitlement: anotherThan(r.Access.Entitlement), Resource: "server"})
			} else {
				grants("wrong", ams.Permission{Entitlement: "can_view", Resource: elsewhere})
			}
			require.False(t, denied(right), "the very permission")
			require.True(t, denied(wrong), "another permission")
			if r.Method == http.MethodGet {
				require.False(t, denied(admin))
			}
		})
	}
}

// anotherThan is an entitlement on the server that is not this one.
func anotherThan(entitlement string) string {
	if entitlement == "can_view_tasks" {
		return "can_view_config"
	}
	return "can_view_tasks"
}

// TestRevoked takes trust away from clients that are connected.
func TestRevoked(t *testing.T) {
	s := newSecure(t)
	one := s.known("one", ams.AdminGroup)
	status, _ := one.asks(http.MethodGet, "/1.0/config", nil)
	require.Equal(t, http.StatusOK, status)
	cfg, err := client.TLSConfig(nil, nil, s.server)
	require.NoError(t, err)
	transport, _ := one.http.Transport.(*http.Transport)
	cfg.Certificates = transport.TLSClientConfig.Certificates
	c, err := client.Open(s.url, client.Options{TLS: cfg})
	require.NoError(t, err)
	defer c.Close()
	ended := make(chan error, 1)
	began := make(chan bool)
	go func() {
		for _, err := range c.Events(t.Context(), -1) {
			if err != nil {
				ended <- err
				return
			}
			select {
			case began <- true:
			default:
			}
		}
	}()
	// The first event shows that the websocket is open.
	require.Eventually(t, func() bool {
		require.NoError(t, s.Settings.Set(t.Context(), "registry.filter", time.Now().Format("150405.000000000")))
		select {
		case <-began:
			return true
		case <-time.After(10 * time.Millisecond):
			return false
		}
	}, 10*time.Second, time.Millisecond)
	_, err = s.Identities.Delete(t.Context(), "tls/one", true)
	require.NoError(t, err)
	status, _ = one.asks(http.MethodGet, "/1.0/config", nil) // on the connection that is open
	require.Equal(t, http.StatusForbidden, status)
	select {
	case err := <-ended:
		require.ErrorIs(t, err, ams.ErrDenied)
	case <-time.After(10 * time.Second):
		require.Fail(t, "the events go on")
	}
}
