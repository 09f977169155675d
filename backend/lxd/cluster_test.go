package lxd_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"path/filepath"
	"slices"
	"sync"
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

// TestCluster runs instances on a cluster of three daemons, over TLS, and loses
// one of them.
func TestCluster(t *testing.T) {
	t.Parallel() // it waits most of the time
	lxdtest.Check(t)
	if testing.Short() {
		t.Skip("starts three LXD daemons")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	m, cfg := startCluster(t)
	members := m.Members
	b := open(t, cfg)

	nodes, err := b.Nodes(ctx)
	require.NoError(t, err)
	require.Len(t, nodes, 3)
	for n, node := range nodes {
		require.Equal(t, fmt.Sprint("lxd", n), node.Name)
		require.True(t, node.Online)
		require.Equal(t, members[n].Address, node.Address)
		require.Positive(t, node.Capacity.CPUs)
		require.Positive(t, node.Capacity.DiskFree)
		require.Equal(t, "10.77.0.1/20", node.Subnet)
		require.NotEmpty(t, node.NUMA)
	}

	o := &operator{image: lxdtest.ImageFile(t)}
	image, err := b.ImportImage(ctx, cluster, "base", ams.ImageFiles{Meta: o.open(t, 0)})
	require.NoError(t, err)
	var refs []ams.Ref
	for n, node := range nodes {
		spec := ams.InstanceSpec{
			Ref:         ams.Ref{Cluster: cluster, ID: fmt.Sprint("c", n), Node: node.Name},
			Attempt:     "1",
			Fingerprint: image.Fingerprint,
			CPUs:        1,
			Memory:      128 << 20,
			Address:     "10.77.0.77", // each member has a network of its own
		}
		refs = append(refs, spec.Ref)
		require.NoError(t, b.Create(ctx, spec))
		require.NoError(t, b.Create(ctx, spec))
		require.NoError(t, b.Start(ctx, spec.Ref))
		var out bytes.Buffer
		exit, err := b.Exec(ctx, spec.Ref, ams.ExecRequest{Command: []string{"echo", node.Name}, Stdout: &out})
		require.NoError(t, err)
		require.Zero(t, exit)
		require.Equal(t, node.Name+"\n", out.String())
		_, err = b.Logs(ctx, spec.Ref)
		require.NoError(t, err)
		seen, err := b.Get(ctx, spec.Ref)
		require.NoError(t, err)
		require.Equal(t, node.Name, seen.Node)
		require.Eventually(t, func() bool {
			seen, err := b.Get(ctx, spec.Ref)
			require.NoError(t, err)
			return seen.Address == spec.Address
		}, 30*time.Second, 50*time.Millisecond)
	}
	bad := ams.InstanceSpec{Ref: ams.Ref{Cluster: cluster, ID: "bad", Node: "lxd9"}, Attempt: "1", Fingerprint: image.Fingerprint}
	require.ErrorIs(t, b.Create(ctx, bad), ams.ErrNotFound)

	// An image published on a member that is not the one asked is everywhere before
	// Publish returns.
	for _, id := range []string{"maker", "spare"} {
		spec := ams.InstanceSpec{Ref: ams.Ref{Cluster: cluster, ID: id, Node: "lxd2"}, Attempt: "1", Fingerprint: image.Fingerprint}
		refs = append(refs, spec.Ref)
		require.NoError(t, b.Create(ctx, spec))
	}
	published, err := b.Publish(ctx, refs[3], "published")
	require.NoError(t, err)
	for _, m := range members {
		require.FileExists(t, filepath.Join(m.Dir, "images", published.Fingerprint))
		require.FileExists(t, filepath.Join(m.Dir, "images", image.Fingerprint))
	}

	heard := make(chan string, 100)
	go func() { _ = b.Watch(ctx, cluster, func(id string) { heard <- id }) }()
	require.Eventually(t, func() bool {
		require.NoError(t, b.Stop(ctx, refs[1], true, 0))
		require.NoError(t, b.Start(ctx, refs[1]))
		return len(heard) > 0
	}, time.Minute, 100*time.Millisecond, "events of another member")

	// The lost member's instance is unknown: it is neither gone nor broken.
	require.NoError(t, members[2].Kill())
	soon, cancelSoon := context.WithTimeout(ctx, 5*time.Second)
	defer cancelSoon()
	begun := time.Now()
	require.Error(t, b.Stop(soon, refs[2], true, 0))
	require.Less(t, time.Since(begun), 30*time.Second)
	require.Eventually(t, func() bool {
		nodes, err := b.Nodes(ctx)
		if err != nil {
			return false
		}
		return len(nodes) == 3 && !nodes[2].Online && nodes[2].Capacity.CPUs > 0 &&
			nodes[2].Subnet == "10.77.0.1/20" && len(nodes[2].NUMA) > 0
	}, time.Minute, 500*time.Millisecond, "the member is offline")
	lost := bad
	lost.Node = "lxd2"
	var list []ams.Seen
	var seen ams.Seen
	// Each waits long for the member: all at once, on one instance each.
	errs := together(
		func() error { return b.Create(ctx, lost) },
		func() error { return b.Stop(ctx, refs[2], true, 0) },
		func() error { return b.Delete(ctx, refs[3]) },
		func() error { return b.Start(ctx, refs[4]) },
		func() (err error) { seen, err = b.Get(ctx, refs[2]); return err },
		func() (err error) { list, err = b.List(ctx, cluster); return err },
	)
	for _, err := range errs[:4] {
		require.ErrorIs(t, err, ams.ErrUnavailable)
	}
	if errs[4] != nil {
		require.ErrorIs(t, errs[4], ams.ErrUnavailable)
	} else {
		require.Equal(t, ams.PowerUnknown, seen.Power)
	}
	require.NoError(t, errs[5])
	require.Len(t, list, 5)
	require.Equal(t, ams.PowerRunning, list[0].Power)
	require.Equal(t, ams.PowerUnknown, list[2].Power)

	// What was published there outlives it.
	for _, node := range []string{"lxd0", "lxd1"} {
		spec := ams.InstanceSpec{Ref: ams.Ref{Cluster: cluster, ID: "of-" + node, Node: node}, Attempt: "1", Fingerprint: published.Fingerprint}
		require.NoError(t, b.Create(ctx, spec))
		require.NoError(t, b.Start(ctx, spec.Ref))
		require.NoError(t, b.Stop(ctx, spec.Ref, true, 0))
		require.NoError(t, b.Delete(ctx, spec.Ref))
	}
	r, err := b.OpenImage(ctx, cluster, "published")
	require.NoError(t, err)
	hash := sha256.New()
	_, err = io.Copy(hash, r)
	require.NoError(t, err)
	require.NoError(t, r.Close())
	require.Equal(t, published.Fingerprint, hex.EncodeToString(hash.Sum(nil)))

	require.NoError(t, members[2].Restart(ctx))
	require.Eventually(t, func() bool {
		list, err := b.List(ctx, cluster)
		return err == nil && len(list) == 5 && list[2].Power == ams.PowerRunning
	}, time.Minute, 500*time.Millisecond, "the member is back with its instance")
	for _, ref := range refs {
		require.Eventually(t, func() bool {
			err := errors.Join(b.Stop(ctx, ref, true, 0), b.Delete(ctx, ref))
			if err != nil {
				require.ErrorIs(t, err, ams.ErrUnavailable)
			}
			return err == nil
		}, time.Minute, 500*time.Millisecond)
	}
	require.NoError(t, b.DeleteImage(ctx, cluster, "base"))
	require.NoError(t, b.DeleteImage(ctx, cluster, "published"))
	images, err := b.ListImages(ctx, cluster)
	require.NoError(t, err)
	require.Empty(t, images)
}

// together calls all at once and returns their errors.
func together(calls ...func() error) []error {
	errs := make([]error, len(calls))
	var all sync.WaitGroup
	for n, call := range calls {
		all.Go(func() { errs[n] = call() })
	}
	all.Wait()
	return errs
}

// startCluster starts three daemons and returns how to reach them over TLS.
func startCluster(t *testing.T) (*lxdrun.Cluster, lxd.Config) {
	m := lxdtest.RequireCluster(t)
	return m, clusterConfig(t, m)
}

// clusterConfig makes a cluster trust a client, and returns how that reaches it.
func clusterConfig(t *testing.T, m *lxdrun.Cluster) lxd.Config {
	c := lxdtest.Connect(t, m.Members[0])
	cert, key := newCertificate(t)
	block, _ := pem.Decode([]byte(cert))
	trust := api.CertificatesPost{Certificate: base64.StdEncoding.EncodeToString(block.Bytes)}
	trust.Name, trust.Type = "ams", "client"
	require.NoError(t, c.CreateCertificate(trust))
	return lxd.Config{
		URL:        "https://" + m.Members[0].Address + ":8443",
		ClientCert: cert,
		ClientKey:  key,
		ServerCert: serverCertificate(t, c),
	}
}

// serverCertificate returns the cluster's certificate, once the client sees it.
func serverCertificate(t *testing.T, c client.InstanceServer) string {
	s, _, err := c.GetServer()
	require.NoError(t, err)
	return s.Environment.Certificate
}

func newCertificate(t *testing.T) (cert, key string) {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &k.PublicKey, k)
	require.NoError(t, err)
	keyDER, err := x509.MarshalECPrivateKey(k)
	require.NoError(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER}))
}

