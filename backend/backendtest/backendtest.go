// Package backendtest is what every Backend must do, as tests. An implementation
// runs them with a Harness that says how to get one and what it promises:
//
//	func TestBackend(t *testing.T) {
//		backendtest.Run(t, backendtest.Harness{New: …, Image: …, Watch: true, …})
//	}
//
// An ability that is promised and missing fails; one that is there and not
// promised fails as well, so that nothing goes untested.
package backendtest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
)

// Harness is what the tests need to know of an implementation.
type Harness struct {
	// New returns the backend to test. It is called once by Run, and what it
	// returns must be usable until the test ends.
	New func(t *testing.T) ams.Backend
	// Image returns an image. Images of different n have different fingerprints,
	// the same n gives the same bytes. Their instances must have a POSIX sh with
	// cat, echo, head, mkdir, read, sleep and stty, and obey a graceful stop.
	Image func(t *testing.T, n int) io.Reader
	// Split returns such an image in two files, with Images.
	Split func(t *testing.T, n int) ams.ImageFiles
	// Commands is how many short commands run in a row, with Exec; default 200.
	Commands int
	// Bulk is how many bytes are sent through each stream of a command; default
	// 10 MiB.
	Bulk int64
	// Operator acts on the backend's cluster as people do, past the backend.
	Operator Operator

	// The abilities that the backend promises.
	Watch, Exec, Logs, Images, Publish, Export bool
	Configure, Freeze, Copy, FollowLogs        bool
	// Disks promises that instances have file systems: what is written to one is on
	// its copies.
	Disks bool
	// Addresses promises that running instances get an IPv4 address.
	Addresses bool
}

// Operator makes and removes things that carry no mark, and interferes with those
// that do. What it cannot do ends the test.
type Operator interface {
	// AddInstance makes an instance of that name, running or not.
	AddInstance(t *testing.T, name string)
	HasInstance(t *testing.T, name string) bool
	RemoveInstance(t *testing.T, name string)
	// AddImage stores an image under an alias and returns its fingerprint.
	AddImage(t *testing.T, alias string, r io.Reader) (fingerprint string)
	HasImage(t *testing.T, fingerprint string) bool
	RemoveImage(t *testing.T, fingerprint string)
	// RemoveAlias removes an alias and leaves its image.
	RemoveAlias(t *testing.T, alias string)
}

// bound is how long a single test may take.
const bound = 3 * time.Minute

// soon is how long a call may go on after its context has ended. It is long for a
// machine that is busy, and short for a call that does not end.
const soon = 20 * time.Second

// Run tests a backend. The tests share it, one cluster mark each, and each checks
// that nothing with its mark is left behind.
func Run(t *testing.T, h Harness) {
	s := &suite{h: h, b: h.New(t)}
	s.promises(t)
	s.setup(t)

	t.Run("Nodes", s.run(testNodes))
	t.Run("Life", s.run(testLife))
	t.Run("Twice", s.run(testTwice))
	t.Run("Concurrently", s.run(testConcurrently))
	t.Run("Attempts", s.run(testAttempts))
	t.Run("Absent", s.run(testAbsent))
	t.Run("Refused", s.run(testRefused))
	t.Run("DeleteRunning", s.run(testDeleteRunning))
	t.Run("Labels", s.run(testLabels))
	t.Run("Clusters", s.run(testClusters))
	t.Run("ForeignInstance", s.run(testForeignInstance))
	t.Run("Cancelled", s.run(testCancelled))
	t.Run("CancelCreate", s.run(testCancelCreate))
	if h.Watch {
		t.Run("Watch", s.run(testWatch))
	}
	if h.Exec {
		t.Run("Exec", s.run(testExec))
	}
	if h.Logs {
		t.Run("Logs", s.run(testLogs))
	}
	if h.Images {
		t.Run("Images", s.run(testImages))
	}
	if h.Configure {
		t.Run("Configure", s.run(testConfigure))
	}
	if h.Freeze {
		t.Run("Freeze", s.run(testFreeze))
	}
	if h.Copy {
		t.Run("Copy", s.run(testCopy))
	}
	if h.FollowLogs {
		t.Run("FollowLogs", s.run(testFollow))
	}
	if h.Publish {
		t.Run("Publish", s.run(testPublish))
	}
	if h.Export {
		t.Run("Export", s.run(testExport))
	}
}

// suite is what all tests share.
type suite struct {
	h Harness
	b ams.Backend

	node        string // one that is online
	fingerprint string // of image 0

	watcher   ams.Watcher
	execer    ams.Execer
	logReader ams.LogReader
	images    ams.ImageKeeper
	publisher ams.Publisher
	exporter  ams.ImageExporter

	configurer ams.Configurer
	freezer    ams.Freezer
	follower   ams.LogFollower
	copier     ams.Copier
}

// promises compares the abilities with what was promised.
func (s *suite) promises(t *testing.T) {
	var ok bool
	s.watcher, ok = ams.BackendAs[ams.Watcher](s.b)
	require.Equal(t, s.h.Watch, ok, "Watcher promised, and there")
	s.execer, ok = ams.BackendAs[ams.Execer](s.b)
	require.Equal(t, s.h.Exec, ok, "Execer promised, and there")
	s.logReader, ok = ams.BackendAs[ams.LogReader](s.b)
	require.Equal(t, s.h.Logs, ok, "LogReader promised, and there")
	s.images, ok = ams.BackendAs[ams.ImageKeeper](s.b)
	require.Equal(t, s.h.Images, ok, "ImageKeeper promised, and there")
	s.publisher, ok = ams.BackendAs[ams.Publisher](s.b)
	require.Equal(t, s.h.Publish, ok, "Publisher promised, and there")
	s.exporter, ok = ams.BackendAs[ams.ImageExporter](s.b)
	require.Equal(t, s.h.Export, ok, "ImageExporter promised, and there")
	s.configurer, ok = ams.BackendAs[ams.Configurer](s.b)
	require.Equal(t, s.h.Configure, ok, "Configurer promised, and there")
	s.freezer, ok = ams.BackendAs[ams.Freezer](s.b)
	require.Equal(t, s.h.Freeze, ok, "Freezer promised, and there")
	s.follower, ok = ams.BackendAs[ams.LogFollower](s.b)
	require.Equal(t, s.h.FollowLogs, ok, "LogFollower promised, and there")
	s.copier, ok = ams.BackendAs[ams.Copier](s.b)
	require.Equal(t, s.h.Copy, ok, "Copier promised, and there")
}

