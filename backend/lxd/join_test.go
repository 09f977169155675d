package lxd_test

import (
	"context"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	client "github.com/canonical/lxd/client"
	"github.com/canonical/lxd/shared/api"
	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
	"github.com/openams/ams/backend/lxd"
	"github.com/openams/ams/internal/lxdrun"
	"github.com/openams/ams/internal/lxdtest"
)

// side is what one LXD is like, as far as a join may change it.
type side struct {
	Config               map[string]any
	Pools, Networks      []string
	Certificates         []api.Certificate
	Devices              map[string]map[string]string
	Members, Tokens      []string
	Images, InstanceURLs []string
}

func sideOf(t *testing.T, c client.InstanceServer) side {
	t.Helper()
	var s side
	server, _, err := c.GetServer()
	require.NoError(t, err)
	s.Config = server.Config
	s.Pools, err = c.GetStoragePoolNames()
	require.NoError(t, err)
	networks, err := c.GetNetworks()
	require.NoError(t, err)
	for _, n := range networks {
		if n.Managed {
			s.Networks = append(s.Networks, n.Name)
		}
	}
	s.Certificates, err = c.GetCertificates()
	require.NoError(t, err)
	profile, _, err := c.GetProfile("default")
	require.NoError(t, err)
	s.Devices = profile.Devices
	s.Images, err = c.GetImageFingerprints()
	require.NoError(t, err)
	s.InstanceURLs, err = c.GetInstanceNames(api.InstanceTypeAny)
	require.NoError(t, err)
	if server.Environment.ServerClustered {
		s.Members, err = c.GetClusterMemberNames()
		require.NoError(t, err)
	}
	ops, err := c.GetOperations()
	require.NoError(t, err)
	for _, op := range ops {
		if op.Class == "token" && !op.StatusCode.IsFinal() && len(op.Resources["images"]) == 0 {
			s.Tokens = append(s.Tokens, op.ID)
		}
	}
	return s
}

// joinTest is a cluster of one, and a machine that can join it.
type joinTest struct {
	m               *lxdrun.Cluster
	b               *lxd.Backend
	machine         *lxdrun.Daemon
	cluster, other  client.InstanceServer
	cluster0, alone side // what they are like before
	join            ams.NodeJoin
}

func newJoinTest(ctx context.Context, t *testing.T) *joinTest {
	lxdtest.Check(t)
	if testing.Short() {
		t.Skip("starts LXD daemons")
	}
	j := &joinTest{m: lxdtest.RequireClusterOf(t, 1)}
	j.b = open(t, clusterConfig(t, j.m))
	var err error
	j.machine, err = j.m.Alone(ctx)
	require.NoError(t, err)
	j.cluster, j.other = lxdtest.Connect(t, j.m.Members[0]), lxdtest.Connect(t, j.machine)
	j.cluster0, j.alone = sideOf(t, j.cluster), sideOf(t, j.other)
	j.join = ams.NodeJoin{Name: "joined", Address: j.machine.Address, TrustPassword: lxdrun.TrustPassword}
	return j
}

// token has a machine make a token for a client.
func token(t *testing.T, c client.InstanceServer) string {
	t.Helper()
	post := api.CertificatesPost{Token: true}
	post.Name, post.Type = "somebody", "client"
	op, err := c.CreateCertificateToken(post)
	require.NoError(t, err)
	made := op.Get()
	added, err := made.ToCertificateAddToken()
	require.NoError(t, err)
	return added.String()
}

