package ams_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
	"github.com/openams/ams/backend/fake"
)

func TestImageVersions(t *testing.T) {
	bubble(t, slow, func(t *testing.T, w *world) {
		w.image()
		for i := range 3 {
			w.wait(w.Images.Update(w.ctx, jammy, fakeImage(fmt.Sprint("update ", i)), ams.ImageOptions{}))
		}
		w.wait(w.Images.DeleteVersion(w.ctx, jammy, 3))
		op := w.wait(w.Images.Update(w.ctx, jammy, fakeImage("last"), ams.ImageOptions{Digest: sha([]byte("last"))}))
		require.Len(t, op.Resources["image"], 1)
		image, err := w.Images.Get(w.ctx, jammy)
		require.NoError(t, err)
		var numbers []int
		for _, v := range image.Versions {
			numbers = append(numbers, v.Number)
			require.Equal(t, ams.ImageActive, v.Status)
			require.Empty(t, v.Upload)
		}
		require.Equal(t, []int{0, 1, 2, 4}, numbers, "a number is never used twice")
		require.Equal(t, image.Versions[3].Fingerprint, w.launch(ams.LaunchRequest{Image: jammy}).Fingerprint)
		require.Equal(t, image.Versions[1].Fingerprint, w.launch(ams.LaunchRequest{Image: jammy, Version: ptr(1)}).Fingerprint)
	})
}

// TestSameFileTwice has two versions, and two images, that are one for the backend.
func TestSameFileTwice(t *testing.T) {
	bubble(t, slow, func(t *testing.T, w *world) {
		w.image()
		w.wait(w.Images.Update(w.ctx, jammy, fakeImage("two"), ams.ImageOptions{}))
		w.wait(w.Images.Update(w.ctx, jammy, fakeImage("one"), ams.ImageOptions{}))
		w.wait(w.Images.Add(w.ctx, "other", fakeImage("one"), ams.ImageOptions{}))
		image, err := w.Images.Get(w.ctx, jammy)
		require.NoError(t, err)
		require.Equal(t, image.Versions[0].Fingerprint, image.Versions[2].Fingerprint)
		w.wait(w.Images.DeleteVersion(w.ctx, jammy, 0))
		w.wait(w.Images.Delete(w.ctx, "other", false))
		w.launch(ams.LaunchRequest{Image: jammy})
	})
}

