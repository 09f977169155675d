package killtest

import (
	"fmt"
	"slices"
	"strings"

	"github.com/openams/ams"
)

// model is what the parent knows of the program's objects from its reports.
type model struct {
	rough bool // machines are lost meanwhile

	asks       map[int]ask
	operations map[string]*operation
	objects    map[string]*object
	events     eventLog
	unchecked  map[string]bool // operations that no state has shown as they ended
	last       *state
	faults     []string
	// For the summary.
	accepted, refused, succeeded, failed int
}

// operation is one whose request was answered.
type operation struct {
	asked   ask
	objects []string
	cancel  int // the accepted request to cancel it
	status  ams.OperationStatus
}

// object is an instance, application, version or image. What it must look like
// is known while the last request that may have changed it is known, it had no
// rival, and its operation has ended.
type object struct {
	kind    string
	parent  string       // a version's application
	pending map[int]bool // requests without an answer; whether they had no rival
	going   map[int]bool // requests that may have deleted it
	last    int          // the last request that was accepted, or is lost
	clean   bool         // it had no rival
	expect  string       // status, or "gone"; empty is unknown
	expects string       // of a version: "published" or "revoked"; empty is unknown
}

func newModel() *model {
	return &model{
		asks: map[int]ask{}, operations: map[string]*operation{}, objects: map[string]*object{},
		events: newEventLog(), unchecked: map[string]bool{},
	}
}

func (m *model) fault(format string, args ...any) {
	m.faults = append(m.faults, fmt.Sprintf(format, args...))
}

// take takes in one report.
func (m *model) take(r report) {
	switch {
	case r.Event != nil:
		m.events.take(m, *r.Event)
	case r.Ask != nil:
		m.asked(*r.Ask)
	case r.Answer != nil:
		m.answered(*r.Answer)
	case r.Ended != nil:
		m.ended(*r.Ended)
	case r.State != nil:
		m.last = r.State
		m.check(r.State)
	case r.Fault != "":
		m.fault("%s", r.Fault)
	}
}

func (m *model) asked(a ask) {
	m.asks[a.N] = a
	for _, id := range a.On {
		o := m.objects[id]
		if o == nil {
			continue // made by a request whose answer was lost
		}
		for n := range o.pending {
			o.pending[n] = false
		}
		o.pending[a.N] = len(o.pending) == 0
		if deletes(a.What, o.kind) {
			o.going[a.N] = true
		}
	}
}

// deletes reports whether a request may delete an object of that kind.
func deletes(what, kind string) bool {
	switch what {
	case deleteIt, deleteApp, deleteImage:
		return true
	case deleteVersion:
		return kind == "version"
	case cancel:
		return kind == "instance" || kind == "image"
	}
	return false
}

func (m *model) answered(a answer) {
	asked := m.asks[a.N]
	delete(m.asks, a.N)
	if a.Code != "" {
		m.refuse(asked, a)
		return
	}
	m.accepted++
	for _, id := range asked.On {
		if o := m.objects[id]; o != nil {
			o.accept(a.N, o.pending[a.N])
		}
	}
	switch asked.What {
	case cancel:
		if op := m.operations[asked.Operation]; op != nil {
			op.cancel = a.N
		}
	case publish, revoke:
		if o := m.objects[asked.On[0]]; o != nil && o.clean {
			o.expects = asked.What
		}
	}
	if a.Operation == nil {
		return
	}
	op := &operation{asked: asked}
	m.operations[a.Operation.ID] = op
	m.unchecked[a.Operation.ID] = true
	for kind, ids := range a.Operation.Resources {
		if kind == "application" && !strings.HasSuffix(asked.What, kind) {
			continue // it is not changed
		}
		for _, id := range ids {
			op.objects = append(op.objects, id)
			if makes(asked.What, kind) {
				m.object(kind, id, a.N)
			}
		}
	}
}

// makes reports whether a request makes an object of that kind.
func makes(what, kind string) bool {
	switch what {
	case launch:
		return kind == "instance"
	case create:
		return true
	case update:
		return kind == "version"
	case addImage:
		return kind == "image"
	}
	return false
}

