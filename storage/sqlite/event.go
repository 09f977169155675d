package sqlite

import (
	"database/sql/driver"
	"encoding/json"

	"github.com/openams/ams"
)

// events is the event log in one transaction.
type events struct{ tx *tx }

// Append implements ams.EventLog.
func (l events) Append(e ams.Event) error {
	if err := l.tx.writable(); err != nil {
		return err
	}
	e.Seq = 0 // the column has it
	data, err := json.Marshal(&e)
	if err != nil {
		return ams.Errorf(ams.ErrInternal, "event of %s %q cannot be stored: %w", e.Kind, e.ID, err)
	}
	_, err = l.tx.conn.exec("INSERT INTO events (data) VALUES (?)", string(data))
	return l.tx.noteFailure(err)
}

// Since implements ams.EventLog. A limit of 0 or less gives no events.
func (l events) Since(seq int64, limit int) ([]ams.Event, error) {
	if err := l.tx.readable(); err != nil {
		return nil, err
	}
	list := []ams.Event{}
	args := []driver.Value{seq, int64(max(limit, 0))}
	err := l.tx.query("SELECT seq, data FROM events WHERE seq > ? ORDER BY seq LIMIT ?", args, 2, func(values []driver.Value) error {
		var e ams.Event
		if err := json.Unmarshal([]byte(values[1].(string)), &e); err != nil {
			return ams.Errorf(ams.ErrCorrupt, "database %s: event %d: %w", l.tx.conn.file, values[0], err)
		}
		e.Seq = values[0].(int64)
		list = append(list, e)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return list, nil
}

// Bounds implements ams.EventLog.
func (l events) Bounds() (oldest, newest int64, err error) {
	if err := l.tx.readable(); err != nil {
		return 0, 0, err
	}
	err = l.tx.query("SELECT (SELECT min(seq) FROM events), (SELECT seq FROM sqlite_sequence WHERE name = 'events')", nil, 2, func(values []driver.Value) error {
		newest, _ = values[1].(int64) // NULL before the first event
		oldest = newest + 1
		if first, ok := values[0].(int64); ok {
			oldest = first
		}
		return nil
	})
	return oldest, newest, err
}

// Trim implements ams.EventLog.
func (l events) Trim(seq int64) error {
	if err := l.tx.writable(); err != nil {
		return err
	}
	_, err := l.tx.conn.exec("DELETE FROM events WHERE seq <= ?", seq)
	return l.tx.noteFailure(err)
}
