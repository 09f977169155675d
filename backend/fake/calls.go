package fake

import (
	"slices"
	"time"
)

// The verbs, as Fail, Lose, Hang, Count and Calls name them.
const (
	VerbNodes             = "nodes"
	VerbCreate            = "create"
	VerbStart             = "start"
	VerbStop              = "stop"
	VerbDelete            = "delete"
	VerbGet               = "get"
	VerbList              = "list"
	VerbWatch             = "watch"
	VerbConfigure         = "configure"
	VerbFreeze            = "freeze"
	VerbUnfreeze          = "unfreeze"
	VerbCopy              = "copy"
	VerbFollowLog         = "follow-log"
	VerbAddNode           = "add-node"
	VerbRemoveNode        = "remove-node"
	VerbExec              = "exec"
	VerbLogs              = "logs"
	VerbOpenLog           = "open-log"
	VerbImportImage       = "import-image"
	VerbDeleteImage       = "delete-image"
	VerbListImages        = "list-images"
	VerbDeleteFingerprint = "delete-fingerprint"
	VerbPublish           = "publish"
	VerbOpenImage         = "open-image"
	VerbRun               = "run" // of the guest
)

// maxCalls is how many calls are remembered; the oldest are forgotten.
const maxCalls = 1 << 16

// Call is a call that was made.
type Call struct {
	Verb  string
	ID    string // of the instance, or the image's alias or fingerprint
	At    time.Time
	Ended bool
	Err   error // of a call that ended
}

// calls remembers the calls. Backend.mu guards it.
type calls struct {
	count map[string]int
	first int // the number of list[0]
	list  []Call
}

func (c *calls) add(verb, id string) (number int) {
	c.count[verb]++
	if len(c.list) >= 2*maxCalls {
		c.first += maxCalls
		c.list = slices.Clone(c.list[maxCalls:])
	}
	c.list = append(c.list, Call{Verb: verb, ID: id, At: time.Now()})
	return c.first + len(c.list) - 1
}

func (c *calls) end(number int, err error) {
	if i := number - c.first; i >= 0 {
		c.list[i].Ended, c.list[i].Err = true, err
	}
}

// Count returns how often a verb was called, also when it failed.
func (b *Backend) Count(verb string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.calls.count[verb]
}

// Calls returns the calls made so far, oldest first: the last 65,536 at least.
func (b *Backend) Calls() []Call {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.calls.list)
}