// object begins to follow what a request has made.
func (m *model) object(kind, id string, n int) {
	o := &object{kind: kind, pending: map[int]bool{}, going: map[int]bool{}, last: n, clean: true}
	if kind == "version" {
		o.parent, _, _ = strings.Cut(id, "-")
	}
	m.objects[id] = o
}

func (o *object) accept(n int, clean bool) {
	delete(o.pending, n)
	o.last, o.clean, o.expect, o.expects = n, clean, "", ""
}

// refusals are the codes of an answer that says no for a good reason.
var refusals = []ams.Code{ams.ErrNotFound, ams.ErrState, ams.ErrConflict, ams.ErrInUse, ams.ErrNoCapacity}

func (m *model) refuse(asked ask, a answer) {
	m.refused++
	if !slices.Contains(refusals, a.Code) {
		m.fault("%s was refused as %q: %s", asked.What, a.Code, a.Text)
	}
	for _, id := range asked.On {
		if o := m.objects[id]; o != nil {
			delete(o.pending, a.N)
			delete(o.going, a.N)
		}
	}
}

// died notes that a life is over: requests that were not answered may have been
// committed or not.
func (m *model) died() {
	for n, a := range m.asks {
		for _, id := range a.On {
			if o := m.objects[id]; o != nil {
				o.accept(n, false)
			}
		}
	}
	clear(m.asks)
}

func (m *model) ended(row ams.Operation) {
	op := m.operations[row.ID]
	if op == nil {
		return // its request was not answered
	}
	if op.status != "" && op.status != row.Status {
		m.fault("operation %s (%s) ended as %s and then as %s", row.ID, row.Description, op.status, row.Status)
	}
	if op.status != "" {
		return
	}
	op.status = row.Status
	n := op.asked.N
	switch row.Status {
	case ams.OperationSuccess:
		m.succeeded++
	case ams.OperationCancelled:
		m.failed++
		n = op.cancel
	default:
		m.failed++
		if row.Code == ams.ErrCancelled {
			return // by another request, which tells
		}
		// The image can be deleted before the instance is made of it.
		made := slices.ContainsFunc(row.Resources["instance"], func(id string) bool { return m.events.ran[id] })
		if m.rough { // with the machine below it gone, a request may fail in any way, if it says so
			return
		}
		if op.asked.Copy && row.Code == ams.ErrState {
			return // what it copies was started before it came to that
		}
		if row.Code != ams.ErrFailed && (row.Code != ams.ErrNotFound || made) {
			m.fault("operation %s (%s) failed with %q: %s", row.ID, row.Description, row.Code, row.Message)
		}
	}
	for _, id := range op.objects {
		o := m.objects[id]
		if o != nil && o.last == n && o.clean && len(o.pending) == 0 {
			o.expect = outcome(op.asked, o.kind, row.Status)
			if len(o.going) > 0 && o.expect != "gone" {
				o.expect = "" // a request to delete it goes on
			}
			if o.kind == "version" && o.expect == string(ams.VersionActive) {
				o.expects = publish
			}
		}
	}
}

// outcome is what an object must be after an operation on it.
func outcome(a ask, kind string, status ams.OperationStatus) string {
	done, cancelled := status == ams.OperationSuccess, status == ams.OperationCancelled
	switch {
	case a.What == deleteVersion && kind == "application":
		return "" // that of its newest version
	case deletes(a.What, kind) && done:
		return "gone"
	case kind == "application" && done:
		return string(ams.ApplicationReady)
	case kind == "version" && done:
		return string(ams.VersionActive)
	case kind == "image" && done:
		return string(ams.ImageActive)
	case (a.What == launch || a.What == addImage) && cancelled:
		return "gone"
	case a.What == start && cancelled:
		return "" // stopped, or error if it could not even be made
	case !done:
		return string(ams.InstanceError) // as the others call it, too
	case a.What == stop, a.Copy && a.NoStart: // a copy has run before
		return string(ams.InstanceStopped)
	case a.NoStart:
		return string(ams.InstancePrepared)
	}
	return string(ams.InstanceRunning)
}
