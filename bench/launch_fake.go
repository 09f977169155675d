package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/openams/ams"
	"github.com/openams/ams/backend/fake"
	"github.com/openams/ams/storage/sqlite"
)

const (
	fakeCallers = 64
	fakeNodes   = 12
)

// launchFake is the cost of the control plane: launches per second, waited for
// until they run, with a backend that takes no time and a durable store. The
// baseline is the same rows, the same number of them and of the same kind,
// written to a file of the same schema by a plain loop that commits those of 64
// launches at once; divided by the rows of a launch, so ratio is which part of
// the disk's and SQLite's own speed is left.
func launchFake(ctx context.Context, o options) (result, error) {
	dir, err := os.MkdirTemp("", "ams-bench-")
	if err != nil {
		return result{}, err
	}
	defer os.RemoveAll(dir)
	h, err := openFakeHost(ctx, dir)
	if err != nil {
		return result{}, err
	}
	defer h.close()
	raw, err := openRawRows(filepath.Join(dir, "raw.db"))
	if err != nil {
		return result{}, err
	}
	defer raw.close()
	pairs, launches := 7, 1024
	if o.quick {
		pairs = 2
	}
	if _, err := h.launch(ctx, 256); err != nil { // to warm up
		return result{}, err
	}
	var cpu [2]time.Duration
	ours, base, err := interleave(pairs,
		func() (float64, error) {
			return timed(&cpu[0], func() (float64, error) { return h.launch(ctx, launches) })
		},
		func() (float64, error) { return timed(&cpu[1], func() (float64, error) { return raw.write(launches) }) })
	if err != nil {
		return result{}, err
	}
	rows, err := h.rowsPerLaunch(ctx)
	if err != nil {
		return result{}, err
	}
	if rows != rowsPerLaunch {
		return result{}, fmt.Errorf("a launch writes %d rows, and the baseline %d", rows, rowsPerLaunch)
	}
	per := ratios(ours, base)
	r := result{Ours: median(ours), Baseline: median(base), Unit: "launches/s", Ratio: median(per), goal: "ours >= 1000"}
	n := time.Duration(pairs * launches)
	r.notes = append(r.notes,
		fmt.Sprintf("%d launches by %d callers on %d nodes, SQLite at synchronous=FULL, waited for until running; %d blocks", n, fakeCallers, fakeNodes, pairs),
		fmt.Sprintf("launches/s by block: %s", figures(ours)),
		fmt.Sprintf("raw by block:        %s", figures(base)),
		fmt.Sprintf("a launch is %d rows written, in 3 transactions; raw writes %.0f rows/s, in transactions of %d launches", rows, median(base)*rowsPerLaunch, rawGroup),
		fmt.Sprintf("CPU time per launch: %s, raw %s", (cpu[0]/n).Round(time.Microsecond), (cpu[1]/n).Round(time.Microsecond)))
	return r, nil
}

// timed adds the CPU time that fn takes.
func timed(sum *time.Duration, fn func() (float64, error)) (float64, error) {
	began := cpuTime()
	v, err := fn()
	*sum += cpuTime() - began
	return v, err
}

// cpuTime is what this process has used so far.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func figures(v []float64) string {
	var b strings.Builder
	for _, f := range v {
		fmt.Fprintf(&b, "%.4g ", f)
	}
	return b.String()
}

// host is a program that embeds a Manager.
type host struct {
	*ams.Manager
	store *sqlite.Store
	stop  func() error
}

// openHost opens a store in dir and runs a Manager with it. Before that, set may
// set it up.
func openHost(ctx context.Context, dir string, cfg ams.Config, set func(*ams.Manager) error) (*host, error) {
	store, err := sqlite.Open(filepath.Join(dir, "ams.db"), nil)
	if err != nil {
		return nil, err
	}
	cfg.Store, cfg.Logger = store, slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	m, err := ams.New(cfg)
	if err == nil && set != nil {
		err = set(m)
	}
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	running, end := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- m.Run(running) }()
	h := &host{Manager: m, store: store}
	h.stop = func() error {
		end()
		return errors.Join(<-ended, store.Close())
	}
	return h, m.Ready(ctx)
}

func (h *host) close() {
	if err := h.stop(); err != nil {
		fmt.Fprintln(os.Stderr, "closing:", err)
	}
}

// wait waits for an operation that must succeed.
func (h *host) wait(ctx context.Context, op ams.Operation, err error) error {
	if err == nil {
		_, err = h.Operations.Wait(ctx, op.ID)
	}
	return err
}

func openFakeHost(ctx context.Context, dir string) (*host, error) {
	var nodes []ams.NodeInfo
	for i := range fakeNodes {
		nodes = append(nodes, ams.NodeInfo{
			Name: fmt.Sprintf("node%d", i), Online: true, Architecture: "x86_64",
			Capacity: ams.Capacity{CPUs: 1024, Memory: 8192 * ams.Gigabyte, Disk: 65536 * ams.Gigabyte, DiskFree: 65536 * ams.Gigabyte},
		})
	}
	h, err := openHost(ctx, dir, ams.Config{Backend: fake.New(fake.Options{Nodes: nodes})}, nil)
	if err != nil {
		return nil, err
	}
	op, err := h.Images.Add(ctx, "bench", strings.NewReader("an image"), ams.ImageOptions{})
	return h, h.wait(ctx, op, err)
}

// launch makes n launches and returns how many there were per second.
func (h *host) launch(ctx context.Context, n int) (float64, error) {
	began := time.Now()
	err := atATime(fakeCallers, n, func(int) error {
		op, err := h.Instances.Launch(ctx, ams.LaunchRequest{Resources: ams.Resources{CPUs: 1}})
		return h.wait(ctx, op, err)
	})
	return float64(n) / time.Since(began).Seconds(), err
}

// rowsPerLaunch counts the rows that one launch writes: the revisions of those it
// has changed, and the events.
func (h *host) rowsPerLaunch(ctx context.Context) (int, error) {
	count := func() (n int64, err error) {
		err = h.store.View(ctx, func(tx ams.Tx) error {
			_, n, err = tx.Events().Bounds()
			nodes, lerr := tx.Nodes().List(ams.NodeFilter{}, ams.Page{})
			for _, node := range nodes {
				n += node.Rev
			}
			return errors.Join(err, lerr)
		})
		return n, err
	}
	before, err := count()
	if err != nil {
		return 0, err
	}
	op, err := h.Instances.Launch(ctx, ams.LaunchRequest{Resources: ams.Resources{CPUs: 1}})
	if err != nil {
		return 0, err
	}
	if op, err = h.Operations.Wait(ctx, op.ID); err != nil {
		return 0, err
	}
	in, err := h.Instances.Get(ctx, op.Resources["instance"][0])
	if err != nil {
		return 0, err
	}
	after, err := count()
	return int(after - before + in.Rev + op.Rev), err
}

// atATime calls fn for 0 to n-1, so many at a time, and returns the first error.
func atATime(callers, n int, fn func(i int) error) error {
	var next atomic.Int64
	var first error
	var once sync.Once
	var all sync.WaitGroup
	for range callers {
		all.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				if err := fn(i); err != nil {
					once.Do(func() { first = err })
					return
				}
			}
		})
	}
	all.Wait()
	return first
}
