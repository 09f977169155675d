// Package fake is a cluster in memory: a Backend with every ability, and a Guest
// that pretends to run inside its instances.
//
// It is for the tests of the Manager and of hosts. Nodes, the time each step
// takes, faults, lost replies, hangs, lost nodes and interference from outside
// are at the test's command. All waiting goes through package time and ends with
// the caller's context, so it runs in a testing/synctest bubble; it starts no
// goroutines that outlive a call, unless they sit in a read of the caller's.
package fake

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/openams/ams"
)

var (
	_ ams.Backend       = (*Backend)(nil)
	_ ams.Watcher       = (*Backend)(nil)
	_ ams.Execer        = (*Backend)(nil)
	_ ams.LogReader     = (*Backend)(nil)
	_ ams.ImageKeeper   = (*Backend)(nil)
	_ ams.Publisher     = (*Backend)(nil)
	_ ams.ImageExporter = (*Backend)(nil)
	_ ams.Guest         = (*Backend)(nil)
)

// Options sets up a fake cluster. The zero value is one node and no delays.
type Options struct {
	// Nodes are the machines. Without any there are NodeCount of them, named
	// "node0", "node1", …, each with 64 CPUs, 256 GB of memory and 4 TB of disk.
	Nodes     []ams.NodeInfo
	NodeCount int // default 1

	CreateTime  time.Duration // of Create
	StartTime   time.Duration // of Start
	StopTime    time.Duration // of Stop, when the instance obeys
	FreezeTime  time.Duration // of Freeze and Unfreeze
	JoinTime    time.Duration // of AddNode
	DeleteTime  time.Duration // of Delete
	PublishTime time.Duration // of Publish
	ImportTime  time.Duration // of ImportImage, after the image was read
	ExecTime    time.Duration // of each Exec, before its command runs
	BootTime    time.Duration // of the guest's bootstrap, start and standby phases
	ClaimTime   time.Duration // of the guest's claim phase
	HookTime    time.Duration // of the guest's stop phase

	// File, when set, holds the cluster's state: each change is appended with one
	// write, and Open replays it. The cluster so survives the death of the process,
	// as a real one does. Work that was under way then counts as done. One process
	// at a time may use the file.
	File string
}

// Backend is a cluster in memory. It is safe for concurrent use.
type Backend struct {
	opts Options

	mu        sync.Mutex
	nodes     []ams.NodeInfo
	instances map[string]*instance            // by name; see hold and drop
	onNode    map[string]map[string]*instance // the same, by node
	images    map[string]*image               // by fingerprint
	aliases   map[string]*alias               // by name
	locks     map[string]*lock
	faults    map[string]*fault
	guest     []*GuestFault
	watchers  map[*watcher]bool
	epoch     chan struct{} // closed by Restart
	onExec    ExecFunc
	calls     calls
	addresses uint32 // how many were given out
	publishes int    // how many there were; makes their fingerprints differ
	journal   *os.File
	broken    error // why the journal can no longer be written
}

// New returns a fake cluster. It is Open for tests: it panics where Open fails,
// which without a File is never.
func New(opts Options) *Backend {
	b, err := Open(opts)
	if err != nil {
		panic(err)
	}
	return b
}

// Open returns a fake cluster, with the state that is in opts.File if there is
// one. The caller closes it.
func Open(opts Options) (*Backend, error) {
	b := &Backend{
		opts:      opts,
		instances: map[string]*instance{},
		onNode:    map[string]map[string]*instance{},
		images:    map[string]*image{},
		aliases:   map[string]*alias{},
		locks:     map[string]*lock{},
		faults:    map[string]*fault{},
		watchers:  map[*watcher]bool{},
		epoch:     make(chan struct{}),
	}
	b.calls.count = map[string]int{}
	b.nodes = append(b.nodes, opts.Nodes...)
	if len(b.nodes) == 0 {
		for i := range cmp.Or(opts.NodeCount, 1) {
			b.nodes = append(b.nodes, defaultNode(i))
		}
	}
	if opts.File != "" {
		if err := b.openJournal(opts.File); err != nil {
			return nil, fmt.Errorf("fake cluster %s: %w", opts.File, err)
		}
	}
	return b, nil
}

// Close closes the state file, if there is one. Later changes fail.
func (b *Backend) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.journal == nil {
		return nil
	}
	err := b.journal.Close()
	b.journal, b.broken = nil, ams.Errorf(ams.ErrUnavailable, "fake cluster is closed")
	return err
}

// call is what every verb goes through: it counts and records the call, applies
// the faults asked for and runs work.
func (b *Backend) call(ctx context.Context, verb, id string, work func() error) (err error) {
	if err := ctx.Err(); err != nil {
		return err
	}
	b.mu.Lock()
	f := b.takeFault(verb)
	n := b.calls.add(verb, id)
	epoch := b.epoch
	b.mu.Unlock()
	defer func() {
		b.mu.Lock()
		b.calls.end(n, err)
		b.mu.Unlock()
	}()
	if f.hang != nil {
		if err := await(ctx, epoch, f.hang); err != nil {
			return err
		}
	}
	if f.err != nil {
		return f.err
	}
	err = work()
	if err == nil && f.lost {
		err = ams.Errorf(ams.ErrUnavailable, "%s: the reply was lost", verb)
	}
	return err
}

// await waits for done, the end of ctx or a restart.
func await(ctx context.Context, epoch, done <-chan struct{}) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-epoch:
		return errRestarted()
	case <-done:
		return nil
	}
}

// sleep waits for d, the end of ctx or a restart after epoch was taken.
func sleep(ctx context.Context, epoch <-chan struct{}, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-epoch:
		return errRestarted()
	case <-t.C:
		return nil
	}
}

func errRestarted() error { return ams.Errorf(ams.ErrUnavailable, "the cluster was restarted") }

// lock serialises the work on one instance or alias; waiting for it ends with
// the context.
type lock struct {
	held  chan struct{} // holds one token while the lock is held
	users int
}

// lock takes the lock of key and returns how to give it back.
func (b *Backend) lock(ctx context.Context, key string) (unlock func(), err error) {
	b.mu.Lock()
	l := b.locks[key]
	if l == nil {
		l = &lock{held: make(chan struct{}, 1)}
		b.locks[key] = l
	}
	l.users++
	b.mu.Unlock()
	leave := func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if l.users--; l.users == 0 {
			delete(b.locks, key)
		}
	}
	select {
	case l.held <- struct{}{}:
		return func() { <-l.held; leave() }, nil
	case <-ctx.Done():
		leave()
		return nil, ctx.Err()
	}
}
