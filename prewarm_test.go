package ams_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
	"github.com/openams/ams/backend/fake"
)

// warm is a cluster in which a boot takes its time and a claim does not.
func warm() fake.Options {
	return fake.Options{NodeCount: 2, CreateTime: time.Second, StartTime: time.Second, BootTime: 8 * time.Second, ClaimTime: 50 * time.Millisecond, FreezeTime: 10 * time.Millisecond}
}

// prewarmed waits until so many instances of candy stand by.
func (w *world) prewarmed(n int) {
	w.t.Helper()
	for range 600 {
		p, err := w.Applications.Prewarmed(w.ctx, "candy")
		require.NoError(w.t, err)
		if p.Ready == n && p.Begun == 0 {
			return
		}
		time.Sleep(time.Second)
	}
	p, err := w.Applications.Prewarmed(w.ctx, "candy")
	require.NoError(w.t, err)
	require.Equal(w.t, ams.Prewarmed{Want: n, Ready: n}, p)
}

func TestPrewarm(t *testing.T) {
	bubble(t, warm(), func(t *testing.T, w *world) {
		w.application("candy")
		require.NoError(t, w.Applications.SetPrewarm(w.ctx, "candy", 3))
		w.prewarmed(3)
		list, n, err := w.Instances.List(w.ctx, ams.InstanceFilter{}, ams.Page{})
		require.NoError(t, err)
		require.Empty(t, list, "they are nobody's")
		require.Zero(t, n)
		standing := w.fake.Snapshot().Instances
		require.Len(t, standing, 3)
		_, err = w.Instances.Get(w.ctx, standing[0].ID)
		require.ErrorIs(t, err, ams.ErrNotFound)
		w.audit()

		began := time.Now()
		in := w.launch(ams.LaunchRequest{Application: "candy", Name: "mine", UserData: "hello", Tags: []string{"x"},
			Services: []ams.Service{{Name: "ssh", Port: 22, Protocols: []string{"tcp"}}}})
		require.Less(t, time.Since(began), 200*time.Millisecond)
		require.Equal(t, ams.InstanceRunning, in.Status)
		require.Equal(t, "mine", in.Name)
		require.Equal(t, 10000, in.Services[0].NodePort)
		require.Contains(t, []string{standing[0].ID, standing[1].ID, standing[2].ID}, in.ID)
		w.prewarmed(3)
		for _, s := range w.fake.Snapshot().Instances {
			if s.ID == in.ID {
				require.Equal(t, "mine", s.Labels["name"])
				require.Equal(t, []ams.Proxy{{Protocol: "tcp", Listen: "10.0.0.1", NodePort: 10000, Port: 22, Count: 1}}, s.Proxies)
			}
		}
		list, n, err = w.Instances.List(w.ctx, ams.InstanceFilter{}, ams.Page{Limit: 1})
		require.NoError(t, err)
		require.Len(t, list, 1)
		require.Equal(t, 1, n)

		other := w.launch(ams.LaunchRequest{Application: "candy", Resources: ams.Resources{CPUs: 7}})
		require.Equal(t, 7, other.Resources.CPUs, "not one that stood by")
		dev := w.launch(ams.LaunchRequest{Application: "candy", Config: ams.InstanceConfig{Devmode: true}})
		require.True(t, dev.Config.Devmode)
		p, err := w.Applications.Prewarmed(w.ctx, "candy")
		require.NoError(t, err)
		require.Equal(t, 3, p.Ready)

		require.NoError(t, w.Applications.SetPrewarm(w.ctx, "candy", 1))
		time.Sleep(time.Minute)
		w.prewarmed(1)
		w.audit()
		checkEvents(t, w)
	})
}

// TestPrewarmFollowsTheVersion replaces what stands by when a new version is
// published, and what was broken behind our back.
func TestPrewarmFollowsTheVersion(t *testing.T) {
	bubble(t, warm(), func(t *testing.T, w *world) {
		w.application("candy")
		require.NoError(t, w.Applications.SetPrewarm(w.ctx, "candy", 2))
		w.prewarmed(2)
		w.wait(w.Applications.Update(w.ctx, "candy", pkg("name: candy\nversion: two"), ams.CreateOptions{}))
		time.Sleep(time.Minute)
		w.prewarmed(2)
		in := w.launch(ams.LaunchRequest{Application: "candy"})
		require.Equal(t, 1, in.Version)
		w.prewarmed(2)
		for _, s := range w.fake.Snapshot().Instances {
			if s.ID != in.ID {
				w.fake.StopBehindBack(s.ID)
			}
		}
		time.Sleep(time.Minute)
		w.prewarmed(2)
		w.fake.Restart() // nothing is warm any more
		time.Sleep(2 * time.Minute)
		w.prewarmed(2)
		w.stop()
		w.start()
		w.prewarmed(2)
		w.launch(ams.LaunchRequest{Application: "candy"})
		w.wait(w.Applications.Delete(w.ctx, "candy", false))
		time.Sleep(2 * time.Minute)
		w.audit()
		yes := true
		_, n, err := w.Instances.List(w.ctx, ams.InstanceFilter{Standby: &yes}, ams.Page{})
		require.NoError(t, err)
		require.Zero(t, n)
	})
}

