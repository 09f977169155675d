package killtest

import (
	"maps"
	"slices"
	"strings"

	"github.com/openams/ams"
)

// row is what is compared of any row.
type row struct {
	kind, status string
	published    string // of a version
}

func (s *state) rows() map[string]row {
	rows := map[string]row{}
	for i := range s.Instances {
		rows[s.Instances[i].ID] = row{kind: "instance", status: string(s.Instances[i].Status)}
	}
	for _, a := range s.Applications {
		rows[a.ID] = row{kind: "application", status: string(a.Status)}
	}
	for _, v := range s.Versions {
		r := row{kind: "version", status: string(v.Status), published: revoke}
		if v.Published {
			r.published = publish
		}
		rows[v.ID] = r
	}
	for _, i := range s.Images {
		rows[i.ID] = row{kind: "image", status: string(i.Status)}
	}
	return rows
}

// check compares all that is known with what a new life has found.
func (m *model) check(s *state) {
	if s.Newest != m.events.newest {
		m.fault("the newest event is %d, but %d was seen", s.Newest, m.events.newest)
	}
	m.checkOperations(s)
	rows := s.rows()
	for _, id := range slices.Sorted(maps.Keys(m.objects)) {
		o := m.objects[id]
		r, ok := rows[id]
		parent := m.objects[o.parent]
		orphaned := o.kind == "version" && (parent == nil || len(parent.going) > 0)
		switch {
		case !ok && len(o.going) == 0 && !orphaned:
			m.fault("%s %s was committed and is lost", o.kind, id)
		case len(o.pending) > 0 || o.expect == "" || orphaned:
		case o.expect == "gone" && ok:
			m.fault("%s %s was deleted and is there again, as %s", o.kind, id, r.status)
		case o.expect != "gone" && r.status != o.expect:
			m.fault("%s %s was %s when its operation ended, and is %q now", o.kind, id, o.expect, r.status)
		}
		if ok && o.expects != "" && len(o.pending) == 0 && !orphaned && r.published != o.expects {
			m.fault("version %s: the last request was to %s it, and it is not", id, o.expects)
		}
		if !ok && (o.expect == "gone" || len(o.going) > 0 || orphaned) {
			o.expect, o.expects = "gone", "" // and so it must stay
		}
	}
	m.events.check(m, rows)
}

// checkOperations looks for every operation that was answered and not seen to
// have ended, and for each that has ended since the last time.
func (m *model) checkOperations(s *state) {
	rows := map[string]ams.Operation{}
	for _, op := range s.Operations {
		rows[op.ID] = op
	}
	for id := range m.unchecked {
		op, row := m.operations[id], rows[id]
		switch {
		case row.ID == "":
			m.fault("operation %s (%s) was committed and is lost", id, op.asked.What)
		case op.status != "" && row.Status != op.status:
			m.fault("operation %s (%s) ended as %s and is %s now", id, op.asked.What, op.status, row.Status)
		case row.Done():
			m.ended(row)
			delete(m.unchecked, id)
		}
		if last := m.events.operations[id]; row.ID != "" && last != eventOf(row.Status) {
			m.fault("operation %s (%s) is %s, its last event is %q", id, op.asked.What, row.Status, last)
		}
	}
}

func eventOf(s ams.OperationStatus) string {
	if s == ams.OperationRunning {
		return "created"
	}
	return string(s)
}

// moves are the ways from each status of an instance to others: what the events
// must obey. It is written down here a second time on purpose.
var moves = map[string]string{
	"":         "created",
	"created":  "prepared error deleted",
	"prepared": "started running stopped error deleted",
	"started":  "running stopped error deleted",
	"running":  "started stopped error deleted",
	"stopped":  "started running error deleted",
	"error":    "started stopped deleted",
	"deleted":  "",
}

// eventLog is the events so far, in order.
type eventLog struct {
	newest     int64
	statuses   map[string]string // of instances
	operations map[string]string // the last action but progress
	exists     map[string]string // kind, of all that was made and is not gone
	ran        map[string]bool   // instances that were started
}

func newEventLog() eventLog {
	return eventLog{statuses: map[string]string{}, operations: map[string]string{}, exists: map[string]string{}, ran: map[string]bool{}}
}

func (l *eventLog) take(m *model, e ams.Event) {
	if e.Seq != l.newest+1 {
		m.fault("event %d follows event %d", e.Seq, l.newest)
	}
	l.newest = e.Seq
	switch e.Kind {
	case "operation":
		if e.Action == "progress" {
			return
		}
		switch last := ams.OperationStatus(l.operations[e.ID]); last {
		case ams.OperationSuccess, ams.OperationFailure, ams.OperationCancelled:
			m.fault("event %d: operation %s had ended as %s, and now is %s", e.Seq, e.ID, last, e.Action)
		}
		l.operations[e.ID] = e.Action
	case "instance":
		was := l.statuses[e.ID]
		if !slices.Contains(strings.Fields(moves[was]), e.Action) {
			m.fault("event %d: instance %s went from %q to %q", e.Seq, e.ID, was, e.Action)
		}
		l.statuses[e.ID] = e.Action
		l.exists[e.ID] = e.Kind
		l.ran[e.ID] = l.ran[e.ID] || e.Action == string(ams.InstanceStarted)
		if e.Action == "deleted" {
			delete(l.exists, e.ID)
		}
	case "application", "version", "image":
		l.exists[e.ID] = e.Kind
		if e.Action == "gone" {
			delete(l.exists, e.ID)
		}
	}
}

// check compares the rows with what the events have told.
func (l *eventLog) check(m *model, rows map[string]row) {
	for id, r := range rows {
		if l.exists[id] != r.kind {
			m.fault("%s %s is there, by the events it is not", r.kind, id)
		}
		if r.kind == "instance" && l.statuses[id] != r.status {
			m.fault("instance %s is %s, its last event is %q", id, r.status, l.statuses[id])
		}
	}
	for id, kind := range l.exists {
		if _, ok := rows[id]; !ok {
			m.fault("%s %s is not there, by the events it is", kind, id)
		}
	}
}
