package ams_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
	"github.com/openams/ams/backend/fake"
	"github.com/openams/ams/storage/mem"
	"github.com/openams/ams/storage/sqlite"
	"github.com/openams/ams/storage/storagetest"
)

var simSeeds = flag.Int("seeds", 1, "how many seeds each simulation runs with")

// TestSimulation lets eight callers do what they like for an hour, while the
// backend fails, hangs, loses answers, nodes and instances, and the Manager is
// restarted. When all is quiet again, ledger, store and backend must agree, and
// the events of each instance must be a way through the transition table.
func TestSimulation(t *testing.T) {
	stores := map[string]func(t *testing.T) ams.Store{
		"mem": func(*testing.T) ams.Store { return mem.New() },
		"sqlite": func(t *testing.T) ams.Store {
			s, err := sqlite.Open(filepath.Join(t.TempDir(), "ams.db"), &sqlite.Options{Synchronous: sqlite.Off})
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, s.Close()) })
			return s
		},
	}
	wraps := map[string]func(ams.Store, *rand.Rand) ams.Store{
		"plain":  func(s ams.Store, _ *rand.Rand) ams.Store { return s },
		"replay": func(s ams.Store, _ *rand.Rand) ams.Store { return storagetest.Replay(s) },
		"faulty": faultyStore,
	}
	for store, open := range stores {
		for wrap, around := range wraps {
			for seed := range *simSeeds {
				t.Run(fmt.Sprintf("%s/%s/seed=%d", store, wrap, seed), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						rnd := rand.New(rand.NewPCG(uint64(seed), 1))
						simulate(t, around(open(t), rnd), rnd)
					})
				})
			}
		}
	}
}

// faultyStore fails one call in fifty, half of those after the commit.
func faultyStore(s ams.Store, rnd *rand.Rand) ams.Store {
	var mu sync.Mutex
	rnd = rand.New(rand.NewPCG(rnd.Uint64(), 2))
	began := time.Now()
	lost := ams.Errorf(ams.ErrUnavailable, "the store did not answer")
	return storagetest.Faulty(s, func(int) error {
		mu.Lock()
		defer mu.Unlock()
		if time.Since(began) < time.Minute || time.Since(began) > simTime || rnd.IntN(50) > 0 {
			return nil
		}
		if rnd.IntN(2) == 0 {
			return lost
		}
		return storagetest.AfterCommit(lost)
	})
}

const (
	simTime    = time.Hour
	simWorkers = 8
)

