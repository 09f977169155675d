package ams_test

import (
	"context"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
	"github.com/openams/ams/backend/fake"
	"github.com/openams/ams/storage/mem"
)

func (w *world) defaults() (names []string) {
	yes := true
	list, _, err := w.Images.List(w.ctx, ams.ImageFilter{Default: &yes}, ams.Page{})
	require.NoError(w.t, err)
	for _, image := range list {
		names = append(names, image.Name)
	}
	return names
}

func (w *world) getImage(name string) ams.Image {
	w.t.Helper()
	image, err := w.Images.Get(w.ctx, name)
	require.NoError(w.t, err)
	return image
}

func TestFailedFirstImageStaysDefault(t *testing.T) {
	bubble(t, slow, func(t *testing.T, w *world) {
		op, err := w.Images.Add(w.ctx, "broken", fakeImage("not an image"), ams.ImageOptions{})
		w.fails(ams.ErrInvalid, op, err)
		w.wait(w.Images.Add(w.ctx, "good", fakeImage("good"), ams.ImageOptions{}))
		require.Equal(t, []string{"good"}, w.defaults())
		w.launch(ams.LaunchRequest{})
	})
}

func TestCannotDeleteFailedDefault(t *testing.T) {
	bubble(t, slow, func(t *testing.T, w *world) {
		op, err := w.Images.Add(w.ctx, "broken", fakeImage("not an image"), ams.ImageOptions{})
		w.fails(ams.ErrInvalid, op, err)
		w.wait(w.Images.Add(w.ctx, "good", fakeImage("good"), ams.ImageOptions{}))
		w.wait(w.Images.Delete(w.ctx, "broken", false))
	})
}

func TestNoDefaultAfterDeletion(t *testing.T) {
	bubble(t, slow, func(t *testing.T, w *world) {
		w.image()
		release := w.fake.Hang(fake.VerbDeleteImage)
		op, err := w.Images.Delete(w.ctx, jammy, false)
		require.NoError(t, err)
		w.wait(w.Images.Add(w.ctx, "noble", fakeImage("noble"), ams.ImageOptions{}))
		release()
		w.wait(op, nil)
		require.Equal(t, []string{"noble"}, w.defaults())
	})
}

func TestUpdateWhileThatVersionIsDeleted(t *testing.T) {
	bubble(t, slow, func(t *testing.T, w *world) {
		w.image()
		w.wait(w.Images.Update(w.ctx, jammy, fakeImage("two"), ams.ImageOptions{}))
		release := w.fake.Hang(fake.VerbDeleteImage)
		gone, err := w.Images.DeleteVersion(w.ctx, jammy, 1)
		require.NoError(t, err)
		op, err := w.Images.Update(w.ctx, jammy, fakeImage("two"), ams.ImageOptions{})
		require.NoError(t, err)
		release()
		w.wait(gone, nil)
		w.wait(op, nil)
		require.Len(t, w.getImage(jammy).Versions, 2, "the update said that it succeeded")
	})
}

func TestSetDefaultOfUsableImage(t *testing.T) {
	bubble(t, slow, func(t *testing.T, w *world) {
		w.image()
		w.wait(w.Images.Add(w.ctx, "noble", fakeImage("noble"), ams.ImageOptions{}))
		op, err := w.Images.Update(w.ctx, "noble", fakeImage("not an image"), ams.ImageOptions{})
		w.fails(ams.ErrInvalid, op, err)
		w.launch(ams.LaunchRequest{Image: "noble"}) // it can be used
		require.NoError(t, w.Images.SetDefault(w.ctx, "noble"))
	})
}

func withoutVersion(s *imageServer, version string) {
	s.set(func() {
		for i := range s.images {
			s.images[i].Versions = slices.DeleteFunc(slices.Clone(s.images[i].Versions), func(v ams.RemoteVersion) bool { return v.ID == version })
		}
	})
}

