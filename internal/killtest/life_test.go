package killtest

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/openams/ams"
	"github.com/openams/ams/backend/fake"
	"github.com/openams/ams/backend/lxd"
	"github.com/openams/ams/guest/android"
	"github.com/openams/ams/internal/audit"
	"github.com/openams/ams/storage/sqlite"
)

// life is one life of the program: from its start until it is killed, or, the
// last one, until everything is at rest.
type life struct {
	*ams.Manager
	orders  orders
	wire    *wire
	store   *sqlite.Store
	backend ams.Backend
	rand    *rand.Rand
}

// live is the program: TestMain runs it in a child.
func live() error {
	l := &life{wire: &wire{file: os.NewFile(3, "reports")}}
	if err := json.NewDecoder(os.Stdin).Decode(&l.orders); err != nil {
		return err
	}
	l.rand = rand.New(rand.NewPCG(uint64(l.orders.Seed), uint64(l.orders.Life)))
	var err error
	if l.store, err = sqlite.Open(filepath.Join(l.orders.Dir, "ams.db"), nil); err != nil {
		return err
	}
	cfg := ams.Config{Store: l.store, Logger: slog.New(&alarm{Handler: slog.NewTextHandler(os.Stderr, nil), wire: l.wire})}
	switch l.orders.Backend {
	case "fake":
		err = l.openFake()
	case "lxd":
		cfg.Guest = android.New(android.Options{})
		// What LXD makes of a request whose sender was killed is found later.
		cfg.OrphanAge, cfg.CompareInterval = 30*time.Second, 5*time.Second
		// Its daemon may be restarting just now.
		for tries := 0; tries == 0 || ams.CodeOf(err) == ams.ErrUnavailable && tries < 300; tries++ {
			if tries > 0 {
				time.Sleep(100 * time.Millisecond)
			}
			l.backend, err = lxd.Open(context.Background(), lxd.Config{Socket: l.orders.Socket})
		}
	}
	if err != nil {
		return err
	}
	cfg.Backend = l.backend
	if l.Manager, err = ams.New(cfg); err != nil {
		return err
	}
	// No version is to go without a request: the model knows only of those.
	if err := l.Settings.Set(context.Background(), "application.max_published_versions", "1000"); err != nil {
		return err
	}
	s, err := l.tell()
	if err != nil {
		return err
	}
	go l.stream(s.Newest)
	ctx, end := context.WithCancel(context.Background())
	defer end()
	ended := make(chan error, 1)
	go func() { ended <- l.Run(ctx) }()
	if l.orders.Workers > 0 {
		l.load(ctx, s)
		return <-ended // until it is killed
	}
	l.rest(ctx)
	end()
	if err := <-ended; err != nil {
		return err
	}
	if err := l.sweep(); err != nil {
		return err
	}
	l.wire.send(report{Rest: true})
	if _, err := l.tell(); err != nil {
		return err
	}
	return l.store.Close()
}

// openFake opens the fake cluster with delays, and some lives with faults.
func (l *life) openFake() error {
	upTo := func(most time.Duration) time.Duration { return time.Duration(l.rand.Int64N(int64(most))) }
	b, err := fake.Open(fake.Options{
		NodeCount: 3, File: filepath.Join(l.orders.Dir, "cluster"),
		CreateTime: upTo(20 * time.Millisecond), StartTime: upTo(20 * time.Millisecond),
		StopTime: upTo(10 * time.Millisecond), DeleteTime: upTo(20 * time.Millisecond),
		PublishTime: upTo(40 * time.Millisecond), ImportTime: upTo(20 * time.Millisecond),
		BootTime: upTo(40 * time.Millisecond), HookTime: upTo(10 * time.Millisecond),
	})
	if err != nil || l.orders.Workers == 0 {
		l.backend = b
		return err
	}
	verbs := []string{fake.VerbCreate, fake.VerbStart, fake.VerbStop, fake.VerbDelete, fake.VerbPublish, fake.VerbImportImage, fake.VerbDeleteImage}
	if l.rand.IntN(3) == 0 {
		b.Lose(verbs[l.rand.IntN(len(verbs))], 1)
	}
	if l.rand.IntN(3) == 0 {
		b.FailGuest(fake.GuestFault{Tail: "no reason", Times: 1 + l.rand.IntN(3)})
	}
	l.backend = b
	return nil
}

