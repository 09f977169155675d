package ams_test

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
	"github.com/openams/ams/backend/fake"
)

var slow = fake.Options{
	NodeCount: 3, CreateTime: time.Second, StartTime: time.Second, StopTime: time.Second, DeleteTime: time.Second,
	BootTime: 10 * time.Second, PublishTime: 5 * time.Second, ImportTime: 2 * time.Second, HookTime: time.Second,
}

// bubble runs a test with a fake clock on a world, and audits it afterwards.
func bubble(t *testing.T, opts fake.Options, test func(t *testing.T, w *world)) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, opts)
		test(t, w)
		w.audit()
	})
}

func TestTransientFaults(t *testing.T) {
	for _, verb := range []string{fake.VerbCreate, fake.VerbStart, fake.VerbStop, fake.VerbDelete, fake.VerbGet, fake.VerbPublish, fake.VerbImportImage, fake.VerbDeleteImage, fake.VerbList, fake.VerbNodes, fake.VerbRun} {
		for _, how := range []string{"unavailable", "lost reply", "hang"} {
			t.Run(verb+" "+how, func(t *testing.T) {
				bubble(t, slow, func(t *testing.T, w *world) {
					inject := func() {
						switch how {
						case "unavailable":
							w.fake.Fail(verb, 3, ams.Errorf(ams.ErrUnavailable, "no answer"))
						case "lost reply":
							w.fake.Lose(verb, 2)
						case "hang":
							time.AfterFunc(4*time.Minute, w.fake.Hang(verb))
						}
					}
					inject()
					w.application("candy")
					inject()
					w.launch(ams.LaunchRequest{Application: "candy", Name: "one"})
					inject()
					w.wait(w.Instances.Stop(t.Context(), "one", false))
					w.wait(w.Instances.Start(t.Context(), "one", ams.StartOptions{DropLogs: true}))
					inject()
					w.wait(w.Instances.Delete(t.Context(), "one", false))
					w.wait(w.Applications.Delete(t.Context(), "candy", false))
					w.fake.Fail(verb, 0, nil)
					w.fake.Lose(verb, 0)
				})
			})
		}
	}
}

func TestPermanentFaultOfLaunch(t *testing.T) {
	for _, verb := range []string{fake.VerbCreate, fake.VerbStart} {
		t.Run(verb, func(t *testing.T) {
			bubble(t, slow, func(t *testing.T, w *world) {
				w.application("candy")
				w.fake.Fail(verb, 1, ams.Errorf(ams.ErrInvalid, "no such thing"))
				op, err := w.Instances.Launch(t.Context(), ams.LaunchRequest{Application: "candy", Name: "one"})
				text := w.fails(ams.ErrInvalid, op, err)
				require.Contains(t, text, "no such thing")
				in := w.instance("one")
				require.Equal(t, ams.InstanceError, in.Status)
				require.Equal(t, text, in.ErrorMessage)
				w.audit()
				w.wait(w.Instances.Delete(t.Context(), "one", false))
			})
		})
	}
}

func TestBootFails(t *testing.T) {
	bubble(t, slow, func(t *testing.T, w *world) {
		w.application("candy")
		w.fake.FailGuest(fake.GuestFault{Phase: ams.PhaseStart, Exit: 3, Tail: "boom", Times: 1})
		op, err := w.Instances.Launch(t.Context(), ams.LaunchRequest{Application: "candy", Name: "one"})
		require.Contains(t, w.fails(ams.ErrFailed, op, err), "boom")
		in := w.instance("one")
		require.Equal(t, ams.InstanceError, in.Status)
		logs, err := w.Instances.Logs(t.Context(), "one")
		require.NoError(t, err)
		require.NotEmpty(t, logs)
		r, err := w.Instances.OpenLog(t.Context(), "one", logs[0].Name)
		require.NoError(t, err)
		data, err := io.ReadAll(r)
		require.NoError(t, err)
		require.NoError(t, r.Close())
		require.Len(t, data, int(logs[0].Size))
		w.wait(w.Instances.Start(t.Context(), "one", ams.StartOptions{DropLogs: true}))
		require.Empty(t, w.instance("one").Logs)
		require.Empty(t, w.instance("one").ErrorMessage)
	})
}

