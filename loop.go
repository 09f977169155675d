package ams

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/openams/ams/internal/keyqueue"
)

// engine is the goroutines of Run. It is level-triggered: a wake-up says "look
// again", and every pass derives its work from the store.
type engine struct {
	m       *Manager
	queue   *keyqueue.Queue
	fresh   sync.Map // see the type: id to revision
	calling sync.Map // the ids of the instances whose power a call under way changes
	ready   chan struct{}
	running atomic.Bool
	workers atomic.Int32    // per node and queue
	ctx     context.Context //nolint:containedctx // Run's own, for asking whether to go on
	mark    string
	began   time.Time // the newest event when Run began
	started time.Time // when Run began

	poolMu sync.Mutex
	pools  map[string]poolFaults // by application

	imageListTries int // of reading the image server, that failed; of its one lane
}

// wake is a key to look at, and the lane to do it in.
type wake struct {
	key, lane string
	after     time.Duration // zero is now
}

var (
	wakePlace     = wake{key: "place", lane: "place"}
	wakeImageList = wake{key: "images", lane: "images"}
	wakeUpdates   = wake{key: "updates", lane: "updates", after: updateDelay}
)

// updateDelay is how long after a change of what applications are built from they
// are rebuilt: what changes in between is in the same version.
const updateDelay = 2 * time.Second

// wakeInstance puts an instance in a lane of its node: what frees a node never
// waits behind what fills it.
func wakeInstance(in *Instance) wake {
	lane := in.Node + "/work"
	if in.Want == WantStopped || in.Want == WantDeleted || in.Failure != "" {
		lane = in.Node + "/end"
	}
	switch {
	case !in.Made && in.Want != WantDeleted && in.Failure == "":
		return wakePlace
	case lane != in.Node+"/work":
	case in.Base:
		lane = in.Node + "/build" // a launch does not wait for builds
	case in.Standby:
		lane = in.Node + "/warm"
	case in.Warm:
		lane = in.Node + "/claim" // nor for those that boot
	}
	return wake{key: instanceKey(in.ID), lane: lane}
}

func instanceKey(id string) string { return "instance/" + id }
func wakeApplication(id string) wake {
	return wake{key: "application/" + id, lane: "application"}
}
func wakeUpdate(id string) wake {
	return wake{key: "update/" + id, lane: "updates", after: updateDelay}
}
func wakeImage(id string) wake { return wake{key: "image/" + id, lane: "image"} }

func newEngine(m *Manager) *engine {
	e := &engine{m: m, ready: make(chan struct{}), pools: map[string]poolFaults{}}
	e.workers.Store(4)
	e.queue = keyqueue.New(e.limit, e.work)
	return e
}

// limit is how many runs a lane may have at a time.
func (e *engine) limit(lane string) int {
	switch {
	case strings.HasSuffix(lane, "/work"), strings.HasSuffix(lane, "/build"):
		return int(e.workers.Load())
	case strings.HasSuffix(lane, "/end"):
		return 10
	case strings.HasSuffix(lane, "/claim"):
		return 16
	case strings.HasSuffix(lane, "/warm"):
		return 2
	case lane == "application", lane == "fetch":
		return 4
	case lane == "image":
		return 2
	default:
		return 1
	}
}

func (e *engine) work(ctx context.Context, key string) {
	kind, id, _ := strings.Cut(key, "/")
	switch kind {
	case "instance":
		e.pass(ctx, id)
	case "application":
		e.passApplication(ctx, id)
	case "image":
		e.passImage(ctx, id)
	case "node":
		e.passNode(ctx, id)
	case "pool":
		e.passPool(ctx, id)
	case "update":
		if err := e.refresh(ctx, id); err != nil && ctx.Err() == nil {
			e.m.log.Error("updating an application failed and will be tried again", "application", id, "error", err)
			e.queue.AddAfter(wakeUpdates.key, wakeUpdates.lane, backoff(8))
		}
	case "images":
		e.passImageList(ctx)
	case "updates":
		e.passUpdates(ctx)
	case "place":
		e.passPlace(ctx)
	}
}

func (e *engine) run(ctx context.Context) error {
	if !e.running.CompareAndSwap(false, true) {
		return Errorf(ErrState, "the manager runs already")
	}
	defer e.running.Store(false)
	mark, err := e.m.cluster(ctx)
	if err != nil {
		return stopped(ctx, err)
	}
	workers, err := e.m.Settings.number(ctx, "node.workers_per_queue")
	if err != nil {
		return stopped(ctx, err)
	}
	if e.began, err = e.m.newest(ctx); err != nil {
		return stopped(ctx, err)
	}
	e.workers.Store(int32(workers))
	e.mark, e.ctx, e.started = mark, ctx, e.m.now()

	calls, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	e.queue.Open(calls)
	var loops sync.WaitGroup
	loops.Go(func() { e.compareLoop(ctx) })
	loops.Go(func() { e.watchLoop(ctx) })
	loops.Go(func() { e.sweepLoop(ctx) })

	<-ctx.Done()
	loops.Wait()
	idle := e.queue.Close()
	drain := time.NewTimer(e.m.cfg.DrainTimeout)
	defer drain.Stop()
	select {
	case <-idle:
	case <-drain.C:
		cancel()
		<-idle
	}
	return nil
}

