package ams

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/openams/ams/internal/xid"
)

// Config says what a Manager works with. Store and Backend are required; the
// zero value of every other field is its default.
type Config struct {
	// Store remembers everything. The Manager does not close it.
	Store Store
	// Backend runs the instances. The Manager does not close it.
	Backend Backend
	// Guest speaks to the software inside the instances. Defaults to the Backend
	// if that is a Guest, as backend/fake is. With backend/lxd use guest/android.
	Guest Guest
	// ImageServer reads the image server of the setting images.url. Without it
	// there are only the images that were added as files; see package
	// simplestreams.
	ImageServer ImageServer
	// Release is the release of AMS that images must be made for, where the
	// setting images.version_lockstep is on: "major.minor". Default DefaultRelease.
	Release string
	// Scheduler chooses among the nodes that have room. Nil is the setting
	// scheduler.strategy.
	Scheduler Scheduler
	// Blobs keeps packages, images on their way in, and logs. Defaults to what
	// the Store's method Blobs() BlobStore returns.
	Blobs BlobStore

	// Logger gets what no caller is told. Defaults to slog.Default().
	Logger *slog.Logger
	// Observer is told what happens.
	Observer Observer

	// BootTimeout bounds a launch or start, placement to running. Default 15
	// minutes.
	BootTimeout time.Duration
	// BootstrapTimeout bounds the build of a version, from the placement of its
	// base instance on. Default 15 minutes, also the most.
	BootstrapTimeout time.Duration
	// StopTimeout bounds the graceful part of a stop: the guest's stop phase, and
	// again the shutdown. After it comes force. Default 1 minute.
	StopTimeout time.Duration
	// CallTimeout bounds each call of the backend that is not bounded otherwise.
	// Default 2 minutes.
	CallTimeout time.Duration
	// CompareInterval is how often the store is compared with the backend, beside
	// the backend's own events. Default 30 seconds.
	CompareInterval time.Duration
	// OrphanAge is how old a thing with our mark that the store does not know
	// must be before it is deleted. Default 10 minutes.
	OrphanAge time.Duration
	// BlobAge is how long a blob that nothing refers to is kept. Default 1 hour.
	BlobAge time.Duration
	// KeepOperations is how long an ended operation is kept. Default 1 hour.
	KeepOperations time.Duration
	// KeepEvents is how many events are kept, at least. Default 100,000.
	KeepEvents int64
	// DrainTimeout is how long Run lets calls under way end after its context
	// has; then they are cancelled. Default 30 seconds.
	DrainTimeout time.Duration
	// MaxPackage bounds an application package, packed and unpacked, and
	// MaxImage an image file. Defaults 10GB and 64GB.
	MaxPackage Size
	MaxImage   Size
}