// TestConfig opens what cannot be opened.
func TestConfig(t *testing.T) {
	cert, key := newCertificate(t)
	for want, cfg := range map[string]lxd.Config{
		`URL "http://x": must be https://host:port`:                                       {URL: "http://x", ClientCert: cert, ClientKey: key, ServerCert: cert},
		`ServerCert must be set with a URL`:                                               {URL: "https://x", ClientCert: cert, ClientKey: key},
		`ClientCert and ClientKey: tls: failed to find any PEM data in certificate input`: {URL: "https://x", ServerCert: cert},
	} {
		_, err := lxd.Open(t.Context(), cfg)
		require.ErrorIs(t, err, ams.ErrInvalid)
		require.EqualError(t, err, want)
	}
	_, err := lxd.Open(t.Context(), lxd.Config{Socket: t.TempDir() + "/no.socket"})
	require.ErrorIs(t, err, ams.ErrUnavailable)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = lxd.Open(ctx, lxd.Config{Socket: t.TempDir() + "/no.socket"})
	require.ErrorIs(t, err, context.Canceled)

	d := lxdtest.Require(t)
	for _, cfg := range []lxd.Config{
		{Socket: d.Socket, Pool: "no-such-pool"},
		{Socket: d.Socket, Profiles: []string{"default", "no-such-profile"}},
		{Socket: d.Socket, Project: "no-such-project"},
	} {
		_, err := lxd.Open(t.Context(), cfg)
		require.ErrorIs(t, err, ams.ErrNotFound)
	}
}