// stopped turns an error that only says that ctx ended into nil.
func stopped(ctx context.Context, err error) error {
	if ctx.Err() != nil && isContext(err) {
		return nil
	}
	return err
}

// draining reports whether no new work is to be begun.
func (e *engine) draining() bool { return e.ctx.Err() != nil }

// pause waits for d or for ctx to end, and reports whether ctx goes on.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// compareLoop compares with the backend, again and again, and wakes everything
// that is unfinished: nobody else does after a restart, nor when the store told
// us that a commit failed which it has made after all.
func (e *engine) compareLoop(ctx context.Context) {
	recovered := false
	for tries := 0; ; tries++ {
		err := e.refreshNodes(ctx)
		if err == nil {
			err = e.compare(ctx)
		}
		if err == nil {
			err = e.recover(ctx)
		}
		if err == nil && !recovered {
			recovered = true
			e.queue.Add(wakeUpdates.key, wakeUpdates.lane)
			e.queue.Add(wakeImageList.key, wakeImageList.lane)
			select {
			case <-e.ready: // an earlier Run
			default:
				close(e.ready)
			}
		}
		wait := e.m.cfg.CompareInterval
		if err != nil && ctx.Err() == nil {
			e.m.log.Warn("comparing with the backend failed", "error", err)
			if !recovered {
				wait = min(wait, backoff(tries))
			}
		}
		if !pause(ctx, wait) {
			return
		}
	}
}

// recover wakes everything that is not at rest and not being worked on.
func (e *engine) recover(ctx context.Context) error {
	var wakes []wake
	err := e.m.view(ctx, func(tx Tx) error {
		no := false
		instances, err := tx.Instances().List(InstanceFilter{Resting: &no}, Page{})
		if err != nil {
			return err
		}
		for i := range instances {
			wakes = append(wakes, wakeInstance(&instances[i]))
		}
		versions, err := tx.Versions().List(VersionFilter{Status: []VersionStatus{VersionDeleted}}, Page{})
		if err != nil {
			return err
		}
		for _, v := range versions {
			wakes = append(wakes, wakeApplication(v.ApplicationID))
		}
		applications, err := tx.Applications().List(ApplicationFilter{Status: []ApplicationStatus{ApplicationDeleted}}, Page{})
		if err != nil {
			return err
		}
		for _, a := range applications {
			wakes = append(wakes, wakeApplication(a.ID))
		}
		nodes, err := tx.Nodes().List(NodeFilter{}, Page{})
		if err != nil {
			return err
		}
		for i := range nodes {
			if nodes[i].Operation != "" {
				wakes = append(wakes, wakeNode(nodes[i].Name))
			}
		}
		all, err := tx.Applications().List(ApplicationFilter{}, Page{})
		if err != nil {
			return err
		}
		for i := range all {
			if all[i].Prewarm > 0 {
				wakes = append(wakes, wakePool(all[i].ID))
			}
		}
		yes := true
		standing, err := tx.Instances().List(InstanceFilter{Standby: &yes}, Page{})
		if err != nil {
			return err
		}
		for i := range standing {
			wakes = append(wakes, wakePool(standing[i].ApplicationID)) // its application may be gone
		}
		images, err := tx.Images().List(ImageFilter{Status: []ImageStatus{}}, Page{})
		for _, im := range images {
			if im.busy() {
				wakes = append(wakes, im.wake())
			}
		}
		return err
	})
	for _, w := range wakes {
		if !e.queue.Running(w.key) {
			e.queue.Add(w.key, w.lane)
		}
	}
	return err
}

// watchLoop has instances looked at when the backend says that they changed.
// What we are just changing ourselves we know; what comes at any other time while an
// instance is worked on has it looked at once more.
func (e *engine) watchLoop(ctx context.Context) {
	w, ok := BackendAs[Watcher](e.m.backend)
	if !ok {
		return
	}
	for tries := 0; ctx.Err() == nil; tries++ {
		began := time.Now()
		err := w.Watch(ctx, e.mark, func(id string) {
			if _, ours := e.calling.Load(id); !ours {
				e.queue.Add(instanceKey(id), "watch")
			}
		})
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) > time.Minute {
			tries = 0
		}
		e.m.log.Warn("watching the backend was broken off", "error", err)
		if !pause(ctx, backoff(tries)) {
			return
		}
	}
}

// backoff is how long to wait after so many failed tries: 0.2 s, doubling to 30 s.
func backoff(tries int) time.Duration {
	return min(200*time.Millisecond<<min(tries, 10), 30*time.Second)
}
