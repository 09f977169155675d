package e2e_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
	"github.com/openams/ams/internal/lxdtest"
)

// TestServices talks to services inside an instance through the ports of its node,
// over TCP and UDP, and finds them closed when the instance has stopped.
func TestServices(t *testing.T) {
	if testing.Short() {
		t.Skip("runs instances on LXD")
	}
	w := newWorld(t, lxdtest.Require(t))
	op := w.wait(w.Instances.Launch(w.ctx, ams.LaunchRequest{Name: "serves", Services: []ams.Service{
		{Name: "echo", Port: 7000, Protocols: []string{"tcp"}},
		{Name: "datagrams", Port: 7000, PortEnd: 7001, Protocols: []string{"udp"}, Expose: true},
	}}))
	in, err := w.Instances.Get(w.ctx, op.Resources["instance"][0])
	require.NoError(t, err)
	w.echo(in.ID)
	tcp := fmt.Sprint("127.0.0.1:", in.Services[0].NodePort)
	udp := fmt.Sprint("127.0.0.1:", in.Services[1].NodePort+1)
	require.Equal(t, "hello over tcp", ask(t, "tcp", tcp, "hello over tcp"))
	require.Equal(t, "hello over udp", ask(t, "udp", udp, "hello over udp"))

	w.wait(w.Instances.Stop(w.ctx, in.ID, true))
	_, err = net.DialTimeout("tcp", tcp, time.Second)
	require.Error(t, err, "nobody listens any more")
	taker := w.wait(w.Instances.Launch(w.ctx, ams.LaunchRequest{Name: "takes-it", Services: []ams.Service{{Port: 22, Protocols: []string{"tcp"}}}}))
	other, err := w.Instances.Get(w.ctx, taker.Resources["instance"][0])
	require.NoError(t, err)
	require.Equal(t, 10000, other.Services[0].NodePort)
	w.wait(w.Instances.Start(w.ctx, in.ID, ams.StartOptions{}))
	in, err = w.Instances.Get(w.ctx, in.ID)
	require.NoError(t, err)
	require.Equal(t, 10001, in.Services[0].NodePort, "its old one is another's")
	w.echo(in.ID)
	require.Equal(t, "again", ask(t, "tcp", "127.0.0.1:10001", "again"))

	// A port that something else on the node has is left to it.
	foreign, err := net.Listen("tcp", "127.0.0.1:10003")
	require.NoError(t, err)
	defer foreign.Close()
	op = w.wait(w.Instances.Launch(w.ctx, ams.LaunchRequest{Services: []ams.Service{{Port: 7000, PortEnd: 7001, Protocols: []string{"tcp"}}}}))
	in, err = w.Instances.Get(w.ctx, op.Resources["instance"][0])
	require.NoError(t, err)
	require.Greater(t, in.Services[0].NodePort, 10003)
	w.echo(in.ID)
	require.Equal(t, "elsewhere", ask(t, "tcp", fmt.Sprint("127.0.0.1:", in.Services[0].NodePort), "elsewhere"))
}

// echo runs the program in testdata/echo in an instance.
func (w *world) echo(id string) {
	w.t.Helper()
	name := filepath.Join(w.t.TempDir(), "echo")
	build := exec.CommandContext(w.ctx, "go", "build", "-o", name, "./testdata/echo")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := build.CombinedOutput()
	require.NoError(w.t, err, "%s", out)
	program, err := os.Open(name)
	require.NoError(w.t, err)
	defer program.Close()
	var said strings.Builder
	code, err := w.Instances.Exec(w.ctx, id, ams.ExecRequest{
		Command: []string{"sh", "-c", "cat >/tmp/echo && chmod +x /tmp/echo && { /tmp/echo </dev/null >/dev/null 2>&1 & }"},
		Stdin:   program, Stdout: &said, Stderr: &said,
	})
	require.NoError(w.t, err)
	require.Zero(w.t, code, said.String())
}

// ask sends a text and returns the answer, of the same length, within ten seconds.
func ask(t *testing.T, network, address, text string) string {
	t.Helper()
	var answer string
	require.Eventually(t, func() bool {
		conn, err := net.DialTimeout(network, address, time.Second)
		if err != nil {
			return false
		}
		defer conn.Close()
		if err := conn.SetDeadline(time.Now().Add(time.Second)); err != nil {
			return false
		}
		if _, err := conn.Write([]byte(text)); err != nil {
			return false
		}
		buf := make([]byte, len(text))
		n, _ := conn.Read(buf)
		answer = string(buf[:n])
		return n > 0
	}, 10*time.Second, 100*time.Millisecond, "%s %s", network, address)
	return answer
}
