package metrics

import (
	"sync"

	"github.com/openams/ams"
)

// maxOperations bounds how many operations under way have their names remembered.
// Beyond that, and where one began in an earlier life of the program, it ends as
// one of an unknown name.
const (
	maxOperations    = 10_000
	unknownOperation = "unknown"
)

// operations remembers what the operations under way are called: the event of the
// end of one does not tell.
type operations struct {
	mu    sync.Mutex
	names map[string]string // by id
}

func newOperations() *operations { return &operations{names: map[string]string{}} }

// event follows the events of operations. It returns the name of the one that has
// ended with this event.
func (o *operations) event(e ams.Event) (name string, ended bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch status := ams.OperationStatus(e.Action); {
	case e.Action == "created":
		if len(o.names) < maxOperations {
			o.names[e.ID] = e.Message
		}
		return "", false
	case !(&ams.Operation{Status: status}).Done():
		return "", false
	case status == ams.OperationSuccess && e.Message != "": // it was done at once
		return e.Message, true
	}
	name, known := o.names[e.ID]
	if !known {
		return unknownOperation, true
	}
	delete(o.names, e.ID)
	return name, true
}
