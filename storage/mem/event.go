package mem

import (
	"slices"
	"sort"

	"github.com/openams/ams"
)

// eventList is the state of the event log. Copies share the array below; each
// reads no further than its own end, and only the one running Update writes
// behind the end of the last commit.
type eventList struct {
	kept   []ams.Event
	newest int64
}

// events is the event log in one transaction.
type events struct{ tx *tx }

// Append implements ams.EventLog.
func (l events) Append(e ams.Event) error {
	if err := l.tx.writable(); err != nil {
		return err
	}
	stored, err := canonical(l.tx.store.schemas.event, &e)
	if err != nil {
		return ams.Errorf(ams.ErrInternal, "event of %s %q cannot be stored: %w", e.Kind, e.ID, err)
	}
	log := &l.tx.state.events
	log.newest++
	stored.Seq = log.newest
	log.kept = append(log.kept, *stored)
	return nil
}

// Since implements ams.EventLog. A limit of 0 or less gives no events.
func (l events) Since(seq int64, limit int) ([]ams.Event, error) {
	if err := l.tx.readable(); err != nil {
		return nil, err
	}
	rest := l.tx.state.events.after(seq)
	return append([]ams.Event{}, rest[:min(max(limit, 0), len(rest))]...), nil
}

// Bounds implements ams.EventLog.
func (l events) Bounds() (oldest, newest int64, err error) {
	if err := l.tx.readable(); err != nil {
		return 0, 0, err
	}
	log := l.tx.state.events
	if len(log.kept) == 0 {
		return log.newest + 1, log.newest, nil
	}
	return log.kept[0].Seq, log.newest, nil
}

// Trim implements ams.EventLog.
func (l events) Trim(seq int64) error {
	if err := l.tx.writable(); err != nil {
		return err
	}
	// A copy, so that the memory of what is forgotten is freed.
	l.tx.state.events.kept = slices.Clone(l.tx.state.events.after(seq))
	return nil
}

// after returns the events with a number above seq.
func (l eventList) after(seq int64) []ams.Event {
	return l.kept[sort.Search(len(l.kept), func(i int) bool { return l.kept[i].Seq > seq }):]
}