// tell reports the events that the parent has not got, up to now, and all rows.
func (l *life) tell() (*state, error) {
	s := &state{}
	var events []ams.Event
	err := l.store.View(context.Background(), func(tx ams.Tx) (err error) {
		if _, s.Newest, err = tx.Events().Bounds(); err != nil {
			return err
		}
		if events, err = tx.Events().Since(l.orders.Since, int(max(s.Newest-l.orders.Since, 0))); err != nil {
			return err
		}
		if s.Instances, err = tx.Instances().List(ams.InstanceFilter{}, ams.Page{}); err != nil {
			return err
		}
		if s.Applications, err = tx.Applications().List(ams.ApplicationFilter{}, ams.Page{}); err != nil {
			return err
		}
		if s.Versions, err = tx.Versions().List(ams.VersionFilter{}, ams.Page{}); err != nil {
			return err
		}
		if s.Images, err = tx.Images().List(ams.ImageFilter{}, ams.Page{}); err != nil {
			return err
		}
		no := false
		if s.Operations, err = tx.Operations().List(ams.OperationFilter{Done: &no}, ams.Page{}); err != nil {
			return err
		}
		for _, id := range l.orders.Operations {
			op, err := tx.Operations().Get(id)
			if ams.CodeOf(err) == ams.ErrNotFound {
				continue // for the parent to find
			}
			if err != nil {
				return err
			}
			if op.Done() {
				s.Operations = append(s.Operations, op)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for i := range events {
		l.wire.send(report{Event: &events[i]})
		l.orders.Since = events[i].Seq
	}
	l.wire.send(report{State: s})
	return s, nil
}

// stream reports events as they come. The last life does not: it tells at its end.
func (l *life) stream(since int64) {
	if l.orders.Workers == 0 {
		return
	}
	for e, err := range l.Events(context.Background(), since) {
		if err != nil {
			l.wire.send(report{Fault: "reading events: " + err.Error()})
			return
		}
		l.wire.send(report{Event: &e})
	}
}

// rest waits until nothing is under way, and reports what does not hold then.
func (l *life) rest(ctx context.Context) {
	limit := time.After(2 * time.Minute)
	for {
		faults, err := audit.Check(ctx, l.store, l.backend)
		if err != nil {
			faults = append(faults, "audit: "+err.Error())
		}
		if len(faults) == 0 {
			return
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-limit:
			for _, f := range faults {
				l.wire.send(report{Fault: f})
			}
			return
		}
	}
}

// sweep runs a Manager that keeps no blob longer than it must, and reports those
// that are left over or lacking.
func (l *life) sweep() error {
	ctx, end := context.WithCancel(context.Background())
	defer end()
	m, err := ams.New(ams.Config{
		Store: l.store, Backend: l.backend, Guest: android.New(android.Options{}),
		BlobAge: time.Nanosecond, Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)),
	})
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- m.Run(ctx) }()
	limit := time.After(10 * time.Second)
	for {
		faults, err := l.blobs(ctx)
		if err != nil {
			return err
		}
		select {
		case <-time.After(20 * time.Millisecond):
			if len(faults) > 0 {
				continue
			}
		case <-limit:
		}
		for _, f := range faults {
			l.wire.send(report{Fault: f})
		}
		end()
		return <-ended
	}
}

// blobs compares the blobs with what refers to them.
func (l *life) blobs(ctx context.Context) (faults []string, err error) {
	used := map[string]string{}
	err = l.store.View(ctx, func(tx ams.Tx) error {
		apps, err := tx.Applications().List(ams.ApplicationFilter{}, ams.Page{})
		if err != nil {
			return err
		}
		for _, app := range apps {
			used[app.Package.Digest] = "the package of application " + app.ID
		}
		versions, err := tx.Versions().List(ams.VersionFilter{}, ams.Page{})
		for _, v := range versions {
			used[v.Package.Digest] = "the package of version " + v.ID
			for _, log := range v.Logs {
				used[log.Digest] = "a log of version " + v.ID
			}
		}
		if err != nil {
			return err
		}
		instances, err := tx.Instances().List(ams.InstanceFilter{}, ams.Page{})
		for i := range instances {
			for _, log := range instances[i].Logs {
				used[log.Digest] = "a log of instance " + instances[i].ID
			}
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	err = l.store.Blobs().List(ctx, func(b ams.BlobInfo) error {
		if used[b.Digest] == "" {
			faults = append(faults, fmt.Sprintf("blob %s of %d bytes is left over", b.Digest, b.Size))
		}
		delete(used, b.Digest)
		return nil
	})
	for digest, what := range used {
		faults = append(faults, fmt.Sprintf("blob %s is lost: %s", digest, what))
	}
	half, _ := filepath.Glob(filepath.Join(l.orders.Dir, "ams.db.blobs", "tmp", "*"))
	for _, name := range half {
		faults = append(faults, "a half-written blob is left over: "+name)
	}
	slices.Sort(faults)
	return faults, err
}

// alarm reports what is logged as an error: with nothing wrong there is none.
type alarm struct {
	slog.Handler
	wire *wire
}

func (a *alarm) Handle(ctx context.Context, r slog.Record) error {
	if r.Level >= slog.LevelError {
		text := r.Message
		r.Attrs(func(at slog.Attr) bool {
			text += fmt.Sprintf(" %s=%s", at.Key, at.Value)
			return true
		})
		a.wire.send(report{Fault: "logged: " + text})
	}
	return a.Handler.Handle(ctx, r)
}