func TestImagesRefused(t *testing.T) {
	var golden strings.Builder
	bubble(t, slow, func(t *testing.T, w *world) {
		w.image()
		w.wait(w.Images.Add(w.ctx, "noble", fakeImage("noble"), ams.ImageOptions{}))
		w.wait(w.Applications.Create(w.ctx, pkg("name: candy\nimage: noble"), ams.CreateOptions{}))
		running := w.launch(ams.LaunchRequest{Name: "runs"})
		refuse := func(what string, err error) {
			require.Error(t, err, what)
			fmt.Fprintf(&golden, "%s: %s: %s\n", what, ams.CodeOf(err), err)
		}
		op := func(_ ams.Operation, err error) error { return err }
		add := func(name, content string, opts ams.ImageOptions) error {
			return op(w.Images.Add(w.ctx, name, fakeImage(content), opts))
		}
		refuse("a name with a space", add("a b", "x", ams.ImageOptions{}))
		refuse("a short name", add("ab", "x", ams.ImageOptions{}))
		refuse("a name that is taken", add("noble", "x", ams.ImageOptions{}))
		refuse("a bad checksum", add("new", "x", ams.ImageOptions{Digest: "00"}))
		refuse("another checksum", add("new", "x", ams.ImageOptions{Digest: strings.Repeat("0", 64)}))
		refuse("another checksum of the root file system", add("new", "x", ams.ImageOptions{Rootfs: fakeImage("y"), RootfsDigest: strings.Repeat("0", 64)}))
		refuse("an update of nothing", op(w.Images.Update(w.ctx, "none", fakeImage("x"), ams.ImageOptions{})))
		refuse("the image server without one", op(w.Images.AddRemote(w.ctx, "new", jammy, ams.ImageOptions{})))
		refuse("sync of a file", op(w.Images.Sync(w.ctx, "noble")))
		refuse("deletion of the default", op(w.Images.Delete(w.ctx, jammy, true)))
		refuse("deletion of one in use", op(w.Images.Delete(w.ctx, "noble", false)))
		refuse("deletion of nothing", op(w.Images.Delete(w.ctx, "none", true)))
		refuse("deletion of the only version", op(w.Images.DeleteVersion(w.ctx, "noble", 0)))
		refuse("deletion of a version there is not", op(w.Images.DeleteVersion(w.ctx, "noble", 7)))
		refuse("nothing as the default", w.Images.SetDefault(w.ctx, "none"))
		refuse("publishing what runs", op(w.Images.Publish(w.ctx, running.ID, ams.PublishOptions{Name: "new"})))
		refuse("publishing under a bad name", op(w.Images.Publish(w.ctx, running.ID, ams.PublishOptions{Name: "a/b"})))
		refuse("publishing under a name that is taken", op(w.Images.Publish(w.ctx, running.ID, ams.PublishOptions{Name: "noble", Force: true})))
		refuse("publishing nothing", op(w.Images.Publish(w.ctx, "none", ams.PublishOptions{})))
		refuse("a version there is not", op(w.Instances.Launch(w.ctx, ams.LaunchRequest{Image: "noble", Version: ptr(7)})))
		refuse("an image there is not", op(w.Instances.Launch(w.ctx, ams.LaunchRequest{Image: "none"})))
		failed, err := w.Images.Add(w.ctx, "broken", fakeImage("not an image"), ams.ImageOptions{})
		w.fails(ams.ErrInvalid, failed, err)
		refuse("an image that is broken", op(w.Instances.Launch(w.ctx, ams.LaunchRequest{Image: "broken"})))
		refuse("one that is broken as the default", w.Images.SetDefault(w.ctx, "broken"))
		require.Equal(t, ams.InstanceRunning, w.instance("runs").Status)
		w.wait(w.Images.Delete(w.ctx, "broken", false))
		w.wait(w.Images.Delete(w.ctx, "noble", true))
		require.Equal(t, "candy", w.launch(ams.LaunchRequest{Application: "candy"}).ApplicationName, "it has a copy of its own")
		refuse("rebasing on what is gone", op(w.Applications.Update(w.ctx, "candy", pkg("name: candy"), ams.CreateOptions{})))
	})
	isGolden(t, "images-refused.txt", golden.String())
}

func TestDefaultImage(t *testing.T) {
	bubble(t, slow, func(t *testing.T, w *world) {
		defaults := func() (names []string) {
			yes := true
			list, _, err := w.Images.List(w.ctx, ams.ImageFilter{Default: &yes}, ams.Page{})
			require.NoError(t, err)
			for _, image := range list {
				names = append(names, fmt.Sprint(image.Name, " ", image.VM))
			}
			return names
		}
		w.image()
		w.wait(w.Images.Add(w.ctx, "noble", fakeImage("noble"), ams.ImageOptions{}))
		w.wait(w.Images.Add(w.ctx, "noble", fakeImage("noble vm"), ams.ImageOptions{VM: true}))
		require.Equal(t, []string{jammy + " false", "noble true"}, defaults(), "the first of each kind")
		require.NoError(t, w.Images.SetDefault(w.ctx, "noble"))
		require.NoError(t, w.Images.SetDefault(w.ctx, "noble"))
		require.Equal(t, []string{"noble false", "noble true"}, defaults())
		w.wait(w.Images.Add(w.ctx, "third", fakeImage("third"), ams.ImageOptions{Default: true}))
		require.Equal(t, []string{"noble true", "third false"}, defaults())
		w.wait(w.Images.Delete(w.ctx, jammy, false))
		w.wait(w.Images.Delete(w.ctx, "noble", false))
		w.wait(w.Images.Delete(w.ctx, "third", false)) // the last of its kind
		require.Equal(t, []string{"noble true"}, defaults())
	})
}

