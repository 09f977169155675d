package ams_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
	"github.com/openams/ams/backend/fake"
)

// imageServer is an ams.ImageServer in memory.
type imageServer struct {
	mu     sync.Mutex
	images []ams.RemoteImage
	files  map[string]string // by path
	slow   time.Duration     // to read a file
	fail   error             // of every call
	fails  int               // how often; 0 with an error is always
	opens  map[string]int
	from   ams.ImageSource // of the last call
}

func newImageServer() *imageServer {
	return &imageServer{files: map[string]string{}, opens: map[string]int{}}
}

// add offers a version of an image, as one file or as two.
func (s *imageServer) add(name, version string, contents ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := ams.RemoteVersion{ID: version}
	for i, content := range contents {
		sum := sha256.Sum256([]byte(content))
		path := name + "/" + version + "/" + string(rune('a'+i))
		s.files[path] = content
		v.Files = append(v.Files, ams.RemoteFile{Path: path, Size: int64(len(content)), SHA256: hex.EncodeToString(sum[:]), Rootfs: i > 0})
	}
	for i := range s.images {
		if s.images[i].Name == name {
			s.images[i].Versions = append(slices.Clone(s.images[i].Versions), v)
			return
		}
	}
	s.images = append(s.images, ams.RemoteImage{Name: name, Architecture: "x86_64", Variant: "android", Versions: []ams.RemoteVersion{v}})
}

func (s *imageServer) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

func (s *imageServer) fault() error {
	err := s.fail
	if s.fails > 0 {
		if s.fails--; s.fails == 0 {
			s.fail = nil
		}
	}
	return err
}

func (s *imageServer) Images(_ context.Context, from ams.ImageSource) ([]ams.RemoteImage, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.from = from
	return slices.Clone(s.images), s.fault()
}

func (s *imageServer) Open(ctx context.Context, _ ams.ImageSource, file ams.RemoteFile) (io.ReadCloser, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opens[file.Path]++
	if err := s.fault(); err != nil {
		return nil, err
	}
	return &slowFile{Reader: strings.NewReader(s.files[file.Path]), ctx: ctx, wait: s.slow}, nil
}

func (s *imageServer) opened(path string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.opens[path]
}

// slowFile waits before it gives anything.
type slowFile struct {
	*strings.Reader
	ctx  context.Context
	wait time.Duration
}

func (f *slowFile) Read(p []byte) (int, error) {
	t := time.NewTimer(f.wait)
	defer t.Stop()
	select {
	case <-t.C:
	case <-f.ctx.Done():
		return 0, f.ctx.Err()
	}
	f.wait = 0
	return f.Reader.Read(p)
}

func (*slowFile) Close() error { return nil }

const jammy = "jammy:android15:amd64"

func served(s *imageServer) func(*ams.Config) {
	return func(c *ams.Config) { c.ImageServer = s }
}

func TestImageIsFetchedWhenItIsUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newImageServer()
		s.add(jammy, "1.29.0-1", "old")
		s.add(jammy, "1.30.1-1", "meta", "rootfs")
		s.add(jammy, "1.31.0-1", "too new")
		s.slow = 20 * time.Second
		w := newWorld(t, fake.Options{}, served(s))
		image := w.imageIs(jammy, ams.ImageAvailable)
		require.True(t, image.Immutable)
		require.Equal(t, []any{"x86_64", "android", "1.30.1-1", int64(10), false},
			[]any{image.Architecture, image.Variant, image.Versions[0].RemoteID, image.Versions[0].Size, image.Default})

		var ops []ams.Operation
		for range 5 { // one fetch for many
			op, err := w.Instances.Launch(w.ctx, ams.LaunchRequest{Image: jammy})
			require.NoError(t, err)
			ops = append(ops, op)
		}
		time.Sleep(10 * time.Second)
		in := w.instance(ops[0].Resources["instance"][0])
		require.Equal(t, ams.InstanceCreated, in.Status)
		require.Equal(t, "waiting for image "+jammy+": downloading, 0 % of 10B", in.StatusMessage)
		w.imageIs(jammy, ams.ImageQueued)
		for _, op := range ops {
			w.wait(op, nil)
		}
		require.Equal(t, []int{1, 1}, []int{s.opened(jammy + "/1.30.1-1/a"), s.opened(jammy + "/1.30.1-1/b")})
		image = w.imageIs(jammy, ams.ImageActive)
		require.True(t, image.Default, "the first that is here")
		require.Empty(t, w.instance(in.ID).StatusMessage)
		require.Equal(t, "x86_64", w.instance(in.ID).Architecture)
		w.audit()
	})
}

