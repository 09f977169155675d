package ams

import (
	"context"
	"iter"
	"time"
)

// EventType is the family of an event.
type EventType string

// The event types.
const (
	EventLifecycle EventType = "lifecycle" // an object was made, changed state, or went
	EventOperation EventType = "operation" // an operation began, moved on, or ended
)

// Event tells of one committed change. Events are facts of the past; the row is
// the truth.
type Event struct {
	Seq     int64     // position in the log; assigned by the store
	Time    time.Time // UTC, whole milliseconds
	Type    EventType
	Kind    string // "application", "version", "image", "instance", "node", "operation", "setting", "identity", "group", "token", …
	ID      string // the object's id
	Action  string // "created", "deleted", "updated", or the new status
	Message string // a text for people; may be empty
}

// eventBatch is how many events are read at a time.
const eventBatch = 200

// Events yields all events after the given sequence number, the newest one last,
// and then waits for more, until the loop is left or ctx ends. Since 0 begins at
// the oldest event kept; Newest tells where now is. Nothing is dropped: a slow
// reader lags. Reading on after a break from the last Seq seen misses nothing.
//
// An error is the last thing yielded: ErrGone when events after since are no
// longer kept (see Config.KeepEvents); the store's; never that of ctx.
func (m *Manager) Events(ctx context.Context, since int64) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		for ctx.Err() == nil {
			more := m.signal.wait()
			var batch []Event
			err := m.view(ctx, func(tx Tx) error {
				oldest, newest, err := tx.Events().Bounds()
				if err != nil {
					return err
				}
				if since > 0 && since < oldest-1 || since > newest {
					return Errorf(ErrGone, "events after %d are not here: kept are %d to %d", since, oldest, newest)
				}
				batch, err = tx.Events().Since(since, eventBatch)
				return err
			})
			if err != nil {
				if ctx.Err() == nil {
					yield(Event{}, err)
				}
				return
			}
			for _, e := range batch {
				if !yield(e, nil) {
					return
				}
				since = e.Seq
			}
			if len(batch) > 0 {
				continue
			}
			poll := time.NewTimer(waitPoll)
			select {
			case <-more:
			case <-poll.C:
			case <-ctx.Done():
			}
			poll.Stop()
		}
	}
}

// Newest returns the sequence number of the newest event, 0 if there was none.
func (m *Manager) Newest(ctx context.Context) (int64, error) {
	var newest int64
	err := m.view(ctx, func(tx Tx) (err error) {
		_, newest, err = tx.Events().Bounds()
		return err
	})
	return newest, err
}

// newest returns when the newest event was, zero if there was none.
func (m *Manager) newest(ctx context.Context) (time.Time, error) {
	var at time.Time
	err := m.view(ctx, func(tx Tx) error {
		_, newest, err := tx.Events().Bounds()
		if err != nil || newest == 0 {
			return err
		}
		last, err := tx.Events().Since(newest-1, 1)
		at = first(last).Time
		return err
	})
	return at, err
}