// TestPrewarmGivesWay fills a cluster: what stands by makes room for launches, and
// does not come back at their expense.
func TestPrewarmGivesWay(t *testing.T) {
	opts := warm()
	opts.Nodes = []ams.NodeInfo{{Name: "n", Online: true, Architecture: "x86_64", Capacity: ams.Capacity{CPUs: 3, Memory: 64 * ams.Gigabyte, Disk: 1000 * ams.Gigabyte, DiskFree: 1000 * ams.Gigabyte}}}
	bubble(t, opts, func(t *testing.T, w *world) { // 12 CPUs: six instances
		w.application("candy")
		require.NoError(t, w.Applications.SetPrewarm(w.ctx, "candy", 3))
		w.prewarmed(3)
		three := ams.LaunchRequest{Application: "candy", Resources: ams.Resources{CPUs: 3}}
		for range 4 {
			w.launch(three)
		}
		p, err := w.Applications.Prewarmed(w.ctx, "candy")
		require.NoError(t, err)
		require.Zero(t, p.Ready+p.Begun)
		_, err = w.Instances.Launch(w.ctx, three)
		require.ErrorIs(t, err, ams.ErrNoCapacity)
		op, err := w.Instances.Launch(w.ctx, ams.LaunchRequest{Application: "candy", Prewarm: ams.PrewarmWait})
		require.NoError(t, err, "it waits in order")
		time.Sleep(time.Minute)
		list, _, err := w.Instances.List(w.ctx, ams.InstanceFilter{Status: []ams.InstanceStatus{ams.InstanceRunning}}, ams.Page{})
		require.NoError(t, err)
		w.wait(w.Instances.Delete(w.ctx, list[0].ID, true))
		w.wait(op, nil)
		w.audit()
		checkEvents(t, w)
	})
}

// TestClaimsAreExact has many launches claim few that stand by: none is given
// twice, and all launches run.
func TestClaimsAreExact(t *testing.T) {
	opts := warm()
	opts.NodeCount = 4
	bubble(t, opts, func(t *testing.T, w *world) {
		w.application("candy")
		require.NoError(t, w.Applications.SetPrewarm(w.ctx, "candy", 8))
		w.prewarmed(8)
		var all sync.WaitGroup
		var mu sync.Mutex
		ids := map[string]bool{}
		for n := range 40 {
			all.Go(func() {
				mode := []ams.Prewarm{ams.PrewarmIfReady, ams.PrewarmWait, ams.PrewarmNever}[n%3]
				op, err := w.Instances.Launch(w.ctx, ams.LaunchRequest{Application: "candy", Name: fmt.Sprint("inst", n), Prewarm: mode})
				if err == nil {
					op, err = w.Operations.Wait(w.ctx, op.ID)
				}
				mu.Lock()
				defer mu.Unlock()
				require.NoError(t, err)
				require.False(t, ids[op.Resources["instance"][0]])
				ids[op.Resources["instance"][0]] = true
			})
		}
		all.Wait()
		w.prewarmed(8)
		require.NoError(t, w.Applications.SetPrewarm(w.ctx, "candy", 0))
		time.Sleep(time.Minute)
		w.audit()
		checkEvents(t, w)
	})
}

// TestClaimSurvives kills the program, or breaks the claim, at any moment of it.
func TestClaimSurvives(t *testing.T) {
	for _, after := range []time.Duration{0, 5 * time.Millisecond, 12 * time.Millisecond, 40 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, warm(), func(c *ams.Config) { c.DrainTimeout = time.Nanosecond })
			w.application("candy")
			require.NoError(t, w.Applications.SetPrewarm(w.ctx, "candy", 1))
			w.prewarmed(1)
			op, err := w.Instances.Launch(w.ctx, ams.LaunchRequest{Application: "candy"})
			require.NoError(t, err)
			time.Sleep(after)
			w.stop()
			w.start()
			w.wait(op, nil)
			w.prewarmed(1)

			op, err = w.Instances.Launch(w.ctx, ams.LaunchRequest{Application: "candy"})
			require.NoError(t, err)
			time.Sleep(after)
			w.fake.Restart() // its warmth is lost: it starts as any other
			if _, err = w.Operations.Wait(w.ctx, op.ID); after > 10*time.Millisecond && err != nil {
				require.ErrorIs(t, err, ams.ErrFailed, "it was lost while its app started")
			} else {
				require.NoError(t, err)
			}
			require.NoError(t, w.Applications.SetPrewarm(w.ctx, "candy", 0))
			time.Sleep(time.Minute)
			w.audit()
		})
	}
}

func TestPrewarmRefused(t *testing.T) {
	bubble(t, warm(), func(t *testing.T, w *world) {
		w.application("candy")
		require.ErrorIs(t, w.Applications.SetPrewarm(w.ctx, "none", 1), ams.ErrNotFound)
		require.ErrorIs(t, w.Applications.SetPrewarm(w.ctx, "candy", -1), ams.ErrInvalid)
		require.ErrorIs(t, w.Applications.SetPrewarm(w.ctx, "candy", ams.MaxPrewarm+1), ams.ErrInvalid)
		_, err := w.Instances.Launch(context.Background(), ams.LaunchRequest{Prewarm: ams.PrewarmWait})
		require.ErrorIs(t, err, ams.ErrInvalid)
		_, err = w.Instances.Launch(context.Background(), ams.LaunchRequest{Application: "candy", Prewarm: "soon"})
		require.ErrorIs(t, err, ams.ErrInvalid)
		// A boot that always fails is tried ever more rarely.
		w.fake.FailGuest(fake.GuestFault{Phase: ams.PhaseStandby})
		require.NoError(t, w.Applications.SetPrewarm(w.ctx, "candy", 1))
		time.Sleep(time.Hour)
		require.Less(t, w.fake.Count(fake.VerbCreate), 25)
		w.fake.HealGuest()
		time.Sleep(2 * time.Hour)
		w.prewarmed(1)
		w.audit()
	})
}