func TestBootHangsUntilDeadline(t *testing.T) {
	bubble(t, slow, func(t *testing.T, w *world) {
		w.application("candy")
		w.fake.FailGuest(fake.GuestFault{Phase: ams.PhaseStart, Hang: true, Times: 1})
		began := time.Now()
		op, err := w.Instances.Launch(t.Context(), ams.LaunchRequest{Application: "candy", Name: "one"})
		text := w.fails(ams.ErrTimeout, op, err)
		require.Contains(t, text, "last step was")
		require.WithinDuration(t, began.Add(15*time.Minute), time.Now(), time.Minute)
	})
}

func TestBootstrapFails(t *testing.T) {
	bubble(t, slow, func(t *testing.T, w *world) {
		w.image()
		w.fake.FailGuest(fake.GuestFault{Phase: ams.PhaseBootstrap, Exit: 7, Tail: "INSTALL_FAILED", Times: 1})
		op, err := w.Applications.Create(t.Context(), pkg("name: candy"), ams.CreateOptions{})
		text := w.fails(ams.ErrFailed, op, err)
		require.Contains(t, text, "INSTALL_FAILED")
		app, err := w.Applications.Get(t.Context(), "candy")
		require.NoError(t, err)
		require.Equal(t, ams.ApplicationError, app.Status)
		v, err := w.Applications.Version(t.Context(), "candy", 0)
		require.NoError(t, err)
		require.Equal(t, ams.VersionError, v.Status)
		require.Equal(t, text, v.ErrorMessage)
		require.NotEmpty(t, v.Logs)
		r, err := w.Applications.OpenLog(t.Context(), "candy", 0, v.Logs[0].Name)
		require.NoError(t, err)
		require.NoError(t, r.Close())
		_, err = w.Instances.Launch(t.Context(), ams.LaunchRequest{Application: "candy"})
		require.ErrorIs(t, err, ams.ErrNotFound)
		require.ErrorContains(t, err, "published application version not found")

		// A second version heals it; the number is not used again.
		w.wait(w.Applications.Update(t.Context(), "candy", pkg("name: candy"), ams.CreateOptions{}))
		in := w.launch(ams.LaunchRequest{Application: "candy"})
		require.Equal(t, 1, in.Version)
	})
}

func TestBootstrapDeadlineSurvivesRestart(t *testing.T) {
	bubble(t, slow, func(t *testing.T, w *world) {
		w.image()
		w.fake.FailGuest(fake.GuestFault{Phase: ams.PhaseBootstrap, Hang: true})
		began := time.Now()
		op, err := w.Applications.Create(t.Context(), pkg("name: candy"), ams.CreateOptions{})
		require.NoError(t, err)
		time.Sleep(10 * time.Minute)
		w.stop()
		w.start()
		w.fails(ams.ErrTimeout, op, nil)
		require.WithinDuration(t, began.Add(15*time.Minute), time.Now(), 2*time.Minute, "a restart must not give it more time")
		w.fake.HealGuest()
	})
}

func TestBehindOurBack(t *testing.T) {
	bubble(t, slow, func(t *testing.T, w *world) {
		w.image()
		a, b := w.launch(ams.LaunchRequest{Name: "one"}), w.launch(ams.LaunchRequest{Name: "two"})
		w.fake.StopBehindBack(a.ID)
		time.Sleep(time.Second)
		require.Equal(t, ams.InstanceStopped, w.instance("one").Status, "the backend's event must be enough")
		w.fake.DeleteBehindBack(b.ID)
		time.Sleep(time.Second)
		_, err := w.Instances.Get(t.Context(), "two")
		require.ErrorIs(t, err, ams.ErrNotFound)
		w.audit()

		// Without events the comparison finds it, and so does a restart.
		c := w.launch(ams.LaunchRequest{Name: "three"})
		w.stop()
		w.fake.StopBehindBack(c.ID)
		w.start()
		time.Sleep(time.Second)
		require.Equal(t, ams.InstanceStopped, w.instance("three").Status)
	})
}