// withDefaults returns a copy with every field set.
func (c Config) withDefaults() (Config, error) {
	switch {
	case c.Store == nil:
		return c, Errorf(ErrInvalid, "Config.Store is required")
	case c.Backend == nil:
		return c, Errorf(ErrInvalid, "Config.Backend is required")
	}
	if c.Guest == nil {
		guest, ok := BackendAs[Guest](c.Backend)
		if !ok {
			return c, Errorf(ErrInvalid, "Config.Guest is required with a backend that is not a guest itself; for Android use package guest/android")
		}
		c.Guest = guest
	}
	if c.Blobs == nil {
		s, ok := c.Store.(interface{ Blobs() BlobStore })
		if !ok {
			return c, Errorf(ErrInvalid, "Config.Blobs is required with a store that has no method Blobs")
		}
		c.Blobs = s.Blobs()
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	c.Release = cmp.Or(c.Release, DefaultRelease)
	if _, ok := releaseOf(c.Release); !ok {
		return c, Errorf(ErrInvalid, "Config.Release is %s; it must be like %q", quote(c.Release), DefaultRelease)
	}
	c.BootTimeout = cmp.Or(c.BootTimeout, 15*time.Minute)
	c.BootstrapTimeout = cmp.Or(c.BootstrapTimeout, maxBootstrap)
	c.StopTimeout = cmp.Or(c.StopTimeout, time.Minute)
	c.CallTimeout = cmp.Or(c.CallTimeout, 2*time.Minute)
	c.CompareInterval = cmp.Or(c.CompareInterval, 30*time.Second)
	c.OrphanAge = cmp.Or(c.OrphanAge, 10*time.Minute)
	c.BlobAge = cmp.Or(c.BlobAge, time.Hour)
	c.KeepOperations = cmp.Or(c.KeepOperations, time.Hour)
	c.KeepEvents = cmp.Or(c.KeepEvents, 100_000)
	c.DrainTimeout = cmp.Or(c.DrainTimeout, 30*time.Second)
	c.MaxPackage = cmp.Or(c.MaxPackage, 10*Gigabyte)
	c.MaxImage = cmp.Or(c.MaxImage, 64*Gigabyte)
	for name, d := range map[string]time.Duration{
		"BootTimeout": c.BootTimeout, "BootstrapTimeout": c.BootstrapTimeout, "StopTimeout": c.StopTimeout,
		"CallTimeout": c.CallTimeout, "CompareInterval": c.CompareInterval, "OrphanAge": c.OrphanAge,
		"BlobAge": c.BlobAge, "KeepOperations": c.KeepOperations, "DrainTimeout": c.DrainTimeout,
		"KeepEvents": time.Duration(c.KeepEvents), "MaxPackage": time.Duration(c.MaxPackage), "MaxImage": time.Duration(c.MaxImage),
	} {
		if d < 0 {
			return c, Errorf(ErrInvalid, "Config.%s must not be negative", name)
		}
	}
	if c.BootstrapTimeout > maxBootstrap {
		return c, Errorf(ErrInvalid, "Config.BootstrapTimeout is %s, the most is %s", c.BootstrapTimeout, maxBootstrap)
	}
	return c, nil
}

const maxBootstrap = 15 * time.Minute

// DefaultRelease is the release of AMS whose images this one runs.
const DefaultRelease = "1.30"

// Manager is the application, instance, node and image management of one
// cluster. Its fields are the services; all their methods are safe for
// concurrent use.
//
// Methods that read or ask for something work before, during and without Run;
// what was asked for happens while Run runs, also when it was asked for in an
// earlier life of the program.
type Manager struct {
	Addons       *Addons
	Applications *Applications
	Groups       *Groups
	Identities   *Identities
	Images       *Images
	Instances    *Instances
	Nodes        *Nodes
	Operations   *Operations
	Settings     *Settings
	Storage      *Storage
	Tokens       *JoinTokens

	store    Store
	backend  Backend
	guest    Guest
	blobs    BlobStore
	log      *slog.Logger
	observer Observer
	cfg      Config
	ids      *xid.Source

	sweeping sync.RWMutex // read-held while a blob is on its way to its row
	placer   *Placer      // a picture of the node rows, also of those not committed yet
	pictured atomic.Bool  // the placer has been given the rows
	briefs   *briefs
	trust    trustCache
	signal   *broadcast
	waiters  *waiters
	engine   *engine
}

// New returns a Manager. It checks and copies cfg and does nothing else: it
// starts no goroutine and touches neither the store nor the backend. The error
// is ErrInvalid and names the field.
func New(cfg Config) (*Manager, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	m := &Manager{
		store: cfg.Store, backend: cfg.Backend, guest: cfg.Guest, blobs: cfg.Blobs,
		log: cfg.Logger, observer: cfg.Observer, cfg: cfg,
		ids: xid.NewSource(), placer: NewPlacer(nil), briefs: newBriefs(), signal: newBroadcast(), waiters: newWaiters(),
	}
	m.Addons = &Addons{m}
	m.Applications = &Applications{m}
	m.Groups = &Groups{m}
	m.Identities = &Identities{m}
	m.Images = &Images{m}
	m.Instances = &Instances{m}
	m.Nodes = &Nodes{m}
	m.Operations = &Operations{m}
	m.Settings = &Settings{m}
	m.Storage = &Storage{m}
	m.Tokens = &JoinTokens{m}
	m.engine = newEngine(m)
	return m, nil
}

// Run does what was asked for until ctx ends. It owns every goroutine of the
// Manager: when it has returned, none is left. Ending ctx drains: no new work is
// begun, calls of the backend that are under way get Config.DrainTimeout to end,
// and are then cancelled; whatever is unfinished goes on with the next Run.
//
// Run first reads the nodes and compares the store with the backend; when the
// backend does not answer it keeps trying. It returns nil when ctx ended, and
// an error when the store cannot be used, or ErrState when it runs already.
func (m *Manager) Run(ctx context.Context) error { return m.engine.run(ctx) }

// Ready waits until Run has begun and its first comparison with the backend is
// done: from then on everything unfinished is being worked on. It returns ctx's
// error when ctx ends first.
func (m *Manager) Ready(ctx context.Context) error {
	select {
	case <-m.engine.ready:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// cluster returns the mark of this store, made at first use.
func (m *Manager) cluster(ctx context.Context) (string, error) {
	var id string
	err := m.view(ctx, func(tx Tx) error {
		s, err := tx.Settings().Get(clusterKey)
		id = s.Value
		return err
	})
	if !errors.Is(err, ErrNotFound) {
		return id, err
	}
	err = m.update(ctx, func(c *change) error {
		s, err := c.Settings().Get(clusterKey)
		if errors.Is(err, ErrNotFound) {
			s = Setting{Key: clusterKey, Value: m.ids.New(c.now)}
			err = c.Settings().Put(s)
		}
		id = s.Value
		return err
	})
	return id, err
}