func TestWithdrawnVersionIsStillOffered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newImageServer()
		s.add(jammy, "1.30.1-1", "one")
		w := newWorld(t, fake.Options{}, served(s))
		w.imageIs(jammy, ams.ImageAvailable)
		w.wait(w.Images.Sync(w.ctx, jammy))
		s.add(jammy, "1.30.2-1", "two")
		time.Sleep(6 * time.Minute)
		require.Len(t, w.getImage(jammy).Versions, 2)
		withoutVersion(s, "1.30.2-1")
		s.set(func() { delete(s.files, jammy+"/1.30.2-1/a") })
		time.Sleep(6 * time.Minute)
		require.Len(t, w.getImage(jammy).Versions, 1, "withdrawn, and never fetched")
		w.launch(ams.LaunchRequest{Image: jammy})
	})
}

func TestLockstepSwitchedOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newImageServer()
		s.add(jammy, "1.30.1-1", "one")
		w := newWorld(t, fake.Options{}, served(s))
		w.imageIs(jammy, ams.ImageAvailable)
		require.NoError(t, w.Settings.Set(w.ctx, "images.version_lockstep", "false"))
		s.add(jammy, "1.31.0-1", "too new")
		time.Sleep(6 * time.Minute)
		require.NoError(t, w.Settings.Set(w.ctx, "images.version_lockstep", "true"))
		time.Sleep(6 * time.Minute)
		in := w.launch(ams.LaunchRequest{Image: jammy})
		image := w.getImage(jammy)
		for _, v := range image.Versions {
			require.Equal(t, "1.30.1-1", v.RemoteID, "1.31.0 must not be taken")
			require.Equal(t, v.Number, in.ImageVersion)
		}
	})
}

func TestPinPassesLockstep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newImageServer()
		s.add(jammy, "1.31.0-1", "too new")
		w := newWorld(t, fake.Options{}, served(s))
		_, err := w.Images.AddRemote(w.ctx, "mine", jammy+"@1.31.0", ams.ImageOptions{})
		require.ErrorIs(t, err, ams.ErrNotFound)
	})
}

func TestEmptyPin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newImageServer()
		s.add(jammy, "1.30.0-1", "x")
		w := newWorld(t, fake.Options{}, served(s))
		_, err := w.Images.AddRemote(w.ctx, "mine", jammy+"@", ams.ImageOptions{})
		require.Error(t, err)
	})
}

func TestAnOutageIsNeverForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newImageServer()
		s.add(jammy, "1.30.1-1", "one")
		w := newWorld(t, fake.Options{}, served(s))
		w.imageIs(jammy, ams.ImageAvailable)
		w.wait(w.Images.Sync(w.ctx, jammy))
		s.add(jammy, "1.30.2-1", "two")
		w.imageIs(jammy, ams.ImageAvailable)
		s.set(func() { s.fail = ams.Errorf(ams.ErrUnavailable, "connection refused") })
		op, err := w.Instances.Launch(w.ctx, ams.LaunchRequest{Image: jammy})
		w.fails(ams.ErrTimeout, op, err)
		s.set(func() { s.fail = nil })
		time.Sleep(24 * time.Minute) // the server is read several times
		require.Equal(t, 1, w.launch(ams.LaunchRequest{Image: jammy}).ImageVersion, "the server is back for long")
	})
}

func TestOutagesCountAsWrongAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newImageServer()
		s.add(jammy, "1.30.1-1", "one")
		w := newWorld(t, fake.Options{}, served(s))
		w.imageIs(jammy, ams.ImageAvailable)
		s.set(func() { s.fail = ams.Errorf(ams.ErrUnavailable, "connection refused") })
		op, err := w.Instances.Launch(w.ctx, ams.LaunchRequest{Image: jammy})
		require.NoError(t, err)
		time.Sleep(time.Minute)
		s.set(func() { s.fail, s.fails = ams.Errorf(ams.ErrNotFound, "404 while it starts"), 1 })
		w.wait(op, nil)
	})
}

