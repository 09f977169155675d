package ams

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// change is one Update under way: the transaction, the instant that stamps it,
// and what is to be done once it is committed.
type change struct {
	Tx
	now    time.Time
	events []Event
	wake   []wake     // keys to look at
	stop   []string   // keys whose run is to be broken off
	ended  []string   // operations
	fresh  []fresh    // instances that need not be looked at
	boots  []BootInfo // for the observer
	placer *Placer    // of the Manager
	nodes  []string   // that were changed, and that the placer knows as they will be
	rows   []Instance // as they were stored
	gone   []string   // instances whose rows were deleted

	trusted bool // who is known, or who may do what, is another now
}

// fresh is an instance whose power is known without asking the backend, while its
// row has this revision.
type fresh struct {
	id    string
	rev   int64
	power Power
}

// update commits what fn does, stamps it, and then wakes whoever waits for it.
func (m *Manager) update(ctx context.Context, fn func(*change) error) error {
	var c *change
	var touched []string // by all runs of the closure
	err := m.store.Update(ctx, func(tx Tx) error {
		if c != nil {
			touched = append(touched, c.nodes...)
		}
		c = &change{Tx: tx, now: m.now(), placer: m.placer}
		if err := fn(c); err != nil {
			return err
		}
		log := tx.Events()
		for _, e := range c.events {
			if err := log.Append(e); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		if CodeOf(err) == ErrUnavailable || CodeOf(err) == ErrInternal || isContext(err) {
			m.briefs.doubt() // it may have been committed all the same
		}
		if c != nil {
			m.forgetNodes(append(touched, c.nodes...))
			m.trust.changed(c) // likewise
		}
		return err
	}
	m.committed(c)
	return nil
}

// view runs fn on a consistent state.
func (m *Manager) view(ctx context.Context, fn func(Tx) error) error {
	return m.store.View(ctx, fn)
}

// now is the one clock of the Manager: UTC, whole milliseconds.
func (m *Manager) now() time.Time { return time.Now().UTC().Truncate(time.Millisecond) }

func (m *Manager) committed(c *change) {
	m.briefs.committed(c.rows, c.gone)
	m.trust.changed(c)
	if len(c.events) > 0 {
		m.signal.broadcast()
	}
	if m.observer.Committed != nil {
		for _, e := range c.events {
			m.observer.Committed(e)
		}
	}
	for _, b := range c.boots {
		m.observer.Booted(b)
	}
	for _, f := range c.fresh {
		m.engine.fresh.Store(f.id, f)
	}
	for _, id := range c.ended {
		m.waiters.end(id)
	}
	for _, key := range c.stop { // before it is woken: the run that follows is a new one
		m.engine.queue.Interrupt(key)
	}
	for _, w := range c.wake {
		m.engine.queue.AddAfter(w.key, w.lane, w.after)
	}
}

func (c *change) lifecycle(kind, id, action, message string) {
	c.events = append(c.events, Event{Time: c.now, Type: EventLifecycle, Kind: kind, ID: id, Action: action, Message: message})
}

// newOperation begins an operation on the objects and returns its id.
func (c *change) newOperation(id, description string, mayCancel bool, resources map[string][]string) error {
	op := Operation{
		ID: id, Description: description, Status: OperationRunning, MayCancel: mayCancel,
		Resources: resources, CreatedAt: c.now, UpdatedAt: c.now,
	}
	c.events = append(c.events, Event{Time: c.now, Type: EventOperation, Kind: "operation", ID: id, Action: "created", Message: description})
	return c.Operations().Put(op)
}

// doneOperation is the operation of a request that is done already.
func (c *change) doneOperation(id, description string, resources map[string][]string) error {
	op := Operation{
		ID: id, Description: description, Status: OperationSuccess,
		Resources: resources, CreatedAt: c.now, UpdatedAt: c.now,
	}
	c.events = append(c.events, Event{Time: c.now, Type: EventOperation, Kind: "operation", ID: id, Action: string(op.Status), Message: description})
	return c.Operations().Put(op)
}

// finish ends an operation: with success for a nil error. One that is being
// cancelled ends as cancelled, one that has ended stays as it is, and no id is
// no operation.
func (c *change) finish(id string, err error) error {
	if id == "" {
		return nil
	}
	op, gerr := c.Operations().Get(id)
	if gerr != nil || op.Done() {
		return ignoreNotFound(gerr)
	}
	switch {
	case op.Status == OperationCancelling:
		op.Status, op.Code, op.Message = OperationCancelled, ErrCancelled, "cancelled"
	case err == nil:
		op.Status = OperationSuccess
	default:
		op.Status, op.Code, op.Message = OperationFailure, CodeOf(err), err.Error()
	}
	op.MayCancel, op.UpdatedAt = false, c.now
	c.events = append(c.events, Event{Time: c.now, Type: EventOperation, Kind: "operation", ID: id, Action: string(op.Status), Message: op.Message})
	c.ended = append(c.ended, id)
	return c.Operations().Put(op)
}

// booted has the observer told that an instance runs as an operation wanted it to.
// It comes before the operation is finished.
func (c *change) booted(m *Manager, in *Instance) error {
	if m.observer.Booted == nil || in.Operation == "" {
		return nil
	}
	op, err := c.Operations().Get(in.Operation)
	if err != nil || op.Done() {
		return ignoreNotFound(err)
	}
	c.boots = append(c.boots, BootInfo{
		Instance: in.ID, Request: op.Description,
		Prewarmed: in.Attempt == in.ID && op.Description == launching, // standby gives it that mark
		Took:      max(0, c.now.Sub(op.CreatedAt)),                    // the clock may have been set back
	})
	return nil
}

// seal takes it back that an operation can be cancelled: its work is done, and
// what is left is tidying up.
func (c *change) seal(id string) error {
	op, err := c.Operations().Get(id)
	if err != nil || op.Done() {
		return ignoreNotFound(err)
	}
	op.MayCancel, op.UpdatedAt = false, c.now
	return c.Operations().Put(op)
}

// progress notes the step an operation is at.
func (c *change) progress(id, text string) error {
	if id == "" {
		return nil
	}
	op, err := c.Operations().Get(id)
	if err != nil || op.Done() || op.Progress == text {
		return ignoreNotFound(err)
	}
	op.Progress, op.UpdatedAt = text, c.now
	c.events = append(c.events, Event{Time: c.now, Type: EventOperation, Kind: "operation", ID: id, Action: "progress", Message: text})
	return c.Operations().Put(op)
}

// instanceMoves is the transition table: from each status, where it may go. The
// empty status is that of an instance that does not exist yet.
var instanceMoves = map[InstanceStatus][]InstanceStatus{
	"":               {InstanceCreated},
	InstanceCreated:  {InstancePrepared, InstanceError, InstanceDeleted},
	InstancePrepared: {InstanceStarted, InstanceRunning, InstanceStopped, InstanceError, InstanceUnknown, InstanceDeleted},
	InstanceStarted:  {InstanceRunning, InstanceStopped, InstanceError, InstanceUnknown, InstanceDeleted},
	InstanceRunning:  {InstanceStarted, InstanceStopped, InstanceError, InstanceUnknown, InstanceDeleted},
	InstanceStopped:  {InstanceStarted, InstanceRunning, InstanceError, InstanceUnknown, InstanceDeleted},
	InstanceError:    {InstanceStarted, InstanceStopped, InstanceUnknown, InstanceDeleted},
	InstanceUnknown:  {InstancePrepared, InstanceStarted, InstanceRunning, InstanceStopped, InstanceError, InstanceDeleted},
}

// move gives the instance a status: the only place that does. Every move is an
// event; staying is none.
func (c *change) move(in *Instance, to InstanceStatus) error {
	if in.Status == to {
		return nil
	}
	if !slices.Contains(instanceMoves[in.Status], to) {
		return &Error{Code: ErrInternal, Kind: "instance", ID: in.ID, Err: fmt.Errorf("no way from status %q to %q", in.Status, to)}
	}
	in.Status = to
	if !in.Standby {
		c.lifecycle("instance", in.ID, string(to), in.ErrorMessage)
	}
	return nil
}

// putInstance stores the instance and has it looked at if it is not at rest.
func (c *change) putInstance(in Instance) error {
	in.UpdatedAt = c.now
	if !in.Resting {
		c.wake = append(c.wake, wakeInstance(&in))
	}
	return c.storeInstance(in)
}

func ignoreNotFound(err error) error {
	if CodeOf(err) == ErrNotFound {
		return nil
	}
	return err
}

func ignoreExists(err error) error {
	if CodeOf(err) == ErrExists {
		return nil
	}
	return err
}
