// Package metrics shows what a Manager has and does as Prometheus metrics, under
// the names that AMS has them (ams_cluster_…) and some of our own.
//
// What there is (nodes, instances, capacity) is computed from the store at each
// scrape: it is right at once after a restart, and several programs that show the
// same store show the same. What happens (boots, calls, operations) is counted by
// an ams.Observer from the start of the program on. The guide docs/guides/metrics.md
// lists every metric.
package metrics

import (
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/openams/ams"
)

// Options set up a Collector. The zero value of every field is its default.
type Options struct {
	// Timeout bounds how long a scrape reads the store. Default 5 seconds.
	Timeout time.Duration
	// MaxApplications bounds how many applications have series of their own: the
	// oldest do. Default 1000; a negative number is no bound.
	MaxApplications int
	// Logger gets why a scrape could not read the store. Defaults to
	// slog.Default().
	Logger *slog.Logger
}

// maxScrapes is how many scrapes Handler serves at a time; more are answered with
// 503.
const maxScrapes = 4

// Collector is a prometheus.Collector of one Manager. It is safe for concurrent
// use, starts no goroutine, and holds no more than its series.
type Collector struct {
	opts     Options
	manager  atomic.Pointer[ams.Manager]
	observed *observed
	stored   *stored
	readers  *readers
}

var _ prometheus.Collector = (*Collector)(nil)

// New returns a Collector that shows nothing yet. Its Observer goes into the
// ams.Config, and the Manager made of that into Bind.
func New(opts Options) *Collector {
	opts.Timeout = cmp.Or(opts.Timeout, 5*time.Second)
	opts.MaxApplications = cmp.Or(opts.MaxApplications, 1000)
	if opts.Logger == nil {
		opts.Logger = slog.Default()
	}
	return &Collector{opts: opts, observed: newObserved(), stored: newStored(), readers: newReaders()}
}

// Observer returns what counts, for ams.Config.Observer. A host with an observer
// of its own calls both. The functions are quick and never block for long.
func (c *Collector) Observer() ams.Observer {
	return ams.Observer{
		Committed: c.observed.committed,
		Called:    c.observed.called,
		Compared:  c.observed.compared,
		Booted:    c.observed.booted,
	}
}

// Bind says which Manager's store is read at a scrape. Binding again replaces it,
// as a program does that makes a new Manager; what was counted stays. Until then
// a scrape shows what was counted only.
func (c *Collector) Bind(m *ams.Manager) { c.manager.Store(m) }

// Read notes how far a reader of the events has come: seq is the number of the
// last event it has dealt with. The lag of each reader is shown under its name,
// of which there should be few. Calling it for each event is cheap.
func (c *Collector) Read(reader string, seq int64) { c.readers.read(reader, seq) }

// Forget drops a reader that reads no more.
func (c *Collector) Forget(reader string) { c.readers.forget(reader) }

// Handler serves the metrics of this Collector alone, in the text format of
// Prometheus. A host with a registry of its own registers the Collector there
// instead. It asks for no authorisation: the names of nodes and applications are
// for whoever can reach it.
func (c *Collector) Handler() http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(c) // cannot fail: the registry is empty and the names are fixed
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{MaxRequestsInFlight: maxScrapes})
}

// Describe implements prometheus.Collector.
func (c *Collector) Describe(out chan<- *prometheus.Desc) {
	c.observed.describe(out)
	c.stored.describe(out)
}

// Collect implements prometheus.Collector. It reads the store within
// Options.Timeout. Where that fails, nothing that would have to be read is shown
// rather than a part of it, and ams_cluster_store_read_success is 0.
func (c *Collector) Collect(out chan<- prometheus.Metric) {
	c.observed.collect(out)
	m := c.manager.Load()
	if m == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), c.opts.Timeout)
	defer cancel()
	began := time.Now()
	series, err := c.stored.read(ctx, m, c.opts.MaxApplications, c.readers.all())
	if err != nil {
		c.opts.Logger.Warn("reading the store for metrics failed", "error", err)
	}
	for _, s := range series {
		out <- s
	}
	c.stored.outcome(out, err == nil, time.Since(began))
}