func TestPinnedImageKeepsOldHash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newImageServer()
		s.add(jammy, "1.30.1-1", "one")
		s.set(func() { s.files[jammy+"/1.30.1-1/a"] = "two" })
		w := newWorld(t, fake.Options{}, served(s))
		op, err := w.Images.AddRemote(w.ctx, "mine", jammy+"@1.30.1", ams.ImageOptions{})
		w.fails(ams.ErrInvalid, op, err)
		withoutVersion(s, "1.30.1-1")
		s.add(jammy, "1.30.1-1", "two") // the server corrects its list
		time.Sleep(10 * time.Minute)
		w.wait(w.Images.Sync(w.ctx, "mine"))
	})
}

func TestOneNameTwiceOnTheServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newImageServer()
		s.add(jammy, "1.30.1-1", "one")
		s.set(func() { s.images = append(s.images, s.images[0]) })
		w := newWorld(t, fake.Options{}, served(s))
		w.imageIs(jammy, ams.ImageAvailable)
	})
}

func TestSetShrinksDiskOfVM(t *testing.T) {
	bubble(t, fake.Options{}, func(t *testing.T, w *world) {
		w.wait(w.Images.Add(w.ctx, "machine", fakeImage("vm"), ams.ImageOptions{VM: true}))
		require.NoError(t, w.store.Update(w.ctx, func(tx ams.Tx) error { // a large one
			list, err := tx.Images().List(ams.ImageFilter{}, ams.Page{})
			if err != nil {
				return err
			}
			list[0].Versions = slices.Clone(list[0].Versions)
			list[0].Versions[0].Size = int64(20 * ams.Gigabyte)
			return tx.Images().Put(list[0])
		}))
		w.wait(w.Applications.Create(w.ctx, pkg("name: candy"), ams.CreateOptions{VM: true}))
		app, err := w.Applications.Get(w.ctx, "candy")
		require.NoError(t, err)
		require.Equal(t, 20*ams.Gigabyte, app.Resources.DiskSize)
		w.wait(w.Applications.Set(w.ctx, "candy", ams.ApplicationPatch{Tags: []string{"x"}}))
		app, err = w.Applications.Get(w.ctx, "candy")
		require.NoError(t, err)
		require.Equal(t, 20*ams.Gigabyte, app.Resources.DiskSize)
	})
}

// mute is a backend that publishes nothing.
type mute struct {
	ams.Backend
	ams.ImageKeeper
}

func TestCreateWithoutPublisher(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := fake.New(fake.Options{})
		m, err := ams.New(ams.Config{Store: mem.New(), Backend: mute{b, b}, Guest: b, Logger: slog.New(slog.DiscardHandler)})
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- m.Run(ctx) }()
		defer func() { cancel(); <-ended }()
		require.NoError(t, m.Ready(ctx))
		op, err := m.Images.Add(ctx, "android", fakeImage("x"), ams.ImageOptions{})
		require.NoError(t, err)
		_, err = m.Operations.Wait(ctx, op.ID)
		require.NoError(t, err)
		_, err = m.Applications.Create(ctx, pkg("name: candy"), ams.CreateOptions{})
		require.ErrorIs(t, err, ams.ErrUnsupported)
	})
}

func TestEmptyListInSet(t *testing.T) {
	bubble(t, slow, func(t *testing.T, w *world) {
		w.application("candy")
		for name, p := range map[string]ams.ApplicationPatch{
			"watchdog":  {Watchdog: &ams.Watchdog{AllowedPackages: []string{}}},
			"bootstrap": {Bootstrap: &ams.Bootstrap{Keep: []string{}}},
		} {
			before := w.settled("candy")
			w.wait(w.Applications.Set(w.ctx, "candy", p))
			require.Len(t, w.settled("candy"), len(before), "%s: nothing has changed", name)
		}
	})
}

