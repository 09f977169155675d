package ams_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
	"github.com/openams/ams/backend/fake"
)

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
			w.stop() // a store is one Manager's while that runs
			defer w.start()
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

func TestImageWithoutAliasIsSwept(t *testing.T) {
	bubble(t, fake.Options{}, func(t *testing.T, w *world) {
		app := w.application("candy")
		w.wait(w.Applications.Update(t.Context(), "candy", pkg("name: candy"), ams.CreateOptions{}))
		v, err := w.Applications.Version(t.Context(), "candy", 0)
		require.NoError(t, err)
		w.fake.DeleteAliasBehindBack("ams-" + v.ID)
		w.wait(w.Applications.DeleteVersion(t.Context(), "candy", 0))
		has := func() bool {
			return slices.ContainsFunc(w.fake.Snapshot().Images, func(i fake.ImageState) bool { return i.Fingerprint == v.Fingerprint })
		}
		require.True(t, has())
		time.Sleep(20 * time.Minute)
		require.False(t, has(), "an old image of ours without a name belongs to nobody: %s", app.ID)
	})
}