func TestPublishInstance(t *testing.T) {
	bubble(t, slow, func(t *testing.T, w *world) {
		w.application("candy")
		in := w.launch(ams.LaunchRequest{Application: "candy", Name: "one"})
		op := w.wait(w.Images.Publish(w.ctx, "one", ams.PublishOptions{Name: "mine", Force: true, Default: true}))
		require.Equal(t, in.ID, op.Resources["instance"][0])
		require.Equal(t, ams.InstanceStopped, w.instance("one").Status, "it stays stopped")
		image, err := w.Images.Get(w.ctx, "mine")
		require.NoError(t, err)
		require.Equal(t, []any{ams.ImageActive, true, "x86_64"}, []any{image.Status, image.Default, image.Architecture})
		op = w.wait(w.Images.Publish(w.ctx, "one", ams.PublishOptions{}))
		image, err = w.Images.Get(w.ctx, op.Resources["image"][0])
		require.NoError(t, err)
		require.Equal(t, image.ID, image.Name)
		w.launch(ams.LaunchRequest{Image: image.ID})
		w.wait(w.Instances.Start(w.ctx, "one", ams.StartOptions{DropLogs: true}))

		// The instance goes while it is to be published.
		op, err = w.Images.Publish(w.ctx, "one", ams.PublishOptions{Name: "late", Force: true})
		require.NoError(t, err)
		w.wait(w.Instances.Delete(w.ctx, "one", true))
		require.Contains(t, w.fails(ams.ErrNotFound, op, nil), "the instance was deleted")
		w.wait(w.Images.Delete(w.ctx, "late", false))
	})
}

// TestImageDeletedDuringBootstrap deletes the parent at every second of a build.
func TestImageDeletedDuringBootstrap(t *testing.T) {
	for second := range 18 {
		bubble(t, slow, func(t *testing.T, w *world) {
			w.image()
			w.wait(w.Images.Add(w.ctx, "noble", fakeImage("noble"), ams.ImageOptions{}))
			op, err := w.Applications.Create(w.ctx, pkg("name: candy\nimage: noble"), ams.CreateOptions{})
			require.NoError(t, err)
			time.Sleep(time.Duration(second) * time.Second)
			w.wait(w.Images.Delete(w.ctx, "noble", true))
			_, err = w.Operations.Wait(w.ctx, op.ID)
			v, verr := w.Applications.Version(w.ctx, "candy", 0)
			require.NoError(t, verr)
			if err != nil {
				require.Equal(t, []any{ams.VersionError, true}, []any{v.Status, v.ErrorMessage != ""}, "second %d", second)
				return
			}
			require.Equal(t, ams.VersionActive, v.Status)
			w.launch(ams.LaunchRequest{Application: "candy"})
		})
	}
}

// TestUpdatesAtOnce updates an application from many sides while instances run.
func TestUpdatesAtOnce(t *testing.T) {
	bubble(t, slow, func(t *testing.T, w *world) {
		w.application("candy")
		in := w.launch(ams.LaunchRequest{Application: "candy"})
		var begun []ams.Operation
		for i := range 5 {
			op, err := w.Applications.Update(w.ctx, "candy", pkg(fmt.Sprint("name: candy\nversion: v", i)), ams.CreateOptions{})
			if err != nil {
				require.ErrorIs(t, err, ams.ErrConflict)
				continue
			}
			begun = append(begun, op)
		}
		require.Len(t, begun, 1)
		time.Sleep(3 * time.Second)
		for key, value := range map[string]string{"application.auto_publish": "false", "instance.features": "new", "application.default_abi": "x86"} {
			require.NoError(t, w.Settings.Set(w.ctx, key, value)) // in the middle of the build
		}
		w.wait(begun[0], nil)
		v := w.settled("candy")[1]
		require.Equal(t, []any{ams.VersionActive, false, "x86_64"}, []any{v.Status, v.Published, v.ABI})
		require.Equal(t, ams.InstanceRunning, w.instance(in.ID).Status)
		require.Equal(t, 0, w.instance(in.ID).Version)
		w.wait(w.Instances.Restart(w.ctx, in.ID, false))
	})
}

