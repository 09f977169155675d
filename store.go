package ams

import "context"

// Store keeps everything a Manager must remember. Two come with this module:
// storage/sqlite, durable, and storage/mem, for tests. A Store is used by one
// Manager at a time and must be safe for concurrent use by it. Whoever opened
// the Store closes it, after Run has returned.
//
// A Store never reads a clock and never makes an id: values come in. It knows
// nothing of the rules of the domain beyond uniqueness.
type Store interface {
	// View runs fn in a transaction that sees one consistent state. Writes in fn
	// fail. The Tx is valid only inside fn.
	View(ctx context.Context, fn func(Tx) error) error
	// Update runs fn in a read-write transaction and returns nil only after the
	// change is as durable as the Store promises. When fn returns an error
	// nothing is changed and that error is returned as it is.
	//
	// fn may run more than once before Update returns, and the effects of all
	// runs but the last are undone: it must derive what it writes from what it
	// reads, and must not add up anything outside itself.
	//
	// Errors: ErrNoSpace, ErrCorrupt, ErrUnavailable (closed), ErrInternal.
	Update(ctx context.Context, fn func(Tx) error) error
}

// Tx is one transaction: a table for each noun, and the event log.
type Tx interface {
	Applications() Table[Application, ApplicationFilter]
	Versions() Table[Version, VersionFilter]
	Addons() Table[Addon, AddonFilter]
	Images() Table[Image, ImageFilter]
	Instances() Table[Instance, InstanceFilter]
	Nodes() Table[Node, NodeFilter]
	Operations() Table[Operation, OperationFilter]
	Settings() Table[Setting, SettingFilter]
	Identities() Table[Identity, IdentityFilter]
	Groups() Table[Group, GroupFilter]
	JoinTokens() Table[JoinToken, JoinTokenFilter]
	Events() EventLog
}

// Table is the rows of one noun. Rows go in and come out as values: what a
// caller does to a row it got or gave changes nothing in the store.
type Table[Row, Filter any] interface {
	// Get returns the row with the given id, or ErrNotFound.
	Get(id string) (Row, error)
	// List returns the rows that match every field set in the filter, ordered by
	// id, cut to the page. No match is an empty list.
	List(filter Filter, page Page) ([]Row, error)
	// Count returns how many rows match the filter.
	Count(filter Filter) (int, error)
	// Put stores the row. A row whose Rev is 0 is new: ErrExists if its id, or a
	// name that must be unique, is taken. Any other Rev must be the stored one,
	// else ErrConflict (ErrNotFound if the row is gone). The stored Rev is one
	// higher than the one given; the argument is not changed, so a second Put of
	// the same row needs a Get before it.
	Put(row Row) error
	// Delete removes the row, whatever its Rev; ErrNotFound if there is none.
	Delete(id string) error
}

// Page cuts a list. The zero Page is the whole list.
type Page struct {
	Offset int // how many rows to leave out at the front; a negative one counts as 0
	Limit  int // how many rows at the most; 0 or less is no limit
}

// EventLog is the outbox: events are committed with the change that caused them.
type EventLog interface {
	// Append adds the event under the next sequence number and ignores e.Seq.
	// Numbers start at 1, rise in commit order and are never used twice, also
	// after Trim.
	Append(e Event) error
	// Since returns the events with a number above seq, in order, limit at most.
	Since(seq int64, limit int) ([]Event, error)
	// Bounds returns the number of the oldest event kept, and of the newest one
	// ever appended; oldest is newest+1 when none is kept, and both rules hold
	// for an empty log with newest 0.
	Bounds() (oldest, newest int64, err error)
	// Trim forgets all events with a number of seq or below.
	Trim(seq int64) error
}
