package ams

import (
	"context"
	"fmt"
	"time"
)

// OperationStatus says how far an operation is.
type OperationStatus string

// The operation statuses. The last three are final.
const (
	OperationRunning    OperationStatus = "running"
	OperationCancelling OperationStatus = "cancelling" // Cancel was asked; the work is being undone
	OperationSuccess    OperationStatus = "success"
	OperationFailure    OperationStatus = "failure"
	OperationCancelled  OperationStatus = "cancelled"
)

// Operation is the handle of work that goes on after a call has returned. It is
// a row like any other: it survives a restart, and so does waiting for it.
// An operation that has ended is kept for an hour.
type Operation struct {
	ID          string // a UUID; ids made later sort later
	Rev         int64
	Description string          // what is done: "launch instance", …
	Status      OperationStatus //
	Progress    string          // the step under way, for people
	MayCancel   bool            // whether Cancel is accepted now
	// Resources are the objects worked on: kind ("instance", "application",
	// "image") to ids.
	Resources map[string][]string
	Code      Code   // why it failed; empty unless Status is failure or cancelled
	Message   string // the text of the failure
	CreatedAt time.Time
	UpdatedAt time.Time
}

// Done reports whether the operation has ended.
func (o *Operation) Done() bool {
	switch o.Status {
	case OperationSuccess, OperationFailure, OperationCancelled:
		return true
	}
	return false
}

// Err returns nil for an operation that succeeded or goes on, and otherwise an
// *Error with the operation's code and message.
func (o *Operation) Err() error {
	if o.Status != OperationFailure && o.Status != OperationCancelled {
		return nil
	}
	return Errorf(o.Code, "%s", o.Message)
}

// OperationFilter chooses operations. Every field that is set must match.
type OperationFilter struct {
	Done        *bool     // ended, or not
	EndedBefore time.Time // ended, and last updated before this instant
}

// Operations is the service for operations.
type Operations struct{ m *Manager }

// Get returns the operation, or ErrNotFound.
func (s *Operations) Get(ctx context.Context, id string) (Operation, error) {
	var op Operation
	err := s.m.view(ctx, func(tx Tx) (err error) {
		op, err = tx.Operations().Get(id)
		return err
	})
	return op, wrapName(err, "operation", id)
}

// List returns the operations that match the filter, oldest first, cut to the
// page, and how many match in all.
func (s *Operations) List(ctx context.Context, filter OperationFilter, page Page) ([]Operation, int, error) {
	var list []Operation
	var total int
	err := s.m.view(ctx, func(tx Tx) (err error) {
		list, total, err = listPage(tx.Operations(), filter, page)
		return err
	})
	return list, total, err
}

// waitPoll is how often Wait reads the operation without being told to, for the
// case that another process ended it.
const waitPoll = 2 * time.Second

// Wait waits until the operation has ended and returns it, with its Err. When
// ctx ends first the operation goes on, and Wait returns what it has read last
// and ctx's error. Waiting for an ended operation returns at once, and works
// across restarts.
//
// Errors: the operation's own; ErrNotFound; those of ctx.
func (s *Operations) Wait(ctx context.Context, id string) (Operation, error) {
	ended := s.m.waiters.join(id)
	defer s.m.waiters.leave(id)
	for {
		op, err := s.Get(ctx, id)
		if err != nil {
			return op, err
		}
		if op.Done() {
			return op, op.Err()
		}
		poll := time.NewTimer(waitPoll)
		select {
		case <-ended:
			ended = nil
		case <-poll.C:
		case <-ctx.Done():
			poll.Stop()
			return op, context.Cause(ctx)
		}
		poll.Stop()
	}
}

// Cancel asks for the work of an operation to be undone: a launch is deleted, a
// start is stopped, a creation of a version or image is dropped. It returns when
// that is committed; the operation ends as cancelled, or as it would have if it
// was nearly done. Cancelling twice is not an error, also when it was cancelled by then.
//
// Errors: ErrNotFound; ErrState when it has ended otherwise, or cannot be cancelled.
func (s *Operations) Cancel(ctx context.Context, id string) error {
	return s.m.update(ctx, func(c *change) error {
		op, err := c.Operations().Get(id)
		if err != nil {
			return wrapName(err, "operation", id)
		}
		switch {
		case op.Status == OperationCancelling, op.Status == OperationCancelled:
			return nil
		case op.Done():
			return &Error{Code: ErrState, Kind: "operation", ID: id, Err: fmt.Errorf("has ended (status: %s)", op.Status)}
		case !op.MayCancel:
			return &Error{Code: ErrState, Kind: "operation", ID: id, Err: fmt.Errorf("%s cannot be cancelled", op.Description)}
		}
		op.Status, op.MayCancel, op.UpdatedAt = OperationCancelling, false, c.now
		c.events = append(c.events, Event{Time: c.now, Type: EventOperation, Kind: "operation", ID: id, Action: string(op.Status)})
		if err := c.Operations().Put(op); err != nil {
			return err
		}
		return c.cancel(&op)
	})
}

// cancel undoes what an operation is doing to its objects.
func (c *change) cancel(op *Operation) error {
	for _, id := range op.Resources["instance"] {
		in, err := c.Instances().Get(id)
		if err == nil && in.Operation == op.ID {
			err = c.cancelInstance(&in)
		}
		if ignoreNotFound(err) != nil {
			return err
		}
	}
	for _, id := range op.Resources["image"] {
		if err := c.cancelImage(id, op.ID); err != nil {
			return err
		}
	}
	for _, name := range op.Resources["node"] {
		if err := c.cancelNode(name, op.ID); err != nil {
			return err
		}
	}
	for _, id := range op.Resources["version"] {
		v, err := c.Versions().Get(id)
		if err != nil {
			return ignoreNotFound(err)
		}
		base, err := c.Instances().Get(v.BaseInstance)
		if err == nil && base.Operation == op.ID {
			err = c.cancelInstance(&base)
		}
		if ignoreNotFound(err) != nil {
			return err
		}
	}
	return nil
}