func TestUsage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, slow)
		w.image()
		w.addon("ssh")
		w.wait(w.Applications.Create(w.ctx, pkg("name: candy\naddons: [ssh]"), ams.CreateOptions{}))
		w.fake.FailGuest(fake.GuestFault{Phase: ams.PhaseBootstrap})
		op, err := w.Applications.Update(w.ctx, "candy", pkg("name: candy\nversion: bad"), ams.CreateOptions{})
		w.fails(ams.ErrFailed, op, err)
		_, err = w.Addons.Add(w.ctx, "bad", addonPkg("other", "x"), ams.AddonOptions{}) // its package is left over
		require.Error(t, err)
		u, err := w.Storage.Usage(w.ctx)
		require.NoError(t, err)
		what := map[string]int64{}
		for _, item := range append(u.Blobs, u.Images...) {
			require.NotEmpty(t, item.ID)
			what[item.Kind+": "+item.Owner] += item.Size
		}
		var total int64
		for _, item := range u.Blobs {
			total += item.Size
		}
		require.Equal(t, total, u.BlobBytes)
		require.Positive(t, u.UnusedBytes)
		for _, want := range []string{
			"addon: addon ssh, version 0", "package: application candy", "package: application candy, version 0",
			"log: application candy, version 1, system.log", "unused: ", "image: image " + jammy + ", version 0", "application: application candy, version 0",
		} {
			require.Contains(t, what, want)
		}
		time.Sleep(3 * time.Hour)
		u, err = w.Storage.Usage(w.ctx)
		require.NoError(t, err)
		require.Zero(t, u.UnusedBytes, "it is swept")
		w.audit()
	})
}

// TestOldRows changes an application that an older release made, whose row says
// nothing of what there is today.
func TestOldRows(t *testing.T) {
	bubble(t, slow, func(t *testing.T, w *world) {
		app := w.application("candy")
		require.NoError(t, w.store.Update(w.ctx, func(tx ams.Tx) error {
			row, err := tx.Applications().Get(app.ID)
			if err != nil {
				return err
			}
			v, err := tx.Versions().Get(app.ID + "-0")
			if err != nil {
				return err
			}
			row.Resources, row.ABI, row.Manifest = ams.Resources{CPUs: 2, Memory: 3 * ams.Gigabyte, DiskSize: 3 * ams.Gigabyte}, "", ams.Manifest{Name: "candy"}
			v.ABI, v.Manifest = "", ams.Manifest{Name: "candy"}
			if err := tx.Applications().Put(row); err != nil {
				return err
			}
			return tx.Versions().Put(v)
		}))
		in := w.launch(ams.LaunchRequest{Application: "candy"})
		require.Equal(t, ams.EncoderGPUPreferred, in.VideoEncoder)
		w.wait(w.Applications.Set(w.ctx, "candy", ams.ApplicationPatch{Resources: ams.ResourcesPatch{VPUSlots: ptr(0)}}))
		w.wait(w.Applications.Set(w.ctx, "candy", ams.ApplicationPatch{Features: []string{"new"}}))
		w.wait(w.Images.Update(w.ctx, jammy, fakeImage("two"), ams.ImageOptions{}))
		versions := w.settled("candy")
		require.Equal(t, []int{0, 1, 2}, numbers(versions))
		require.Equal(t, "x86_64", versions[2].ABI)
		data, _, err := w.Applications.ManifestYAML(w.ctx, "candy", 0)
		require.NoError(t, err)
		require.Contains(t, string(data), "name: candy")
	})
}
