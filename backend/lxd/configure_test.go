package lxd_test

import (
	"context"
	"io"
	"maps"
	"net"
	"strconv"
	"sync"
	"testing"
	"time"

	client "github.com/canonical/lxd/client"
	"github.com/canonical/lxd/shared/api"
	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
	"github.com/openams/ams/backend/lxd"
	"github.com/openams/ams/internal/lxdtest"
)

// TestConfigured looks at what LXD makes of a specification, at once and by a
// change, and that nothing but ours is touched.
func TestConfigured(t *testing.T) {
	d := lxdtest.Require(t)
	c := lxdtest.Connect(t, d)
	b := open(t, lxd.Config{Socket: d.Socket})
	spec := testSpec(t, "configured")
	full := spec
	full.CPUs, full.CPUSet = 2, "0"
	full.GPU = "0000:65:00.0"
	full.Address = lastAddress(t, d.Subnet)
	full.Proxies = []ams.Proxy{
		{Protocol: "tcp", Listen: "0.0.0.0", NodePort: 10940, Port: 22, Count: 3},
		{Protocol: "udp", Listen: "::", NodePort: 10950, Port: 53, Count: 1},
	}
	full.Labels = map[string]string{"name": "one"}
	devices := map[string]map[string]string{
		"eth0":                  {"type": "nic", "name": "eth0", "network": d.Bridge, "ipv4.address": full.Address},
		"ams-gpu":               {"type": "gpu", "gputype": "physical", "pci": "0000:65:00.0"},
		"ams-proxy-tcp-0.0.0.0": {"type": "proxy", "bind": "host", "listen": "tcp:0.0.0.0:10940-10942", "connect": "tcp:127.0.0.1:22-24"},
		"ams-proxy-udp-::":      {"type": "proxy", "bind": "host", "listen": "udp:[::]:10950", "connect": "udp:127.0.0.1:53"},
	}
	shows := func() *api.Instance {
		t.Helper()
		i, _, err := c.GetInstance("ams-configured")
		require.NoError(t, err)
		require.Equal(t, "0-0", i.Config["limits.cpu"])
		require.Equal(t, "200ms/100ms", i.Config["limits.cpu.allowance"])
		require.Equal(t, "one", i.Config["user.ams.label.name"])
		for name, want := range devices {
			require.Equal(t, want, i.Devices[name])
		}
		return i
	}
	require.NoError(t, b.Create(t.Context(), full))
	shows()
	require.NoError(t, b.Delete(t.Context(), spec.Ref))

	require.NoError(t, b.Create(t.Context(), spec))
	defer func() { require.NoError(t, b.Delete(context.Background(), spec.Ref)) }()
	theirs := map[string]map[string]string{"mine": {"type": "none"}, "root": {"type": "disk", "path": "/", "pool": "default", "size": "2GiB"}}
	change(t, c, "ams-configured", func(put *api.InstancePut) {
		put.Config["limits.processes"], put.Config["user.note"] = "500", "x"
		maps.Copy(put.Devices, theirs)
		put.Description = "theirs"
	})
	require.NoError(t, b.Configure(t.Context(), full))
	i := shows()
	before, etag, err := c.GetInstance("ams-configured")
	require.NoError(t, err)
	require.Equal(t, i, before)
	require.NoError(t, b.Configure(t.Context(), full))
	_, same, err := c.GetInstance("ams-configured")
	require.NoError(t, err)
	require.Equal(t, etag, same)

	require.NoError(t, b.Configure(t.Context(), spec))
	i, _, err = c.GetInstance("ams-configured")
	require.NoError(t, err)
	require.Equal(t, "theirs", i.Description)
	require.Equal(t, "500", i.Config["limits.processes"])
	require.Equal(t, "x", i.Config["user.note"])
	require.NotContains(t, i.Config, "limits.cpu")
	require.NotContains(t, i.Config, "user.ams.label.name")
	want := maps.Clone(theirs)
	want["eth0"] = map[string]string{"type": "nic", "name": "eth0", "network": d.Bridge}
	require.Equal(t, want, i.Devices)

	missing := spec
	missing.VPU = "0000:01:00.0"
	require.ErrorIs(t, b.Configure(t.Context(), missing), ams.ErrUnsupported)
}