func simulate(t *testing.T, store ams.Store, rnd *rand.Rand) {
	opts := slow
	opts.Nodes = simNodes(4)
	opts.FreezeTime, opts.ClaimTime = 10*time.Millisecond, 100*time.Millisecond
	server := newImageServer()
	server.add(remoteImage, "1.30.0-1", "remote 0")
	w := newWorld(t, opts, func(c *ams.Config) { c.Store, c.ImageServer = store, server })
	w.image()
	ctx, cancel := context.WithTimeout(t.Context(), simTime)
	defer cancel()
	var busy sync.WaitGroup
	for n := range simWorkers {
		caller := &simCaller{w: w, rnd: rand.New(rand.NewPCG(rnd.Uint64(), uint64(n))), name: n}
		busy.Go(func() { caller.run(ctx) })
	}
	for ctx.Err() == nil {
		w.trouble(rnd)
		server.trouble(rnd)
		sleep(ctx, time.Duration(rnd.IntN(60))*time.Second)
	}
	busy.Wait()
	w.heal()
	w.undrain()
	server.set(func() { server.fail, server.slow = nil, 0 })
	time.Sleep(30 * time.Minute)
	w.audit()
	w.upToDate()
	checkEvents(t, w)
	for _, verb := range []string{fake.VerbConfigure, fake.VerbFreeze, fake.VerbUnfreeze} {
		require.Positive(t, w.fake.Count(verb), "the simulation must do something: %s", verb)
	}
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// trouble makes one thing go wrong.
func (w *world) trouble(rnd *rand.Rand) {
	verbs := []string{fake.VerbCreate, fake.VerbStart, fake.VerbStop, fake.VerbDelete, fake.VerbGet, fake.VerbList, fake.VerbPublish, fake.VerbImportImage, fake.VerbDeleteImage, fake.VerbRun, fake.VerbLogs, fake.VerbConfigure, fake.VerbFreeze, fake.VerbUnfreeze, fake.VerbCopy, fake.VerbOpenLog}
	verb := verbs[rnd.IntN(len(verbs))]
	node := fmt.Sprint("node", rnd.IntN(4))
	switch rnd.IntN(10) {
	case 0:
		w.fake.Fail(verb, rnd.IntN(4), ams.Errorf(ams.ErrUnavailable, "no answer"))
	case 1:
		w.fake.Fail(verb, rnd.IntN(2), ams.Errorf(ams.ErrInternal, "the backend is confused"))
	case 2:
		w.fake.Lose(verb, rnd.IntN(4))
	case 3:
		time.AfterFunc(time.Duration(rnd.IntN(300))*time.Second, w.fake.Hang(verb))
	case 4:
		w.fake.SetOnline(node, false)
		time.AfterFunc(time.Duration(rnd.IntN(120))*time.Second, func() { w.fake.SetOnline(node, true) })
	case 5:
		w.fake.FailGuest(fake.GuestFault{Exit: 1 + rnd.IntN(3), Times: 1, Hang: rnd.IntN(4) == 0})
	case 6:
		if all := w.fake.Snapshot().Instances; len(all) > 0 {
			id := all[rnd.IntN(len(all))].ID
			trip := func(id string) { w.fake.Trip(id, "the app has crashed") }
			[]func(string){w.fake.StopBehindBack, w.fake.DeleteBehindBack, w.fake.BreakBehindBack, trip}[rnd.IntN(4)](id)
		}
	case 7:
		w.fake.Restart()
	case 8, 9:
		w.stop()
		time.Sleep(time.Duration(rnd.IntN(20)) * time.Second)
		w.start()
	}
}

// heal ends all faults.
func (w *world) heal() {
	for _, verb := range []string{fake.VerbCreate, fake.VerbStart, fake.VerbStop, fake.VerbDelete, fake.VerbGet, fake.VerbList, fake.VerbPublish, fake.VerbImportImage, fake.VerbDeleteImage, fake.VerbRun, fake.VerbLogs, fake.VerbConfigure, fake.VerbFreeze, fake.VerbUnfreeze, fake.VerbCopy, fake.VerbOpenLog} {
		w.fake.Fail(verb, 0, nil)
		w.fake.Lose(verb, 0)
		w.fake.Hang(verb)()
	}
	w.fake.HealGuest()
	for n := range 4 {
		w.fake.SetOnline(fmt.Sprint("node", n), true)
	}
}

const remoteImage = "noble:android16:amd64"

// trouble makes the image server go wrong, or right again, or have something new.
func (s *imageServer) trouble(rnd *rand.Rand) {
	n := rnd.IntN(8)
	if n == 0 {
		s.add(remoteImage, fmt.Sprintf("1.30.%d-1", rnd.IntN(1000)), fmt.Sprint("meta", rnd.IntN(3)), fmt.Sprint("rootfs", rnd.Uint32()))
	}
	s.set(func() {
		switch n {
		case 1:
			s.fail = ams.Errorf(ams.ErrUnavailable, "no route")
		case 2:
			s.fail, s.fails = ams.Errorf(ams.ErrDenied, "go away"), 1+rnd.IntN(4)
		case 3:
			s.slow = time.Duration(rnd.IntN(90)) * time.Second
		case 4, 5:
			s.fail, s.slow = nil, 0
		}
	})
}

// upToDate requires that every application is built from the newest of what it
// depends on, or has failed to be.
func (w *world) upToDate() {
	w.t.Helper()
	apps, _, err := w.Applications.List(w.ctx, ams.ApplicationFilter{Status: []ams.ApplicationStatus{ams.ApplicationReady}}, ams.Page{})
	require.NoError(w.t, err)
	for _, app := range apps {
		if app.InhibitAutoUpdates {
			continue
		}
		op, err := w.Applications.Refresh(w.ctx, app.ID)
		if ams.CodeOf(err) == ams.ErrNotFound || ams.CodeOf(err) == ams.ErrState { // its image is gone, or of no use
			continue
		}
		require.NoError(w.t, err)
		require.Empty(w.t, op.Resources["version"], "%s should have been updated", app.Name)
	}
}

// simCaller is a user who asks for random things and never minds the answer.
type simCaller struct {
	w    *world
	rnd  *rand.Rand
	name int
	made int
	mine []string // instances
}

func (c *simCaller) run(ctx context.Context) {
	app := fmt.Sprint("app", c.name)
	for ctx.Err() == nil {
		sleep(ctx, time.Duration(c.rnd.IntN(30_000))*time.Millisecond)
		op, err := c.ask(ctx, app)
		if err != nil || op.ID == "" {
			continue
		}
		switch c.rnd.IntN(4) {
		case 0: // does not wait
		case 1:
			sleep(ctx, time.Duration(c.rnd.IntN(10_000))*time.Millisecond)
			_ = c.w.now.Load().Operations.Cancel(ctx, op.ID)
		default:
			bound, cancel := context.WithTimeout(ctx, 20*time.Minute)
			_, _ = c.w.now.Load().Operations.Wait(bound, op.ID)
			cancel()
		}
	}
}

func (c *simCaller) ask(ctx context.Context, app string) (ams.Operation, error) {
	w := c.w.now.Load()
	switch c.rnd.IntN(6) {
	case 0, 1:
		return c.change(ctx, w, app)
	case 2:
		return c.instances(ctx, w, app)
	}
	switch n := c.rnd.IntN(20); {
	case n == 0:
		return w.Applications.Delete(ctx, app, false)
	case n < 3:
		return w.Applications.Create(ctx, pkg("name: "+app), ams.CreateOptions{})
	case n < 5:
		return w.Applications.Update(ctx, app, pkg("name: "+app), ams.CreateOptions{})
	case n == 5:
		return w.Applications.DeleteVersion(ctx, app, c.rnd.IntN(3))
	case n == 6:
		return ams.Operation{}, errors.Join(w.Applications.Revoke(ctx, app, 0), w.Applications.Publish(ctx, app, 1))
	case n == 7:
		c.made++
		return w.Images.Add(ctx, fmt.Sprintf("image%d-%d", c.name, c.made), fakeImage(fmt.Sprint(c.rnd.IntN(3))), ams.ImageOptions{})
	case n == 8:
		return w.Images.Delete(ctx, fmt.Sprintf("image%d-%d", c.name, c.made), c.rnd.IntN(2) == 0)
	case n < 14 || len(c.mine) == 0:
		c.made++
		req := ams.LaunchRequest{Name: fmt.Sprintf("inst%d-%d", c.name, c.made), NoStart: c.rnd.IntN(5) == 0}
		if c.rnd.IntN(2) == 0 {
			req.Application = app
		}
		c.mine = append(c.mine, req.Name)
		return w.Instances.Launch(ctx, req)
	}
	id := c.mine[c.rnd.IntN(len(c.mine))]
	switch c.rnd.IntN(5) {
	case 0:
		return w.Instances.Start(ctx, id, ams.StartOptions{DropLogs: true})
	case 1:
		return w.Instances.Stop(ctx, id, c.rnd.IntN(2) == 0)
	case 2:
		return w.Instances.Restart(ctx, id, c.rnd.IntN(2) == 0)
	default:
		return w.Instances.Delete(ctx, id, c.rnd.IntN(2) == 0)
	}
}

// change asks for something that concerns applications, addons and images.
func (c *simCaller) change(ctx context.Context, w *ams.Manager, app string) (ams.Operation, error) {
	addon := fmt.Sprint("addon", c.rnd.IntN(3))
	addons := []string{addon}[:c.rnd.IntN(2)]
	own := fmt.Sprintf("image%d-%d", c.name, c.made)
	image := []string{jammy, remoteImage, own}[c.rnd.IntN(3)]
	switch c.rnd.IntN(15) {
	case 0, 1:
		return w.Addons.Add(ctx, addon, addonPkg(addon, fmt.Sprint(c.rnd.Uint32())), ams.AddonOptions{})
	case 2:
		return w.Addons.Update(ctx, addon, addonPkg(addon, fmt.Sprint(c.rnd.IntN(5))), ams.AddonOptions{})
	case 3:
		return w.Addons.Delete(ctx, addon)
	case 4:
		return w.Applications.Set(ctx, app, ams.ApplicationPatch{Addons: addons, Image: &image})
	case 5:
		return w.Applications.Set(ctx, app, ams.ApplicationPatch{Features: []string{fmt.Sprint("f", c.rnd.IntN(4))}, InhibitAutoUpdates: ptr(c.rnd.IntN(4) == 0)})
	case 6:
		return w.Applications.Refresh(ctx, app)
	case 7:
		return w.Images.Update(ctx, image, fakeImage(fmt.Sprint("update", c.rnd.IntN(4))), ams.ImageOptions{})
	case 8:
		return w.Images.DeleteVersion(ctx, image, c.rnd.IntN(4))
	case 9:
		return w.Images.Sync(ctx, remoteImage)
	case 10:
		return w.Images.Delete(ctx, remoteImage, true)
	case 11:
		value := ""
		if len(addons) > 0 {
			value = addon
		}
		return ams.Operation{}, w.Settings.Set(ctx, "application.addons", value)
	case 12:
		c.made++
		if len(c.mine) == 0 {
			return ams.Operation{}, nil
		}
		return w.Images.Publish(ctx, c.mine[c.rnd.IntN(len(c.mine))], ams.PublishOptions{Name: fmt.Sprintf("image%d-%d", c.name, c.made), Force: true})
	case 13:
		c.made++
		return w.Images.AddRemote(ctx, fmt.Sprintf("image%d-%d", c.name, c.made), remoteImage, ams.ImageOptions{})
	default:
		c.made++
		c.mine = append(c.mine, fmt.Sprintf("inst%d-%d", c.name, c.made))
		return w.Instances.Launch(ctx, ams.LaunchRequest{Name: c.mine[len(c.mine)-1], Image: image, Addons: addons})
	}
}

// checkEvents requires that events are numbered without a gap, that none is
// older than the one before it by more than the writers' overlap, and that the
// statuses of each instance follow each other as the transition table says.
func checkEvents(t *testing.T, w *world) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	var last int64
	status := map[string]string{}
	kinds := map[string]int{}
	for e, err := range w.Events(ctx, 0) {
		require.NoError(t, err)
		require.Equal(t, last+1, e.Seq)
		last = e.Seq
		kinds[e.Kind+" "+e.Action]++
		if e.Kind == "instance" && e.Action != "updated" {
			require.True(t, ams.MayMove(status[e.ID], e.Action), "instance %s went from %q to %q", e.ID, status[e.ID], e.Action)
			status[e.ID] = e.Action
		}
	}
	require.Positive(t, kinds["instance running"], "the simulation must do something: %v", kinds)
	require.Positive(t, kinds["version active"], "the simulation must do something: %v", kinds)
	t.Logf("%d events: %v", last, kinds)
}