// setup finds a node and puts the image there that the tests use, as a foreign
// one: who made an image does not matter to Create.
func (s *suite) setup(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), bound)
	defer cancel()
	nodes, err := s.b.Nodes(ctx)
	require.NoError(t, err)
	for _, n := range nodes {
		if n.Online && s.node == "" {
			s.node = n.Name
		}
	}
	require.NotEmpty(t, s.node, "no node is online")
	s.fingerprint = s.h.Operator.AddImage(t, newID(), s.h.Image(t, 0))
	t.Cleanup(func() { s.h.Operator.RemoveImage(t, s.fingerprint) })
}

// test is the environment of one test.
type test struct {
	*testing.T
	*suite
	ctx     context.Context
	cluster string
}

// run returns a test of a cluster mark of its own, after which nothing of it may
// be left.
func (s *suite) run(f func(*test)) func(*testing.T) {
	return func(t *testing.T) {
		ctx, cancel := context.WithTimeout(context.Background(), bound)
		defer cancel()
		e := &test{T: t, suite: s, ctx: ctx, cluster: "test-" + newID()}
		f(e)
		e.nothingLeft()
	}
}

// nothingLeft checks that the test's cluster is empty.
func (e *test) nothingLeft() {
	left, err := e.b.List(e.ctx, e.cluster)
	require.NoError(e, err)
	require.Empty(e, left, "instances were left behind")
	if e.images != nil {
		images, err := e.images.ListImages(e.ctx, e.cluster)
		require.NoError(e, err)
		require.Empty(e, images, "images were left behind")
	}
}

// newID returns 20 random characters, as the Manager's ids are.
func newID() string {
	var b [10]byte
	_, _ = rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// spec returns a small container that does not exist yet.
func (e *test) spec() ams.InstanceSpec {
	return ams.InstanceSpec{
		Ref:         ams.Ref{Cluster: e.cluster, ID: newID(), Node: e.node},
		Attempt:     "attempt-1",
		Fingerprint: e.fingerprint,
		CPUs:        1,
		Memory:      256 << 20,
		Disk:        1 << 30,
	}
}

// create makes a stopped instance, which is removed when the test ends, however
// that is.
func (e *test) create() ams.InstanceSpec {
	e.Helper()
	spec := e.spec()
	e.cleanup(spec.Ref)
	require.NoError(e, e.b.Create(e.ctx, spec))
	return spec
}

// start makes a running instance, which is removed when the test ends.
func (e *test) start() ams.InstanceSpec {
	e.Helper()
	spec := e.create()
	require.NoError(e, e.b.Start(e.ctx, spec.Ref))
	return spec
}

// remove stops and deletes an instance.
func (e *test) remove(ref ams.Ref) {
	e.Helper()
	require.NoError(e, e.b.Stop(e.ctx, ref, true, 0))
	require.NoError(e, e.b.Delete(e.ctx, ref))
	e.absent(ref)
}

// cleanup removes what a failed test left.
func (e *test) cleanup(ref ams.Ref) {
	e.Cleanup(func() {
		if !e.Failed() {
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		_ = e.b.Stop(ctx, ref, true, 0)
		_ = e.b.Delete(ctx, ref)
	})
}

// power checks what Get sees.
func (e *test) power(want ams.Power, ref ams.Ref) ams.Seen {
	e.Helper()
	seen, err := e.b.Get(e.ctx, ref)
	require.NoError(e, err)
	require.Equal(e, want, seen.Power)
	require.Equal(e, ref.ID, seen.ID)
	require.Equal(e, ref.Node, seen.Node)
	return seen
}

// absent checks that there is no such instance.
func (e *test) absent(ref ams.Ref) {
	e.Helper()
	_, err := e.b.Get(e.ctx, ref)
	require.ErrorIs(e, err, ams.ErrNotFound)
}

// listed returns what List has of an instance, or fails.
func (e *test) listed(ref ams.Ref) ams.Seen {
	e.Helper()
	list, err := e.b.List(e.ctx, ref.Cluster)
	require.NoError(e, err)
	var found []ams.Seen
	for _, seen := range list {
		if seen.ID == ref.ID {
			found = append(found, seen)
		}
	}
	require.Len(e, found, 1)
	return found[0]
}

// eventually polls until ok, for a minute at most.
func (e *test) eventually(what string, ok func() bool) {
	e.Helper()
	require.Eventually(e, ok, time.Minute, 20*time.Millisecond, what)
}

// together runs f n times at once and checks that none failed.
func (e *test) together(n int, f func() error) {
	e.Helper()
	errs := make(chan error)
	for range n {
		go func() { errs <- f() }()
	}
	for range n {
		if err := <-errs; err != nil {
			e.Errorf("of %d calls at once: %v", n, err)
		}
	}
	require.False(e, e.Failed())
}

// text returns s as an input.
func text(s string) io.Reader { return strings.NewReader(s) }