// TestJoinRefused joins what cannot be joined. Neither side changes.
func TestJoinRefused(t *testing.T) {
	t.Parallel() // it waits most of the time
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	j := newJoinTest(ctx, t)
	elsewhere := token(t, j.cluster)
	j.cluster0 = sideOf(t, j.cluster)
	for name, c := range map[string]struct {
		change func(*ams.NodeJoin)
		want   ams.Code
	}{
		"wrong password":       {func(n *ams.NodeJoin) { n.TrustPassword = "wrong" }, ams.ErrInvalid},
		"no password":          {func(n *ams.NodeJoin) { n.TrustPassword = "" }, ams.ErrInvalid},
		"no token":             {func(n *ams.NodeJoin) { n.TrustPassword, n.TrustToken = "", "token" }, ams.ErrInvalid},
		"token of another":     {func(n *ams.NodeJoin) { n.TrustPassword, n.TrustToken = "", elsewhere }, ams.ErrInvalid},
		"nobody at the port":   {func(n *ams.NodeJoin) { n.Address += ":8444" }, ams.ErrUnavailable},
		"not LXD's port":       {func(n *ams.NodeJoin) { n.Address += ":0" }, ams.ErrInvalid},
		"name taken":           {func(n *ams.NodeJoin) { n.Name = "lxd0" }, ams.ErrExists},
		"address taken":        {func(n *ams.NodeJoin) { n.Address = j.m.Members[0].Address + ":8443" }, ams.ErrExists},
		"no member":            {func(n *ams.NodeJoin) { n.Unmanaged = true }, ams.ErrNotFound},
		"no such pool":         {func(n *ams.NodeJoin) { n.StoragePool = "ams0" }, ams.ErrInvalid},
		"no such network":      {func(n *ams.NodeJoin) { n.Network = "br7" }, ams.ErrInvalid},
		"subnet of its own":    {func(n *ams.NodeJoin) { n.Subnet = "192.168.100.1/20" }, ams.ErrInvalid},
		"MTU of its own":       {func(n *ams.NodeJoin) { n.NetworkMTU = 1400 }, ams.ErrInvalid},
		"no such pool's place": {func(n *ams.NodeJoin) { n.StorageDevice = "/no/such/directory" }, ams.ErrInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			join := j.join
			c.change(&join)
			require.ErrorIs(t, j.b.AddNode(ctx, join), c.want)
			require.Equal(t, j.cluster0, sideOf(t, j.cluster))
			require.Equal(t, j.alone, sideOf(t, j.other))
		})
	}

	// What is on the machine would be lost.
	require.NoError(t, j.other.CreateStoragePool(api.StoragePoolsPost{Name: "default", Driver: "dir"}))
	alone := sideOf(t, j.other)
	require.ErrorIs(t, j.b.AddNode(ctx, j.join), ams.ErrState)
	require.Equal(t, alone, sideOf(t, j.other))
	post := api.InstancesPost{Name: "precious", Source: api.InstanceSource{Type: "none"}}
	post.Devices = map[string]map[string]string{"root": {"type": "disk", "path": "/", "pool": "default"}}
	op, err := j.other.CreateInstance(post)
	require.NoError(t, err)
	require.NoError(t, op.Wait())
	alone = sideOf(t, j.other)
	require.ErrorIs(t, j.b.AddNode(ctx, j.join), ams.ErrState)
	require.Equal(t, alone, sideOf(t, j.other))
	require.Equal(t, j.cluster0, sideOf(t, j.cluster))
	require.ErrorIs(t, j.b.RemoveNode(ctx, "lxd0", true), ams.ErrState, "the last one")

	// A machine of another cluster.
	far := lxdtest.RequireClusterOf(t, 1)
	join := j.join
	join.Address = far.Members[0].Address + ":8443"
	require.ErrorIs(t, j.b.AddNode(ctx, join), ams.ErrState)
	require.Equal(t, j.cluster0, sideOf(t, j.cluster))

	// One LXD alone takes nobody in.
	d := lxdtest.Require(t)
	b := open(t, lxd.Config{Socket: d.Socket})
	require.ErrorIs(t, b.AddNode(ctx, j.join), ams.ErrUnsupported)
	nodes, err := b.Nodes(ctx)
	require.NoError(t, err)
	require.ErrorIs(t, b.RemoveNode(ctx, nodes[0].Name, true), ams.ErrState)
	require.NoError(t, b.RemoveNode(ctx, "unknown", false))
}

