package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openams/ams/amstest"
	"github.com/openams/ams/client"
	"github.com/openams/ams/rest"
)

// shell types commands.
type shell struct {
	t   *testing.T
	env map[string]string
}

func newShell(t *testing.T) (*shell, *amstest.Server) {
	t.Helper()
	s := amstest.NewServer(t)
	return &shell{t, map[string]string{"AMS_SOCKET": s.Socket, "AMC_DIR": t.TempDir()}}, s
}

// try runs a command and returns what it printed, and its error.
func (s *shell) try(input string, args ...string) (string, error) {
	s.t.Helper()
	var out bytes.Buffer
	p := &program{in: strings.NewReader(input), out: &out, err: &out, env: func(k string) (string, bool) { v, ok := s.env[k]; return v, ok }}
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	err := p.run(ctx, args)
	return out.String(), err
}

// amc runs a command line that must succeed.
func (s *shell) amc(line string, more ...string) string {
	s.t.Helper()
	out, err := s.try("", append(strings.Fields(line), more...)...)
	require.NoError(s.t, err, "amc %s: %s", line, out)
	return out
}

// fails runs one that must not.
func (s *shell) fails(text, line string) {
	s.t.Helper()
	out, err := s.try("", strings.Fields(line)...)
	require.Error(s.t, err, out)
	require.Contains(s.t, explain(err), text)
}

// prepare adds an image and the application hello.
func (s *shell) prepare() {
	s.t.Helper()
	file := filepath.Join(s.t.TempDir(), "image")
	require.NoError(s.t, os.WriteFile(file, []byte("an image"), 0o600))
	s.amc("image add jammy:android15:amd64 --default", file)
	s.amc("application create ../../examples/apps/hello/package")
	s.amc("wait hello -c published=true")
}

// TestJourney is a day at the terminal.
func TestJourney(t *testing.T) {
	s, _ := newShell(t)
	s.prepare()
	require.Contains(t, s.amc("app ls"), "hello")
	id := strings.TrimSpace(s.amc("launch hello --name one -s +ssh --tags a,b"))
	require.Regexp(t, regexp.MustCompile(`^[0-9a-z]{20}$`), id, "only the id is printed")
	s.amc("wait one")
	list := s.amc("ls")
	require.Contains(t, list, id)
	require.Contains(t, list, "running")
	require.Contains(t, s.amc("show one --format json"), `"node_port": 10000`)
	require.Equal(t, "[]\n", s.amc("list --filter app=nonexistent --format json"), "an empty list is no null")
	require.NotContains(t, s.amc("list --filter app=nonexistent"), id)
	require.Contains(t, s.amc("explain hello"), "goes to node")

	_, err := s.try("", "exec", "one", "--", "no-such-command")
	var exit exitCode
	require.True(t, errors.As(err, &exit) && exit != 0, "%v", err)
	s.amc("set one security.delete_protected true")
	s.fails("protected", "delete one -y")
	s.amc("set one security.delete_protected false")
	s.amc("stop one")
	copied := strings.TrimSpace(s.amc("copy one --name two --launch"))
	require.Contains(t, s.amc("list -f status=running"), copied)
	s.amc("start one")
	s.amc("restart one")
	out, err := s.try("n\n", "delete", "--all")
	require.ErrorIs(t, err, errNo)
	require.Contains(t, out, "will be REMOVED")
	out, err = s.try("\n", "delete", "--all")
	require.NoError(t, err, out)
	require.NotContains(t, s.amc("list"), "one")
	s.fails("not found", "show one")

	s.amc("application set hello tags x,y")
	require.Contains(t, s.amc("application list --filter tags=x --format csv"), "hello")
	s.amc("application unset hello tags")
	s.fails("there is no field", "application set hello nonsense 1")
	s.amc("application revoke hello 0")
	s.amc("application publish hello 0")
	require.Contains(t, s.amc("application manifest hello 0"), "name: hello")
	require.Contains(t, s.amc("application show hello"), "jammy:android15:amd64 (version 0)")
	t.Chdir(t.TempDir())
	require.FileExists(t, strings.TrimSpace(s.amc("application export hello 0")))
	s.amc("application delete hello -y")
	s.fails("neither an application nor an instance", "wait hello")
}

// TestService is what an operator types.
func TestService(t *testing.T) {
	s, _ := newShell(t)
	require.Contains(t, s.amc("info"), "api_version: \"1.0\"")
	require.Contains(t, s.amc("node list"), "online")
	s.amc("node set node0 tags fast,near")
	require.Contains(t, s.amc("node show node0"), "fast")
	s.fails("there is no key", "node set node0 nonsense 1")
	s.amc("node set node0 unschedulable true")
	require.Contains(t, s.amc("node show node0 --format json"), `"unschedulable": true`)
	s.amc("config set scheduler.strategy binpack")
	require.Contains(t, s.amc("config show"), "scheduler.strategy: binpack")
	require.Contains(t, s.amc("config show"), "core.trust_password: false")
	s.fails("must be", "config set scheduler.strategy best")
	require.Contains(t, s.amc("operation list"), "SUCCESS")
	s.fails("there is no registry", "registry list")
	require.Contains(t, s.amc("auth permissions list"), "admin")
	require.Contains(t, s.amc("completion bash"), "amc")
	completed, err := s.try("", "__complete", "node", "show", "")
	require.NoError(t, err)
	require.Contains(t, completed, "node0\tonline")
	s.amc("auth group create viewers -d people")
	s.amc("auth group permission add viewers server -p can_view_config,can_view_tasks")
	require.Contains(t, s.amc("auth group show viewers"), "can_view_tasks")
	id := strings.TrimSpace(s.amc("auth identity create oidc/ann@example.com -g viewers"))
	require.Contains(t, s.amc("auth group list --format csv"), "viewers,1,")
	s.amc("auth identity group delete oidc/ann@example.com -g viewers")
	s.amc("auth identity delete -y", id)
	s.amc("auth group delete viewers -y")
}

// TestRemote makes a client known over TLS and forgets it again.
func TestRemote(t *testing.T) {
	s, server := newShell(t)
	certificate, key, err := client.NewKeyPair("ams", "localhost", "127.0.0.1")
	require.NoError(t, err)
	pair, err := tls.X509KeyPair(certificate, key)
	require.NoError(t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server.Listen(t, tls.NewListener(l, rest.TLS(&pair)))
	url := "https://" + l.Addr().String()

	out, err := s.try("n\n", "remote", "add", "there", url)
	require.ErrorIs(t, err, errNo)
	require.Contains(t, out, client.Fingerprint(pair.Certificate[0]))
	s.fails("the secret is not accepted", "remote add there "+url+" wrong --accept-certificate")
	token := strings.TrimSpace(s.amc("auth token create -g admin --name myself"))
	s.amc("remote add there --accept-certificate --token", token, url)
	require.Contains(t, s.amc("--remote there node list"), "online")
	s.fails("already exists", "remote add there "+url)
	s.amc("remote set-default there")
	require.Contains(t, s.amc("remote list"), "there  "+url)
	require.Contains(t, s.amc("config trust list"), "amc-")
	s.fails("choose another first", "remote remove there")
	s.amc("auth identity delete tls/myself -y -f")
	s.fails("may not do that", "node list")
	s.amc("remote set-default local")
	s.amc("remote remove there")
}
