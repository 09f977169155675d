package killtest

import (
	"encoding/json"
	"os"
	"sync"

	"github.com/openams/ams"
)

// orders are what a life is told, as JSON on its standard input.
type orders struct {
	Backend string // "fake" or "lxd"
	Dir     string // where store and fake cluster are
	Socket  string // of LXD
	Image   string // file of the image to add; empty is a few bytes for the fake
	Seed    int64
	Life    int
	Workers int // callers under load; 0 is the last life, which only comes to rest
	Most    int // instances that the load goes up to
	// What the parent knows already: the newest event, and the operations whose
	// state it wants to be told.
	Since      int64
	Operations []string
}

// report is one line that a life writes for its parent. One field is set.
type report struct {
	State  *state
	Event  *ams.Event
	Ask    *ask
	Answer *answer
	Ended  *ams.Operation
	Fault  string
	Rest   bool // everything has come to rest, and a State and the Events follow
}

// state is all rows, read in one transaction. Operations are those that run and
// those that were ordered.
type state struct {
	Newest       int64 // event
	Instances    []ams.Instance
	Applications []ams.Application
	Versions     []ams.Version
	Images       []ams.Image
	Operations   []ams.Operation
}

// What can be asked for. Those that make an operation are named by its
// description.
const (
	launch        = "launch instance"
	start         = "start instance"
	stop          = "stop instance"
	restart       = "restart instance"
	deleteIt      = "delete instance"
	create        = "create application"
	update        = "update application"
	deleteApp     = "delete application"
	deleteVersion = "delete application version"
	addImage      = "add image"
	deleteImage   = "delete image"
	cancel        = "cancel"
	publish       = "publish"
	revoke        = "revoke"
)

// ask is written before a request is made.
type ask struct {
	N         int
	What      string
	On        []string // ids of what it may change, but for what it makes
	Operation string   // to cancel
	NoStart   bool
	Copy      bool // it launches a copy of an instance
}

// answer is written when a request was answered.
type answer struct {
	N         int
	Operation *ams.Operation // the request is committed; nil if it makes none
	Code      ams.Code       // empty if it was accepted
	Text      string
}

// wire writes reports, each with one write.
type wire struct {
	mu   sync.Mutex
	file *os.File
}

func (w *wire) send(r report) {
	line, err := json.Marshal(r)
	if err != nil {
		panic(err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, err := w.file.Write(append(line, '\n')); err != nil {
		os.Exit(3) // the parent is gone
	}
}
