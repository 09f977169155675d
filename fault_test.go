package ams_test

import (
	"context"
	"errors"
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
					w.wait(w.Instances.Start(t.Context(), "one"))
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
		w.wait(w.Instances.Start(t.Context(), "one"))
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

func TestCancel(t *testing.T) {
	for _, after := range []time.Duration{0, 500 * time.Millisecond, 1500 * time.Millisecond, 5 * time.Second} {
		t.Run(fmt.Sprint("launch after ", after), func(t *testing.T) {
			bubble(t, slow, func(t *testing.T, w *world) {
				w.application("candy")
				op, err := w.Instances.Launch(t.Context(), ams.LaunchRequest{Application: "candy", Name: "one"})
				require.NoError(t, err)
				time.Sleep(after)
				require.NoError(t, w.Operations.Cancel(t.Context(), op.ID))
				require.NoError(t, w.Operations.Cancel(t.Context(), op.ID), "twice is once")
				w.fails(ams.ErrCancelled, op, nil)
				_, err = w.Instances.Get(t.Context(), "one")
				require.ErrorIs(t, err, ams.ErrNotFound)
				require.ErrorIs(t, w.Operations.Cancel(t.Context(), op.ID), ams.ErrState)
			})
		})
		t.Run(fmt.Sprint("start after ", after), func(t *testing.T) {
			bubble(t, slow, func(t *testing.T, w *world) {
				w.image()
				w.launch(ams.LaunchRequest{Name: "one"})
				w.wait(w.Instances.Stop(t.Context(), "one", true))
				op, err := w.Instances.Start(t.Context(), "one")
				require.NoError(t, err)
				time.Sleep(after)
				require.NoError(t, w.Operations.Cancel(t.Context(), op.ID))
				w.fails(ams.ErrCancelled, op, nil)
				require.Equal(t, ams.InstanceStopped, w.instance("one").Status)
			})
		})
		t.Run(fmt.Sprint("create after ", after), func(t *testing.T) {
			bubble(t, slow, func(t *testing.T, w *world) {
				w.image()
				op, err := w.Applications.Create(t.Context(), pkg("name: candy"), ams.CreateOptions{})
				require.NoError(t, err)
				time.Sleep(after)
				require.NoError(t, w.Operations.Cancel(t.Context(), op.ID))
				w.fails(ams.ErrCancelled, op, nil)
				app, err := w.Applications.Get(t.Context(), "candy")
				require.NoError(t, err)
				require.Equal(t, ams.ApplicationError, app.Status)
			})
		})
		t.Run(fmt.Sprint("add image after ", after), func(t *testing.T) {
			bubble(t, slow, func(t *testing.T, w *world) {
				op, err := w.Images.Add(t.Context(), "jammy", fakeImage("one"), ams.ImageOptions{})
				require.NoError(t, err)
				time.Sleep(after)
				err = w.Operations.Cancel(t.Context(), op.ID)
				if after > 2*time.Second {
					require.ErrorIs(t, err, ams.ErrState)
					return
				}
				require.NoError(t, err)
				w.fails(ams.ErrCancelled, op, nil)
				time.Sleep(5 * time.Second)
				_, err = w.Images.Get(t.Context(), "jammy")
				require.ErrorIs(t, err, ams.ErrNotFound)
			})
		})
	}
}

func TestUncancellable(t *testing.T) {
	bubble(t, slow, func(t *testing.T, w *world) {
		w.image()
		w.launch(ams.LaunchRequest{Name: "one"})
		op, err := w.Instances.Stop(t.Context(), "one", false)
		require.NoError(t, err)
		require.ErrorIs(t, w.Operations.Cancel(t.Context(), op.ID), ams.ErrState)
		require.ErrorIs(t, w.Operations.Cancel(t.Context(), "nonsense"), ams.ErrNotFound)
		w.wait(op, nil)
	})
}

func TestDeleteDuringBootstrap(t *testing.T) {
	for _, after := range []time.Duration{0, 500 * time.Millisecond, 5 * time.Second, 14 * time.Second} {
		t.Run(after.String(), func(t *testing.T) {
			bubble(t, slow, func(t *testing.T, w *world) {
				w.image()
				made, err := w.Applications.Create(t.Context(), pkg("name: candy"), ams.CreateOptions{})
				require.NoError(t, err)
				time.Sleep(after)
				w.wait(w.Applications.Delete(t.Context(), "candy", false))
				w.fails(ams.ErrCancelled, made, nil)
				_, err = w.Applications.Get(t.Context(), "candy")
				require.ErrorIs(t, err, ams.ErrNotFound)
			})
		})
	}
}

func TestConflicts(t *testing.T) {
	bubble(t, slow, func(t *testing.T, w *world) {
		ctx := t.Context()
		w.image()
		launch, err := w.Instances.Launch(ctx, ams.LaunchRequest{Name: "one"})
		require.NoError(t, err)
		_, err = w.Instances.Launch(ctx, ams.LaunchRequest{Name: "one"})
		require.ErrorIs(t, err, ams.ErrExists)
		require.EqualError(t, err, `instance "one" already exists`)
		_, err = w.Instances.Start(ctx, "one")
		require.ErrorIs(t, err, ams.ErrConflict)
		w.wait(launch, nil)
		_, err = w.Instances.Start(ctx, "one")
		require.ErrorIs(t, err, ams.ErrState)
		stop, err := w.Instances.Stop(ctx, "one", false)
		require.NoError(t, err)
		_, err = w.Instances.Stop(ctx, "one", false)
		require.ErrorIs(t, err, ams.ErrConflict)
		w.wait(stop, nil)
		_, err = w.Instances.Stop(ctx, "one", false)
		require.ErrorIs(t, err, ams.ErrState)
		require.EqualError(t, err, `instance "one": is not running (status: stopped)`)
		_, err = w.Instances.Exec(ctx, "one", ams.ExecRequest{Command: []string{"true"}})
		require.ErrorIs(t, err, ams.ErrState)
		first, err := w.Instances.Start(ctx, "one")
		require.NoError(t, err)
		_, err = w.Instances.Start(ctx, "one")
		require.ErrorIs(t, err, ams.ErrConflict)
		w.wait(first, nil)
		gone, err := w.Instances.Delete(ctx, "one", false)
		require.NoError(t, err)
		_, err = w.Instances.Delete(ctx, "one", false)
		require.ErrorIs(t, err, ams.ErrConflict)
		w.wait(w.Instances.Delete(ctx, "one", true))
		_, err = w.Operations.Wait(ctx, gone.ID)
		require.ErrorIs(t, err, ams.ErrCancelled)
		_, err = w.Instances.Delete(ctx, "one", true)
		require.ErrorIs(t, err, ams.ErrNotFound)
	})
}

func TestForcedStopBreaksOffLaunch(t *testing.T) {
	bubble(t, slow, func(t *testing.T, w *world) {
		w.image()
		launch, err := w.Instances.Launch(t.Context(), ams.LaunchRequest{Name: "one"})
		require.NoError(t, err)
		time.Sleep(5 * time.Second)
		_, err = w.Instances.Stop(t.Context(), "one", false)
		require.ErrorIs(t, err, ams.ErrConflict)
		w.wait(w.Instances.Stop(t.Context(), "one", true))
		w.fails(ams.ErrCancelled, launch, nil)
		require.Equal(t, ams.InstanceStopped, w.instance("one").Status)
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

func TestOrphansOfARestoredStoreAreLeftAlone(t *testing.T) {
	bubble(t, fake.Options{}, func(t *testing.T, w *world) {
		w.image()
		var ids []string
		for i := range 3 {
			ids = append(ids, w.launch(ams.LaunchRequest{Name: fmt.Sprint("inst", i)}).ID)
		}
		foreign := len(w.fake.Snapshot().Instances)
		w.fake.AddForeignInstance("ams-somebody-elses")
		w.stop()

		// The rows go, as in a store that was put back from before the launches;
		// then the events, which tell how old the store is.
		require.NoError(t, w.store.Update(t.Context(), func(tx ams.Tx) error {
			_, newest, err := tx.Events().Bounds()
			if err != nil {
				return err
			}
			for _, id := range ids {
				if err := tx.Instances().Delete(id); err != nil {
					return err
				}
			}
			return errors.Join(tx.Events().Trim(newest), zeroLedger(tx))
		}))
		time.Sleep(time.Hour)
		w.start()
		time.Sleep(time.Hour)
		require.Len(t, w.fake.Snapshot().Instances, foreign+1, "nothing may be deleted")
		orphans, err := w.Orphans(t.Context())
		require.NoError(t, err)
		require.Len(t, orphans, 3)
		w.stop()
		w.start()
		time.Sleep(time.Hour)
		require.Len(t, w.fake.Snapshot().Instances, foreign+1, "nor after another restart")
		require.NoError(t, w.DeleteOrphans(t.Context(), orphans))
		require.Len(t, w.fake.Snapshot().Instances, 1, "the foreign one stays")
	})
}

func zeroLedger(tx ams.Tx) error {
	nodes, err := tx.Nodes().List(ams.NodeFilter{}, ams.Page{})
	for _, n := range nodes {
		n.Used, n.Instances = ams.Charge{}, 0
		err = errors.Join(err, tx.Nodes().Put(n))
	}
	return err
}

func TestEmptyStoreTouchesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := fake.New(fake.Options{})
		old := newWorld(t, fake.Options{}, func(c *ams.Config) { c.Backend = cluster })
		old.image()
		for i := range 20 {
			old.launch(ams.LaunchRequest{Name: fmt.Sprint("inst", i), Resources: ams.Resources{CPUs: 1}})
			cluster.AddForeignInstance(fmt.Sprint("foreign", i))
		}
		old.stop()
		before := cluster.Snapshot()
		fresh := newWorld(t, fake.Options{}, func(c *ams.Config) { c.Backend = cluster })
		time.Sleep(24 * time.Hour)
		fresh.stop()
		require.Equal(t, before, cluster.Snapshot())
	})
}

func TestOrphansFewAreDeletedManyAreNot(t *testing.T) {
	bubble(t, fake.Options{}, func(t *testing.T, w *world) {
		w.image()
		for i := range 10 {
			w.launch(ams.LaunchRequest{Name: fmt.Sprint("inst", i), Resources: ams.Resources{CPUs: 1}})
		}
		lose := func(n int) {
			list, _, err := w.Instances.List(t.Context(), ams.InstanceFilter{}, ams.Page{Limit: n})
			require.NoError(t, err)
			require.NoError(t, w.store.Update(t.Context(), func(tx ams.Tx) error {
				for _, in := range list {
					if err := tx.Instances().Delete(in.ID); err != nil {
						return err
					}
				}
				return nil
			}))
		}
		lose(6)
		time.Sleep(time.Hour)
		require.Len(t, w.fake.Snapshot().Instances, 10, "six of ten are too many")
		orphans, err := w.Orphans(t.Context())
		require.NoError(t, err)
		require.NoError(t, w.DeleteOrphans(t.Context(), orphans[:6]))
		lose(2)
		time.Sleep(5 * time.Minute)
		require.Len(t, w.fake.Snapshot().Instances, 2, "two are few, and old enough")
		require.NoError(t, w.store.Update(t.Context(), func(tx ams.Tx) error {
			list, err := tx.Instances().List(ams.InstanceFilter{}, ams.Page{})
			if err != nil {
				return err
			}
			nodes, err := tx.Nodes().List(ams.NodeFilter{}, ams.Page{})
			if err != nil {
				return err
			}
			n := nodes[0]
			n.Used, n.Instances = ams.Charge{}, len(list)
			for _, in := range list {
				n.Used.CPUs += in.Charged.CPUs
				n.Used.Memory += in.Charged.Memory
				n.Used.Disk += in.Charged.Disk
			}
			return tx.Nodes().Put(n)
		}))
	})
}

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