func TestDeletedVersionComesBack(t *testing.T) {
	bubble(t, slow, func(t *testing.T, w *world) {
		w.application("candy")
		w.wait(w.Images.Update(w.ctx, jammy, fakeImage("two"), ams.ImageOptions{}))
		require.Equal(t, []int{0, 1}, numbers(w.settled("candy")))
		time.Sleep(time.Minute)
		w.wait(w.Applications.DeleteVersion(w.ctx, "candy", 1))
		time.Sleep(time.Hour)
		require.Equal(t, []int{0}, numbers(w.settled("candy")), "at once or never")
		w.stop()
		w.start()
		require.Equal(t, []int{0}, numbers(w.settled("candy")), "after a restart")
	})
}

func TestOneOfflineArchitectureHoldsUpAllBuilds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fake.Options{NodeCount: 2})
		infos, err := w.fake.Nodes(w.ctx)
		require.NoError(t, err)
		arm := infos[1]
		arm.Architecture = "aarch64"
		w.fake.SetNode(arm)
		w.image()
		w.wait(w.Images.Add(w.ctx, "phones", fakeImage("architecture: aarch64"), ams.ImageOptions{}))
		time.Sleep(time.Minute)
		w.fake.SetOnline(arm.Name, false)
		time.Sleep(time.Minute)
		_, err = w.Applications.Create(w.ctx, pkg("name: first\nimage: phones"), ams.CreateOptions{})
		require.NoError(t, err)
		op, err := w.Applications.Create(w.ctx, pkg("name: second"), ams.CreateOptions{})
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(w.ctx, time.Hour)
		defer cancel()
		_, err = w.Operations.Wait(ctx, op.ID)
		require.NoError(t, err, "node0 is empty")
	})
}

func TestTwoSlowFetchesHoldUpAllImages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newImageServer()
		s.add("aaa:android15:amd64", "1.30.1-1", "one")
		s.add("bbb:android15:amd64", "1.30.1-1", "two")
		s.slow = 2 * time.Hour
		w := newWorld(t, fake.Options{}, served(s))
		for _, name := range []string{"aaa:android15:amd64", "bbb:android15:amd64"} {
			w.imageIs(name, ams.ImageAvailable)
			_, err := w.Images.Sync(w.ctx, name)
			require.NoError(t, err)
		}
		time.Sleep(time.Minute)
		op, err := w.Images.Add(w.ctx, "file", fakeImage("x"), ams.ImageOptions{})
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(w.ctx, time.Hour)
		defer cancel()
		_, err = w.Operations.Wait(ctx, op.ID)
		require.NoError(t, err, "a file that is here")
	})
}

func TestStartOfWhatIsGone(t *testing.T) {
	bubble(t, slow, func(t *testing.T, w *world) {
		w.application("candy")
		in := w.launch(ams.LaunchRequest{Application: "candy"})
		w.wait(w.Instances.Stop(w.ctx, in.ID, false))
		w.wait(w.Applications.Update(w.ctx, "candy", pkg("name: candy"), ams.CreateOptions{}))
		w.wait(w.Applications.DeleteVersion(w.ctx, "candy", 0))
		_, err := w.Instances.Start(w.ctx, in.ID, ams.StartOptions{DropLogs: true})
		require.ErrorIs(t, err, ams.ErrState)
	})
}

func TestReleaseIsNotChecked(t *testing.T) {
	b := fake.New(fake.Options{})
	_, err := ams.New(ams.Config{Store: mem.New(), Backend: b, Release: "v1.30"})
	require.ErrorIs(t, err, ams.ErrInvalid)
}

