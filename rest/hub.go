package rest

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"time"

	"github.com/openams/ams"
	"github.com/openams/ams/api"
)

// ringSize is how many events a subscriber may lag behind before it is dropped.
const ringSize = 4096

// frame is one event, written once for all subscribers.
type frame struct {
	kind string // api.EventOperation, …
	data []byte
	sees func(*caller) bool
}

// hub reads the Manager's events once for all subscribers, and keeps the last of
// them. It reads while there are subscribers.
type hub struct {
	m    *ams.Manager
	most int

	mu   sync.Mutex
	ring [ringSize]frame
	next int64         // how many frames there ever were
	more chan struct{} // closed with the next frame
	n    int           // subscribers
	stop context.CancelFunc
	err  error // why the reading has ended
}

// subscribe begins to keep events for a subscriber, from now on. leave must be called.
func (u *hub) subscribe(ctx context.Context) (at int64, leave func(), err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.n >= u.most {
		return 0, nil, ams.Errorf(ams.ErrUnavailable, "there are %d events websockets, the most", u.n)
	}
	if u.stop == nil {
		newest, err := u.m.Newest(ctx)
		if err != nil {
			return 0, nil, err
		}
		reading, stop := context.WithCancel(background(ctx))
		u.stop, u.more, u.err = stop, make(chan struct{}), nil
		go u.read(reading, newest)
	}
	u.n++
	return u.next, func() {
		u.mu.Lock()
		defer u.mu.Unlock()
		if u.n--; u.n == 0 && u.stop != nil {
			u.stop()
			u.stop = nil
		}
	}, nil
}

// after returns the frames from the one with number at on, and what is closed when
// there are more. It reports false if some of them are gone already, or no more come.
func (u *hub) after(at int64, into []frame) (frames []frame, more <-chan struct{}, ok bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.next-at > ringSize || u.err != nil {
		return nil, nil, false
	}
	frames = into[:0]
	for ; at < u.next; at++ {
		frames = append(frames, u.ring[at%ringSize])
	}
	return frames, u.more, true
}

// add appends frames.
func (u *hub) add(frames ...frame) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.stop == nil {
		return // nobody listens
	}
	for _, f := range frames {
		u.ring[u.next%ringSize] = f
		u.next++
	}
	close(u.more)
	u.more = make(chan struct{})
}

// read turns the Manager's events into frames until ctx ends.
func (u *hub) read(ctx context.Context, since int64) {
	for e, err := range u.m.Events(ctx, since) {
		if err != nil {
			u.mu.Lock()
			u.err = err
			if u.stop != nil {
				close(u.more)
				u.more = make(chan struct{})
			}
			u.mu.Unlock()
			return
		}
		if f, ok := u.frame(ctx, e); ok {
			u.add(f)
		}
	}
}

// frame turns an event into what is sent. It reports false for what clients are not
// told, such as an event of an operation that is forgotten.
func (u *hub) frame(ctx context.Context, e ams.Event) (frame, bool) {
	if e.Type == ams.EventOperation {
		op, err := u.m.Operations.Get(ctx, e.ID)
		if err != nil {
			return frame{}, false
		}
		return newFrame(api.EventOperation, e, operationOf(op), func(c *caller) bool { return c.seesOperation(op) })
	}
	return newFrame(api.EventLifecycle, e, lifecycleOf(e), func(c *caller) bool { return c.seesEvent(e) })
}

func newFrame(kind string, e ams.Event, of any, sees func(*caller) bool) (frame, bool) {
	metadata, err := json.Marshal(of)
	if err != nil {
		return frame{}, false
	}
	data, err := json.Marshal(api.Event{Type: kind, Timestamp: e.Time, Metadata: metadata, Seq: e.Seq})
	return frame{kind: kind, data: data, sees: sees}, err == nil
}

// changed tells of an operation that only this handler knows.
func (u *hub) changed(n *local) {
	f, ok := newFrame(api.EventOperation, ams.Event{Time: time.Now().UTC().Truncate(time.Millisecond)}, n.get(), n.owner)
	if ok {
		u.add(f)
	}
}

// lifecycleOf returns what clients are told of an event.
func lifecycleOf(e ams.Event) api.Lifecycle {
	action := e.Action
	if e.Kind == "instance" {
		switch e.Action {
		case "prepared":
			action = "scheduled"
		case "deleted":
			action = "removed"
		case "error":
			action = "failed"
		}
	}
	return api.Lifecycle{Action: e.Kind + "-" + action, Source: pathOf(e.Kind, e.ID), Message: e.Message}
}

// seesEvent reports whether a caller is told of an event: one that may see what it is
// of.
func (c *caller) seesEvent(e ams.Event) bool {
	kind, id := e.Kind, e.ID
	switch kind {
	case "version":
		kind, id = "application", id[:max(0, strings.LastIndexByte(id, '-'))]
	case "setting":
		return c.may("server", "", "can_view_config")
	}
	return c.sees(kind, id)
}