func (w *world) imageIs(name string, status ams.ImageStatus) ams.Image {
	w.t.Helper()
	var image ams.Image
	for range 1000 {
		var err error
		if image, err = w.Images.Get(w.ctx, name); err == nil && image.Status == status {
			return image
		}
		time.Sleep(time.Second) // of a bubble's time
	}
	require.Equal(w.t, status, image.Status, image.Name)
	return image
}

func TestFetchEndsWhenNothingWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newImageServer()
		s.add(jammy, "1.30.1-1", "content")
		s.slow = time.Hour
		w := newWorld(t, fake.Options{}, served(s))
		w.imageIs(jammy, ams.ImageAvailable)
		launch, err := w.Instances.Launch(w.ctx, ams.LaunchRequest{Image: jammy})
		require.NoError(t, err)
		build, err := w.Applications.Create(w.ctx, pkg("name: candy\nimage: "+jammy), ams.CreateOptions{})
		require.NoError(t, err)
		sync, err := w.Images.Sync(w.ctx, jammy)
		require.NoError(t, err)
		_, err = w.Images.Sync(w.ctx, jammy)
		require.ErrorIs(t, err, ams.ErrConflict)
		for _, op := range []ams.Operation{launch, sync, build} {
			time.Sleep(10 * time.Second)
			w.imageIs(jammy, ams.ImageQueued)
			require.NoError(t, w.Operations.Cancel(w.ctx, op.ID))
			w.fails(ams.ErrCancelled, op, nil)
		}
		w.imageIs(jammy, ams.ImageAvailable)
		require.Equal(t, 1, s.opened(jammy+"/1.30.1-1/a"))
		s.set(func() { s.slow = time.Second })
		w.wait(w.Images.Sync(w.ctx, jammy))
		w.imageIs(jammy, ams.ImageActive)
		w.wait(w.Images.Sync(w.ctx, jammy)) // nothing to do
		require.Equal(t, 2, s.opened(jammy+"/1.30.1-1/a"))
		w.audit()
	})
}

func TestImageServerAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newImageServer()
		s.add(jammy, "1.30.1-1", "one")
		w := newWorld(t, fake.Options{}, served(s))
		w.imageIs(jammy, ams.ImageAvailable)
		w.wait(w.Images.Sync(w.ctx, jammy))
		s.add(jammy, "1.30.2-1", "two")
		w.imageIs(jammy, ams.ImageAvailable)
		away := ams.Errorf(ams.ErrUnavailable, "connection refused")
		s.set(func() { s.fail = away })

		// What waits for the new version waits, until its time is up.
		op, err := w.Instances.Launch(w.ctx, ams.LaunchRequest{Image: jammy})
		require.NoError(t, err)
		time.Sleep(time.Minute)
		require.Equal(t, "waiting for image "+jammy+": trying again: connection refused", w.instance(op.Resources["instance"][0]).StatusMessage)
		// What is here is used.
		w.launch(ams.LaunchRequest{Image: jammy})
		text := w.fails(ams.ErrTimeout, op, nil)
		require.Equal(t, "the time for it ran out: waiting for image "+jammy+": trying again: connection refused", text)

		op, err = w.Images.Sync(w.ctx, jammy)
		require.NoError(t, err)
		time.Sleep(3 * time.Minute)
		s.set(func() { s.fail = nil })
		w.wait(op, nil)
		image := w.imageIs(jammy, ams.ImageActive)
		require.Len(t, image.Versions, 2)
		w.audit()
	})
}

func TestImageServerLies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newImageServer()
		s.add(jammy, "1.30.1-1", "content")
		s.set(func() { s.files[jammy+"/1.30.1-1/a"] = "contenT" })
		w := newWorld(t, fake.Options{}, served(s))
		w.imageIs(jammy, ams.ImageAvailable)
		op, err := w.Instances.Launch(w.ctx, ams.LaunchRequest{Image: jammy})
		text := w.fails(ams.ErrFailed, op, err)
		require.Contains(t, text, "is not what the image server says it is")
		image := w.imageIs(jammy, ams.ImageError)
		require.Equal(t, 3, s.opened(jammy+"/1.30.1-1/a"))
		require.Contains(t, image.Versions[0].ErrorMessage, "SHA-256")
		_, err = w.Instances.Launch(w.ctx, ams.LaunchRequest{Image: jammy})
		require.ErrorIs(t, err, ams.ErrState)
		in := w.instance(op.Resources["instance"][0])
		require.Equal(t, ams.InstanceError, in.Status)
		w.wait(w.Instances.Delete(w.ctx, in.ID, false))

		s.set(func() { s.files[jammy+"/1.30.1-1/a"] = "content" })
		w.wait(w.Images.Sync(w.ctx, jammy))
		w.launch(ams.LaunchRequest{})
		w.audit()
	})
}

func TestImageServerChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newImageServer()
		s.add(jammy, "1.30.1-1", "one")
		s.add("noble:aaos16:amd64", "1.30.1-1", "other")
		w := newWorld(t, fake.Options{}, served(s))
		w.imageIs(jammy, ams.ImageAvailable)
		w.wait(w.Images.Sync(w.ctx, jammy))
		w.wait(w.Images.AddRemote(w.ctx, "mine", jammy, ams.ImageOptions{Default: true}))
		w.wait(w.Images.AddRemote(w.ctx, "pinned", jammy+"@1.30.1", ams.ImageOptions{}))
		_, err := w.Images.AddRemote(w.ctx, "other", jammy+"@1.29", ams.ImageOptions{})
		require.ErrorIs(t, err, ams.ErrNotFound)
		_, err = w.Images.AddRemote(w.ctx, "other", "nothing", ams.ImageOptions{})
		require.ErrorIs(t, err, ams.ErrNotFound)

		s.set(func() {
			s.images = slices.DeleteFunc(s.images, func(i ams.RemoteImage) bool { return i.Name != jammy })
		})
		s.add(jammy, "1.30.2-1", "two")
		require.NoError(t, w.Settings.Set(w.ctx, "images.update_interval", "1m"))
		time.Sleep(2 * time.Second)
		_, err = w.Images.Get(w.ctx, "noble:aaos16:amd64")
		require.ErrorIs(t, err, ams.ErrNotFound, "never fetched and not there any more")
		for name, versions := range map[string]int{jammy: 2, "mine": 2, "pinned": 1} {
			image, err := w.Images.Get(w.ctx, name)
			require.NoError(t, err)
			require.Len(t, image.Versions, versions, name)
		}
		s.set(func() { s.images = nil })
		time.Sleep(2 * time.Minute)
		image := w.imageIs(jammy, ams.ImageActive)
		require.Len(t, image.Versions, 1, "what is here stays")

		_, err = w.Images.Delete(w.ctx, jammy, false)
		require.ErrorIs(t, err, ams.ErrState)
		_, err = w.Images.Update(w.ctx, jammy, fakeImage("x"), ams.ImageOptions{})
		require.ErrorIs(t, err, ams.ErrState)
		_, err = w.Images.DeleteVersion(w.ctx, jammy, 0)
		require.ErrorIs(t, err, ams.ErrState)
		w.wait(w.Images.Delete(w.ctx, jammy, true))
		w.audit()
	})
}

func TestImageDeletedWhileItIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newImageServer()
		s.add(jammy, "1.30.1-1", "content")
		s.slow = time.Minute
		w := newWorld(t, fake.Options{}, served(s))
		w.imageIs(jammy, ams.ImageAvailable)
		launch, err := w.Instances.Launch(w.ctx, ams.LaunchRequest{Image: jammy})
		require.NoError(t, err)
		build, err := w.Applications.Create(w.ctx, pkg("name: candy\nimage: "+jammy), ams.CreateOptions{})
		require.NoError(t, err)
		time.Sleep(10 * time.Second)
		w.wait(w.Images.Delete(w.ctx, jammy, true))
		require.Contains(t, w.fails(ams.ErrNotFound, launch, nil), "was deleted")
		require.Contains(t, w.fails(ams.ErrNotFound, build, nil), "was deleted")
		v, err := w.Applications.Version(w.ctx, "candy", 0)
		require.NoError(t, err)
		require.Equal(t, ams.VersionError, v.Status)
		require.NotEmpty(t, v.ErrorMessage)
		w.audit()
	})
}

func TestFetchSurvivesRestarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newImageServer()
		s.add(jammy, "1.30.1-1", "meta", "rootfs")
		s.slow = 100 * time.Second
		w := newWorld(t, fake.Options{}, served(s))
		w.imageIs(jammy, ams.ImageAvailable)
		op, err := w.Instances.Launch(w.ctx, ams.LaunchRequest{Image: jammy})
		require.NoError(t, err)
		time.Sleep(150 * time.Second) // the first of two files is here
		w.stop()
		w.start()
		w.wait(op, nil)
		require.Equal(t, []int{1, 2}, []int{s.opened(jammy + "/1.30.1-1/a"), s.opened(jammy + "/1.30.1-1/b")})
		w.audit()
	})
}
