// Package keyqueue runs work for keys: one run at a time per key, a bounded
// number at a time per lane, and a key added while it runs is run again.
package keyqueue

import (
	"context"
	"sync"
	"time"
)

// Queue is level-triggered: adding a key means "look at it again". It owns no
// goroutine but those of the runs under way.
type Queue struct {
	limit func(lane string) int
	work  func(ctx context.Context, key string)

	mu      sync.Mutex
	open    bool
	base    context.Context // of the runs
	entries map[string]*entry
	lanes   map[string]*lane
	idle    chan struct{} // non-nil while Close waits; closed when nothing runs
	running int
}

type entry struct {
	lane   string
	at     string // the lane it runs in
	queued bool   // in its lane's waiting list
	runs   bool
	again  bool // add it once more when the run ends
	stop   context.CancelFunc
	timer  *time.Timer
}

type lane struct {
	waiting []string
	runs    int
}

// New returns a Queue that calls work for each key, limit(lane) at a time per
// lane. Nothing runs before Open.
func New(limit func(lane string) int, work func(ctx context.Context, key string)) *Queue {
	return &Queue{limit: limit, work: work, entries: map[string]*entry{}, lanes: map[string]*lane{}}
}

// Open lets work begin. Runs get a context made from ctx.
func (q *Queue) Open(ctx context.Context) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.open, q.base, q.idle = true, ctx, nil
}

// Close forgets what waits, and returns a channel that is closed when the runs
// under way have ended. It does not end them: the context given to Open does.
func (q *Queue) Close() <-chan struct{} {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.open = false
	for key, e := range q.entries {
		e.again, e.queued = false, false
		e.cancelTimer()
		if !e.runs {
			delete(q.entries, key)
		}
	}
	clear(q.lanes)
	q.idle = make(chan struct{})
	if q.running == 0 {
		close(q.idle)
	}
	return q.idle
}

// Add makes the key run in the lane as soon as there is room. A key that waits
// already moves to the lane; one that runs is run again in it afterwards. On a
// closed Queue Add does nothing.
func (q *Queue) Add(key, in string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.add(key, in)
}

// AddAfter adds the key when d has passed, unless it is added before that.
func (q *Queue) AddAfter(key, in string, d time.Duration) {
	if d <= 0 {
		q.Add(key, in)
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.open {
		return
	}
	e := q.entry(key)
	e.cancelTimer()
	var t *time.Timer
	t = time.AfterFunc(d, func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		if e.timer == t {
			e.timer = nil
			q.add(key, in)
		}
	})
	e.timer = t
}

// Interrupt cancels the context of the key's run, if it runs.
func (q *Queue) Interrupt(key string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if e := q.entries[key]; e != nil && e.runs {
		e.stop()
	}
}

// Running reports whether the key runs now.
func (q *Queue) Running(key string) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	e := q.entries[key]
	return e != nil && e.runs
}

// Lane returns the lane in which the key runs now, and nothing if it does not run.
func (q *Queue) Lane(key string) string {
	q.mu.Lock()
	defer q.mu.Unlock()
	if e := q.entries[key]; e != nil && e.runs {
		return e.at
	}
	return ""
}

func (q *Queue) entry(key string) *entry {
	e := q.entries[key]
	if e == nil {
		e = &entry{}
		q.entries[key] = e
	}
	return e
}

func (q *Queue) add(key, in string) {
	if !q.open {
		return
	}
	e := q.entry(key)
	e.cancelTimer()
	switch {
	case e.runs:
		e.again, e.lane = true, in
	case e.queued && e.lane == in:
	default:
		if e.queued {
			q.unqueue(key, e)
		}
		e.lane, e.queued = in, true
		l := q.lane(in)
		l.waiting = append(l.waiting, key)
		q.dispatch(in)
	}
}

func (q *Queue) lane(name string) *lane {
	l := q.lanes[name]
	if l == nil {
		l = &lane{}
		q.lanes[name] = l
	}
	return l
}

func (q *Queue) unqueue(key string, e *entry) {
	l := q.lanes[e.lane]
	for i, k := range l.waiting {
		if k == key {
			l.waiting = append(l.waiting[:i], l.waiting[i+1:]...)
			return
		}
	}
}

// dispatch starts waiting keys of a lane while it has room.
func (q *Queue) dispatch(name string) {
	l := q.lane(name)
	for len(l.waiting) > 0 && l.runs < q.limit(name) {
		key := l.waiting[0]
		l.waiting = l.waiting[1:]
		e := q.entries[key]
		e.queued, e.runs, e.at = false, true, name
		l.runs++
		q.running++
		ctx, stop := context.WithCancel(q.base)
		e.stop = stop
		go q.run(ctx, key, e, l, name)
	}
	if len(l.waiting) == 0 && l.runs == 0 {
		delete(q.lanes, name)
	}
}

func (q *Queue) run(ctx context.Context, key string, e *entry, l *lane, name string) {
	defer func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		e.stop()
		e.runs = false
		l.runs--
		q.running--
		switch {
		case e.again:
			e.again = false
			q.add(key, e.lane)
		case e.timer == nil && !e.queued:
			delete(q.entries, key)
		}
		if q.open {
			q.dispatch(name)
		} else if q.running == 0 && q.idle != nil {
			close(q.idle)
			q.idle = nil
		}
	}()
	q.work(ctx, key)
}

func (e *entry) cancelTimer() {
	if e.timer != nil {
		e.timer.Stop()
		e.timer = nil
	}
}