// TestRequest looks at what LXD made of a request.
func TestRequest(t *testing.T) {
	d := lxdtest.Require(t)
	c := lxdtest.Connect(t, d)
	alias, _, err := c.GetImageAlias(lxdtest.ImageAlias)
	require.NoError(t, err)
	b := open(t, lxd.Config{Socket: d.Socket, Network: d.Bridge})
	nodes, err := b.Nodes(t.Context())
	require.NoError(t, err)
	spec := ams.InstanceSpec{
		Ref:         ams.Ref{Cluster: cluster, ID: "request", Node: nodes[0].Name},
		Attempt:     "first",
		Fingerprint: alias.Target,
		CPUs:        3,
		Memory:      3_000_000_512,
		Disk:        3_000_000_512,
	}
	require.NoError(t, b.Create(t.Context(), spec))
	i, _, err := c.GetInstance("ams-request")
	require.NoError(t, err)
	require.Equal(t, "3000000512", i.Config["limits.memory"])
	require.Equal(t, "300ms/100ms", i.Config["limits.cpu.allowance"])
	require.Equal(t, "false", i.Config["boot.autostart"])
	require.Equal(t, "first", i.Config["user.ams.op"])
	require.Equal(t, "3000041472", i.Devices["root"]["size"], "a multiple of 64 KiB")
	require.Equal(t, d.Bridge, i.Devices["eth0"]["network"])
	require.NoError(t, b.Delete(t.Context(), spec.Ref))

	pinned := spec
	pinned.CPUs, pinned.PinCPUs = 1, true
	pinned.Labels = map[string]string{"name": "one", "tags": "a, b"}
	require.NoError(t, b.Create(t.Context(), pinned))
	i, _, err = c.GetInstance("ams-request")
	require.NoError(t, err)
	require.Equal(t, "1", i.Config["limits.cpu"])
	require.NotContains(t, i.Config, "limits.cpu.allowance")
	require.Equal(t, "one", i.Config["user.ams.label.name"])
	require.Equal(t, "a, b", i.Config["user.ams.label.tags"])
	require.NoError(t, b.Start(t.Context(), pinned.Ref))
	require.Eventually(t, func() bool {
		var out bytes.Buffer
		_, err := b.Exec(t.Context(), pinned.Ref, ams.ExecRequest{Command: []string{"nproc"}, Stdout: &out})
		require.NoError(t, err)
		return out.String() == "1\n"
	}, time.Minute, 50*time.Millisecond, "CPUs of its own")
	require.NoError(t, b.Stop(t.Context(), pinned.Ref, true, 0))
	require.NoError(t, b.Delete(t.Context(), pinned.Ref))

	for _, id := range []string{"", "UPPER", "a/b", "../x", "a b", "end-", string(bytes.Repeat([]byte("x"), 60))} {
		bad := spec
		bad.ID = id
		require.ErrorIs(t, b.Create(t.Context(), bad), ams.ErrInvalid, "%q", id)
		require.ErrorIs(t, b.Delete(t.Context(), bad.Ref), ams.ErrInvalid, "%q", id)
	}
	if !slices.ContainsFunc(nodes, func(n ams.NodeInfo) bool { return n.VMs }) {
		vm := spec
		vm.VM = true
		require.ErrorIs(t, b.Create(t.Context(), vm), ams.ErrUnsupported)
	}
}