func TestWithdrawnDefault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newImageServer()
		s.add(jammy, "1.30.1-1", "one")
		s.add("noble:android15:amd64", "1.30.1-1", "two")
		w := newWorld(t, fake.Options{}, served(s))
		w.imageIs(jammy, ams.ImageAvailable)
		w.wait(w.Images.Sync(w.ctx, "noble:android15:amd64"))
		require.NoError(t, w.Images.SetDefault(w.ctx, jammy))
		s.set(func() {
			s.images = slices.DeleteFunc(s.images, func(i ams.RemoteImage) bool { return i.Name == jammy })
		})
		time.Sleep(10 * time.Minute)
		require.Len(t, w.defaults(), 1)
	})
}

func TestVersionOfImageThatWaitsForANode(t *testing.T) {
	bubble(t, fake.Options{BootTime: time.Hour / 6}, func(t *testing.T, w *world) {
		w.image()
		for _, name := range []string{"one", "two", "three", "four", "five"} {
			_, err := w.Applications.Create(w.ctx, pkg("name: app-"+name), ams.CreateOptions{})
			require.NoError(t, err)
		}
		time.Sleep(time.Second)
		w.wait(w.Images.Update(w.ctx, jammy, fakeImage("two"), ams.ImageOptions{}))
		_, err := w.Images.DeleteVersion(w.ctx, jammy, 0) // the fifth build waits for a node
		require.ErrorIs(t, err, ams.ErrInUse)
		time.Sleep(2 * time.Hour)
	})
}

func TestUnusedBytes(t *testing.T) {
	bubble(t, fake.Options{}, func(t *testing.T, w *world) {
		w.image()
		var mark string
		for _, i := range w.fake.Snapshot().Images {
			mark = i.Cluster
		}
		_, err := w.fake.ImportImage(w.ctx, mark, "ams-00000000000000000000-0", ams.ImageFiles{Meta: fakeImage("one")})
		require.NoError(t, err)
		u, err := w.Storage.Usage(w.ctx)
		require.NoError(t, err)
		for _, i := range u.Images {
			t.Log(i)
		}
		require.Zero(t, u.UnusedBytes, "the image is used; only an alias of it is not")
		require.NoError(t, w.fake.DeleteImage(w.ctx, mark, "ams-00000000000000000000-0"))
	})
}

// TestBadImageLeavesApplicationsAlone has a version on the server that is not what
// the list says, and one that never comes.
func TestBadImageLeavesApplicationsAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newImageServer()
		s.add(jammy, "1.30.1-1", "one")
		w := newWorld(t, fake.Options{}, served(s))
		w.imageIs(jammy, ams.ImageAvailable)
		w.wait(w.Applications.Create(w.ctx, pkg("name: candy\nimage: "+jammy), ams.CreateOptions{}))
		s.add(jammy, "1.30.2-1", "two")
		s.set(func() { s.files[jammy+"/1.30.2-1/a"] = "twO" })
		time.Sleep(10 * time.Minute)
		require.Equal(t, ams.ImageError, w.getImage(jammy).Status)
		require.Equal(t, []int{0}, numbers(w.settled("candy")))
		s.set(func() { s.files[jammy+"/1.30.2-1/a"] = "two" })
		w.wait(w.Images.Sync(w.ctx, jammy))
		require.Equal(t, []int{0, 1}, numbers(w.settled("candy")), "built once it is here")

		s.add(jammy, "1.30.3-1", "three")
		s.set(func() { s.slow = 5 * time.Hour })
		time.Sleep(10 * time.Minute)
		require.Equal(t, ams.ImageQueued, w.getImage(jammy).Status)
		op, err := w.Applications.Set(w.ctx, "candy", ams.ApplicationPatch{Tags: []string{"new"}})
		require.NoError(t, err)
		w.wait(op, nil)
		require.Equal(t, []int{0, 1}, numbers(w.settled("candy")))
		time.Sleep(6 * time.Hour)
		require.Equal(t, ams.ImageActive, w.getImage(jammy).Status)
		require.Equal(t, []int{0, 1, 2}, numbers(w.settled("candy")))
		w.audit()
	})
}
