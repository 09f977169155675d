package ams

import "time"

// Observer is told what happens, for metrics and traces. Any field may be nil.
// The functions are called after the fact, from the goroutine that did it: they
// must be quick, must not block, and must not call the Manager.
type Observer struct {
	// Committed is called for each event after its commit. Seq is not set in it;
	// events of one commit come in order, those of concurrent commits may not.
	Committed func(Event)
	// Called is called after each call of the backend or the guest.
	Called func(CallInfo)
	// Compared is called after each comparison of the store with the backend.
	Compared func(CompareInfo)
	// Booted is called after the commit that made an instance running which a
	// launch, a start or a restart had asked for.
	Booted func(BootInfo)
}

// CallInfo tells of one call of the backend or the guest.
type CallInfo struct {
	Verb     string // "create", "start", "start phase", …
	Instance string // its id; empty for calls about nodes and images
	Node     string
	Took     time.Duration
	Err      error
}

// CompareInfo tells of one comparison.
type CompareInfo struct {
	Seen     int // instances the backend showed with our mark
	Differ   int // rows that were looked at again
	Orphans  int // instances and images with our mark that the store does not know
	Deleted  int // orphans deleted
	HeldBack int // orphans and vanished rows left alone for want of an operator's word
	Took     time.Duration
}

// BootInfo tells of an instance that runs as it was asked to.
type BootInfo struct {
	Instance  string        // its id
	Request   string        // "launch instance", "start instance" or "restart instance"
	Prewarmed bool          // the launch has claimed one that stood by
	Took      time.Duration // from the request to running, also across a restart of the program
}