// TestJoin joins a machine, uses it, removes it, and joins it again.
func TestJoin(t *testing.T) {
	t.Parallel() // it waits most of the time
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	j := newJoinTest(ctx, t)
	b := j.b
	again := func(n ams.NodeJoin) {
		t.Helper()
		was := sideOf(t, j.cluster)
		require.NoError(t, b.AddNode(ctx, n))
		n.Unmanaged = true
		require.NoError(t, b.AddNode(ctx, n))
		n.Name = "another"
		require.ErrorIs(t, b.AddNode(ctx, n), ams.ErrExists)
		require.Equal(t, was, sideOf(t, j.cluster))
	}
	// LXD finds the name of its bridge taken, once it was told to join.
	taken := exec.CommandContext(ctx, "ip", "-n", filepath.Base(j.machine.Dir), "link", "add", "amsbr0", "type", "veth")
	require.NoError(t, taken.Run())
	require.ErrorIs(t, b.AddNode(ctx, j.join), ams.ErrInvalid)
	require.Equal(t, j.cluster0, sideOf(t, j.cluster))
	require.Equal(t, j.alone, sideOf(t, j.other))
	require.NoError(t, exec.CommandContext(ctx, "ip", "-n", filepath.Base(j.machine.Dir), "link", "delete", "amsbr0").Run())

	begun := time.Now()
	j.join.StorageDevice = t.TempDir()
	require.NoError(t, b.AddNode(ctx, j.join))
	t.Logf("joined with a password in %v", time.Since(begun))
	pool, _, err := j.cluster.UseTarget("joined").GetStoragePool("default")
	require.NoError(t, err)
	require.Equal(t, j.join.StorageDevice, pool.Config["source"])
	again(j.join)
	nodes, err := b.Nodes(ctx)
	require.NoError(t, err)
	require.Len(t, nodes, 2)
	require.Equal(t, "joined", nodes[0].Name)
	require.True(t, nodes[0].Online)
	require.Equal(t, j.machine.Address, nodes[0].Address)
	require.Equal(t, "10.77.0.1/20", nodes[0].Subnet)
	for _, c := range sideOf(t, j.cluster).Certificates {
		require.NotEqual(t, "ams-join", c.Name)
	}

	// Something is on it.
	o := &operator{image: lxdtest.ImageFile(t)}
	image, err := b.ImportImage(ctx, cluster, "base", ams.ImageFiles{Meta: o.open(t, 0)})
	require.NoError(t, err)
	ref := ams.Ref{Cluster: cluster, ID: "guest", Node: "joined"}
	require.NoError(t, b.Create(ctx, ams.InstanceSpec{Ref: ref, Attempt: "1", Fingerprint: image.Fingerprint}))
	require.NoError(t, b.Start(ctx, ref))
	require.Eventually(t, func() bool {
		seen, err := b.Get(ctx, ref)
		require.NoError(t, err)
		return seen.Address != ""
	}, 30*time.Second, 50*time.Millisecond)
	require.ErrorIs(t, b.RemoveNode(ctx, "joined", false), ams.ErrState)
	require.NoError(t, b.Stop(ctx, ref, true, 0))
	require.NoError(t, b.Delete(ctx, ref))

	begun = time.Now()
	require.NoError(t, b.RemoveNode(ctx, "joined", false))
	t.Logf("removed in %v", time.Since(begun))
	require.NoError(t, b.RemoveNode(ctx, "joined", false))
	nodes, err = b.Nodes(ctx)
	require.NoError(t, err)
	require.Len(t, nodes, 1)
	have, err := b.ListImages(ctx, cluster)
	require.NoError(t, err)
	require.Len(t, have, 1)
	_, err = b.OpenImage(ctx, cluster, "base")
	require.NoError(t, err)
	require.NoError(t, b.DeleteImage(ctx, cluster, "base"))
	require.Equal(t, j.cluster0, sideOf(t, j.cluster))

	// LXD has reset itself, its password included; by the socket, with a token.
	local := open(t, lxd.Config{Socket: j.m.Members[0].Socket})
	join := ams.NodeJoin{Name: "joined", Address: j.machine.Address + ":8443"}
	require.Eventually(t, func() bool {
		s, _, err := j.other.GetServer()
		return err == nil && !s.Environment.ServerClustered
	}, 20*time.Second, 100*time.Millisecond)
	join.TrustToken = token(t, j.other)
	require.NoError(t, local.AddNode(ctx, join))
	again(join)

	// With force, what is on it goes with it.
	running := ams.InstanceSpec{Ref: ref, Attempt: "2", Fingerprint: importImage(ctx, t, b, o)}
	require.NoError(t, b.Create(ctx, running))
	require.NoError(t, b.Start(ctx, ref))
	require.NoError(t, b.RemoveNode(ctx, "joined", true))
	require.Eventually(t, func() bool {
		s, _, err := j.other.GetServer()
		return err == nil && !s.Environment.ServerClustered
	}, 20*time.Second, 100*time.Millisecond)
	require.Empty(t, sideOf(t, j.other).InstanceURLs)
	require.NoDirExists(t, filepath.Join(j.machine.Dir, "containers", "ams-guest"))
	join.TrustToken = token(t, j.other)
	require.NoError(t, b.AddNode(ctx, join))

	// One that is dead leaves by force only.
	require.NoError(t, b.Create(ctx, running))
	require.NoError(t, j.machine.Kill())
	require.Eventually(t, func() bool {
		err := b.RemoveNode(ctx, "joined", false)
		return ams.CodeOf(err) == ams.ErrUnavailable || ams.CodeOf(err) == ams.ErrState
	}, 30*time.Second, 100*time.Millisecond)
	require.NoError(t, b.RemoveNode(ctx, "joined", true))
	nodes, err = b.Nodes(ctx)
	require.NoError(t, err)
	require.Len(t, nodes, 1)
	_, err = b.Get(ctx, ref)
	require.ErrorIs(t, err, ams.ErrNotFound)
}