func TestNodeLossAndReturn(t *testing.T) {
	bubble(t, slow, func(t *testing.T, w *world) {
		w.image()
		in := w.launch(ams.LaunchRequest{Name: "one"})
		w.fake.SetOnline(in.Node, false)
		time.Sleep(time.Minute)
		require.Equal(t, ams.InstanceUnknown, w.instance("one").Status)
		n, err := w.Nodes.Get(t.Context(), in.Node)
		require.NoError(t, err)
		require.Equal(t, ams.NodeOffline, n.Status)
		other := w.launch(ams.LaunchRequest{Name: "two"})
		require.NotEqual(t, in.Node, other.Node)
		w.fake.SetOnline(in.Node, true)
		time.Sleep(time.Minute)
		require.Equal(t, ams.InstanceRunning, w.instance("one").Status)
	})
}

func TestUploadCancelled(t *testing.T) {
	bubble(t, slow, func(t *testing.T, w *world) {
		w.image()
		ctx, cancel := context.WithCancel(t.Context())
		r, pipe := io.Pipe()
		go func() {
			_, _ = io.WriteString(pipe, "PK\x03\x04 and then nothing more")
			cancel()
			pipe.CloseWithError(context.Canceled)
		}()
		_, err := w.Applications.Create(ctx, r, ams.CreateOptions{})
		require.ErrorIs(t, err, context.Canceled)
		_, n, err := w.Applications.List(t.Context(), ams.ApplicationFilter{}, ams.Page{})
		require.NoError(t, err)
		require.Zero(t, n)
	})
}

func TestStoreFullWhileUploading(t *testing.T) {
	bubble(t, slow, func(t *testing.T, w *world) {
		w.image()
		full := iotestErrReader{ams.Errorf(ams.ErrNoSpace, "not enough space")}
		_, err := w.Applications.Create(t.Context(), full, ams.CreateOptions{})
		require.ErrorIs(t, err, ams.ErrNoSpace)
	})
}

type iotestErrReader struct{ err error }

func (r iotestErrReader) Read([]byte) (int, error) { return 0, r.err }

func TestBaseInstancesQueueInOrder(t *testing.T) {
	small := slow
	small.Nodes = []ams.NodeInfo{{Name: "n", Online: true, Architecture: "x86_64", Capacity: ams.Capacity{CPUs: 1, Memory: 2 * ams.Gigabyte, Disk: 100 * ams.Gigabyte, DiskFree: 100 * ams.Gigabyte}}}
	bubble(t, small, func(t *testing.T, w *world) {
		w.image()
		var ops []ams.Operation
		for i := range 4 { // 4 CPUs in all: two at a time
			op, err := w.Applications.Create(t.Context(), pkg(fmt.Sprint("name: app", i)), ams.CreateOptions{})
			require.NoError(t, err)
			ops = append(ops, op)
		}
		time.Sleep(3 * time.Second)
		var running []string
		list, _, err := w.Instances.List(t.Context(), ams.InstanceFilter{}, ams.Page{})
		require.NoError(t, err)
		for _, in := range list {
			if in.Node != "" {
				running = append(running, in.ApplicationName)
			} else {
				require.Equal(t, "waiting for a node", in.StatusMessage)
			}
		}
		require.Equal(t, []string{"app0"}, running, "4 GB of memory with over-commit hold one")
		_, err = w.Instances.Launch(t.Context(), ams.LaunchRequest{Name: "one"})
		require.ErrorIs(t, err, ams.ErrNoCapacity)
		for _, op := range ops {
			w.wait(op, nil)
		}
		_, err = w.Applications.Create(t.Context(), pkg("name: huge\nresources: {memory: 5GB}"), ams.CreateOptions{})
		require.ErrorIs(t, err, ams.ErrNoCapacity)
		require.True(t, strings.Contains(err.Error(), "n has 4GB memory in all"), err)
	})
}
