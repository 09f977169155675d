package rest

import (
	"crypto/rand"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/openams/ams/api"
)

// local is an operation that only this handler knows: a command in an instance, or a
// change that was done at once. It goes with the process.
type local struct {
	locals *locals
	owner  func(*caller) bool // who may see it

	mu   sync.Mutex
	op   api.Operation
	stop func()   // ends the work; nil cannot
	exec *command // of a command
}

// locals are the operations that only this handler knows. One that has ended is
// kept for a while.
type locals struct {
	keep    time.Duration
	changed func(*local) // tells the subscribers of events

	mu         sync.Mutex
	all        map[string]*local
	containers map[string]time.Time // operations that were asked for under /1.0/containers
	swept      time.Time
}

// mostLocals bounds the ended operations that are kept.
const mostLocals = 100_000

func newLocals(keep time.Duration) *locals {
	return &locals{keep: keep, all: map[string]*local{}, containers: map[string]time.Time{}, changed: func(*local) {}}
}

// newUUID returns an id for an operation: a random UUID.
func newUUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// add begins an operation.
func (l *locals) add(now time.Time, op api.Operation, owner func(*caller) bool, stop func(), exec *command) *local {
	op.ID, op.CreatedAt, op.UpdatedAt = newUUID(), now, now
	if !op.StatusCode.Final() {
		op.StatusCode = api.Running
	}
	op.Status, op.MayCancel = op.StatusCode.String(), stop != nil
	n := &local{locals: l, owner: owner, op: op, stop: stop, exec: exec}
	l.mu.Lock()
	l.sweep(now)
	l.all[op.ID] = n
	l.mu.Unlock()
	l.changed(n)
	return n
}

// commands counts the commands that run.
func (l *locals) commands() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	count := 0
	for _, n := range l.all {
		if op := n.get(); op.Class == api.ClassWebsocket && !op.StatusCode.Final() {
			count++
		}
	}
	return count
}

// done keeps an operation that has ended already.
func (l *locals) done(now time.Time, description string, resources map[string][]string, owner func(*caller) bool) api.Operation {
	return l.add(now, api.Operation{
		Class: api.ClassTask, Description: description, Resources: resources, StatusCode: api.Success,
	}, owner, nil, nil).get()
}

// sweep forgets what ended long ago, once a minute; l.mu is held.
func (l *locals) sweep(now time.Time) {
	if now.Sub(l.swept) < time.Minute && len(l.all) < mostLocals {
		return
	}
	l.swept = now
	old := now.Add(-l.keep)
	maps.DeleteFunc(l.containers, func(_ string, at time.Time) bool { return at.Before(old) })
	maps.DeleteFunc(l.all, func(_ string, n *local) bool {
		op := n.get()
		return op.StatusCode.Final() && op.UpdatedAt.Before(old)
	})
	if len(l.all) < mostLocals {
		return
	}
	ended := slices.SortedFunc(maps.Values(l.all), func(a, b *local) int { return a.get().UpdatedAt.Compare(b.get().UpdatedAt) })
	for _, n := range ended[:len(ended)/2] {
		if op := n.get(); op.StatusCode.Final() {
			delete(l.all, op.ID)
		}
	}
}

// find returns the operation with that id, or nil.
func (l *locals) find(id string) *local {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all[id]
}

// list returns all of them that the caller may see.
func (l *locals) list(c *caller) []api.Operation {
	l.mu.Lock()
	all := slices.Collect(maps.Values(l.all))
	l.mu.Unlock()
	var ops []api.Operation
	for _, n := range all {
		if n.owner(c) {
			ops = append(ops, n.get())
		}
	}
	return ops
}

// asContainers remembers that an operation was asked for by a client that knows
// instances as containers.
func (l *locals) asContainers(id string, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sweep(now)
	l.containers[id] = now
}

// rename gives such a client the resources of an operation under the name it knows.
func (l *locals) rename(op api.Operation) api.Operation {
	l.mu.Lock()
	_, ok := l.containers[op.ID]
	l.mu.Unlock()
	if !ok || op.Resources["instances"] == nil {
		return op
	}
	resources := maps.Clone(op.Resources)
	for _, path := range resources["instances"] {
		resources["containers"] = append(resources["containers"], strings.Replace(path, "/instances/", "/containers/", 1))
	}
	delete(resources, "instances")
	op.Resources = resources
	return op
}

// get returns the operation as it is now.
func (n *local) get() api.Operation {
	n.mu.Lock()
	defer n.mu.Unlock()
	op := n.op
	op.Metadata = maps.Clone(op.Metadata)
	return op
}

// end ends it: with success, or with why not. Only the first end counts.
func (n *local) end(now time.Time, status api.StatusCode, text string, metadata map[string]any) {
	n.mu.Lock()
	if n.op.StatusCode.Final() {
		n.mu.Unlock()
		return
	}
	n.op.StatusCode, n.op.Status, n.op.Err, n.op.MayCancel = status, status.String(), text, false
	n.op.UpdatedAt, n.op.Metadata, n.stop = now, metadata, nil
	n.mu.Unlock()
	n.locals.changed(n)
}

// cancel asks the work to end, and reports whether it can.
func (n *local) cancel(now time.Time) bool {
	n.mu.Lock()
	stop := n.stop
	if stop != nil && !n.op.StatusCode.Final() {
		n.op.StatusCode, n.op.Status, n.op.UpdatedAt, n.op.MayCancel = api.Cancelling, api.Cancelling.String(), now, false
	}
	n.mu.Unlock()
	if stop == nil {
		return false
	}
	n.locals.changed(n)
	stop()
	return true
}