// TestLive has proxies come and go while the instance runs: they connect.
func TestLive(t *testing.T) {
	d := lxdtest.Require(t)
	b := open(t, lxd.Config{Socket: d.Socket})
	spec := testSpec(t, "live")
	require.NoError(t, b.Create(t.Context(), spec))
	require.NoError(t, b.Start(t.Context(), spec.Ref))
	defer func() {
		require.NoError(t, b.Stop(context.Background(), spec.Ref, true, 0))
		require.NoError(t, b.Delete(context.Background(), spec.Ref))
	}()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	server := make(chan error, 1)
	go func() {
		for ctx.Err() == nil {
			_, err := b.Exec(ctx, spec.Ref, ams.ExecRequest{Command: []string{"/bin/busybox", "nc", "-ll", "-p", "8001", "-e", "/bin/cat"}})
			if ctx.Err() == nil {
				t.Log("the server ended:", err)
			}
		}
		server <- ctx.Err()
	}()
	const first = 10960
	var last error
	echoes := func(port int) (ok bool) {
		conn, err := net.DialTimeout("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), 5*time.Second)
		if err != nil {
			last = err
			return false
		}
		defer func() { last = err }()
		defer conn.Close() //nolint:errcheck // nothing is lost
		_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
		answer := make([]byte, 5)
		_, err = conn.Write([]byte("hello"))
		if err == nil {
			_, err = io.ReadFull(conn, answer)
		}
		return err == nil && string(answer) == "hello"
	}
	open := spec
	open.Proxies = []ams.Proxy{{Protocol: "tcp", Listen: "127.0.0.1", NodePort: first, Port: 8000, Count: 3}}
	begun := time.Now()
	require.NoError(t, b.Configure(t.Context(), open))
	t.Log("a proxy came in", time.Since(begun))
	for deadline := time.Now().Add(time.Minute); !echoes(first + 1); time.Sleep(50 * time.Millisecond) {
		require.True(t, time.Now().Before(deadline), "no echo: %v", last)
	}
	begun = time.Now()
	require.NoError(t, b.Configure(t.Context(), spec))
	t.Log("it went in", time.Since(begun))
	require.False(t, echoes(first+1))
	cancel()
	require.ErrorIs(t, <-server, context.Canceled)
}

// TestStale has the instance change between a look at it and the change of it.
func TestStale(t *testing.T) {
	d := lxdtest.Require(t)
	c := lxdtest.Connect(t, d)
	b := open(t, lxd.Config{Socket: d.Socket})
	spec := testSpec(t, "stale")
	require.NoError(t, b.Create(t.Context(), spec))
	defer func() { require.NoError(t, b.Delete(context.Background(), spec.Ref)) }()
	stop, done := make(chan struct{}), make(chan int, 1)
	stopped := sync.OnceFunc(func() { close(stop) })
	defer stopped()
	go func() {
		n := 0
		often := time.NewTicker(60 * time.Millisecond)
		defer often.Stop()
		for {
			select {
			case <-stop:
				done <- n
				return
			case <-often.C:
			}
			i, etag, err := c.GetInstance("ams-stale")
			if err != nil {
				continue
			}
			put := i.Writable()
			put.Config["user.note"] = strconv.Itoa(n)
			if op, err := c.UpdateInstance("ams-stale", put, etag); err == nil && op.Wait() == nil {
				n++
			}
		}
	}()
	for n := range 20 {
		spec.Labels = map[string]string{"name": strconv.Itoa(n)}
		require.NoError(t, b.Configure(t.Context(), spec))
	}
	stopped()
	require.Positive(t, <-done, "the other's changes")
	i, _, err := c.GetInstance("ams-stale")
	require.NoError(t, err)
	require.Equal(t, "19", i.Config["user.ams.label.name"])
	require.NotEmpty(t, i.Config["user.note"])
}

// change changes an instance as people do.
func change(t *testing.T, c client.InstanceServer, name string, f func(*api.InstancePut)) {
	t.Helper()
	i, etag, err := c.GetInstance(name)
	require.NoError(t, err)
	put := i.Writable()
	f(&put)
	op, err := c.UpdateInstance(name, put, etag)
	require.NoError(t, err)
	require.NoError(t, op.Wait())
}

// lastAddress returns an address that nothing has asked for.
func lastAddress(t *testing.T, subnet string) string {
	ip, network, err := net.ParseCIDR(subnet)
	require.NoError(t, err)
	ip = ip.To4()
	for n := range ip {
		ip[n] = network.IP[n] | ^network.Mask[n]
	}
	ip[3]--
	return ip.String()
}