func importImage(ctx context.Context, t *testing.T, b *lxd.Backend, o *operator) string {
	t.Helper()
	image, err := b.ImportImage(ctx, cluster, "again", ams.ImageFiles{Meta: o.open(t, 1)})
	require.NoError(t, err)
	return image.Fingerprint
}

// TestJoinKilled kills a machine while it joins, and gives up a join. The cluster is
// as it was, and both can be done again.
func TestJoinKilled(t *testing.T) {
	if !lxdtest.Long() {
		t.Skip("make check runs it: it starts and kills LXD many times")
	}
	t.Parallel() // it waits most of the time
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	j := newJoinTest(ctx, t)
	for name, reached := range map[string]func() bool{
		"once it has the pool": func() bool {
			pools, err := j.other.GetStoragePoolNames()
			require.NoError(t, err)
			return len(pools) > 0
		},
		"once the cluster trusts it": func() bool {
			trusted, err := j.cluster.GetCertificateFingerprints()
			require.NoError(t, err)
			return len(trusted) > len(j.cluster0.Certificates)
		},
	} {
		for !j.killed(ctx, t, reached) {
			t.Log("too late: it had joined")
			var err error
			j.machine, err = j.m.Alone(ctx)
			require.NoError(t, err)
			j.other, j.join.Address = lxdtest.Connect(t, j.machine), j.machine.Address
		}
		t.Log("killed", name)
	}
	short, cancelShort := context.WithTimeout(ctx, 200*time.Millisecond)
	defer cancelShort()
	require.ErrorIs(t, j.b.AddNode(short, j.join), context.DeadlineExceeded)
	require.NoError(t, j.b.AddNode(ctx, j.join))
	require.Len(t, sideOf(t, j.cluster).Members, 2)

	// The member that is asked leaves by itself, though it leads the cluster.
	require.NoError(t, j.b.RemoveNode(ctx, "lxd0", false))
	nodes, err := j.b.Nodes(ctx)
	require.NoError(t, err)
	require.Len(t, nodes, 1)
	require.Equal(t, "joined", nodes[0].Name)
}

// killed kills the machine when its join has reached a point, and starts it again.
// It is false if the machine had joined already, and then it is of no use any more.
func (j *joinTest) killed(ctx context.Context, t *testing.T, reached func() bool) bool {
	done := make(chan error, 1)
	go func() { done <- j.b.AddNode(ctx, j.join) }()
	deadline := time.Now().Add(20 * time.Second)
	for !reached() {
		require.True(t, time.Now().Before(deadline), "it does not get so far")
	}
	require.NoError(t, j.machine.Kill())
	err := <-done
	if err == nil {
		require.NoError(t, j.b.RemoveNode(ctx, "joined", true))
		require.Equal(t, j.cluster0, sideOf(t, j.cluster))
		return false
	}
	require.ErrorIs(t, err, ams.ErrUnavailable)
	require.Equal(t, j.cluster0, sideOf(t, j.cluster))
	require.NoError(t, j.machine.Restart(ctx))
	s, _, err := j.other.GetServer()
	require.NoError(t, err)
	if s.Environment.ServerClustered { // LXD cannot take that back
		require.ErrorIs(t, j.b.AddNode(ctx, j.join), ams.ErrState)
		require.Equal(t, j.cluster0, sideOf(t, j.cluster))
		return false
	}
	return true
}
