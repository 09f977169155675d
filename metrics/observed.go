package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/openams/ams"
)

const prefix = "ams_cluster_"

// The upper bounds of buckets, in seconds.
var (
	bootBuckets    = []float64{0.5, 1, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 45, 60, 120, 300, 600, 900}
	claimBuckets   = []float64{0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60}
	callBuckets    = []float64{0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300}
	compareBuckets = []float64{0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30}
)

// instanceStatuses are all that there are.
var instanceStatuses = []ams.InstanceStatus{
	ams.InstanceCreated, ams.InstancePrepared, ams.InstanceStarted, ams.InstanceRunning,
	ams.InstanceStopped, ams.InstanceError, ams.InstanceDeleted, ams.InstanceUnknown,
}

// observed is what is counted as it happens.
type observed struct {
	boot          prometheus.Histogram
	bootContainer prometheus.Histogram // the same, by its deprecated name
	claim         prometheus.Histogram

	changes    *prometheus.CounterVec
	operations *prometheus.CounterVec
	names      *operations

	calls     *prometheus.CounterVec
	callTimes *prometheus.HistogramVec

	compare   prometheus.Histogram
	compareAt prometheus.Gauge
	seen      prometheus.Gauge
	differing prometheus.Counter
	orphans   prometheus.Gauge
	heldBack  prometheus.Gauge
	deleted   prometheus.Counter
}

func newObserved() *observed {
	o := &observed{
		boot:          histogram("instance_boot_time_seconds", "Time from the request of a launch or start to running, claims of prewarmed instances left out.", bootBuckets),
		bootContainer: histogram("container_boot_time_seconds", "Deprecated: instance_boot_time_seconds.", bootBuckets),
		claim:         histogram("instance_claim_time_seconds", "Time from the request of a launch to running, where it has claimed a prewarmed instance.", claimBuckets),
		changes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: prefix + "instance_status_changes_total", Help: "Changes of the status of instances, by the new status.",
		}, []string{"status"}),
		operations: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: prefix + "operations_total", Help: "Operations that have ended, by what they were to do and how they ended.",
		}, []string{"operation", "outcome"}),
		names: newOperations(),
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: prefix + "backend_calls_total", Help: "Calls of the backend and the guest, by verb and outcome.",
		}, []string{"verb", "outcome"}),
		callTimes: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: prefix + "backend_call_duration_seconds", Help: "How long calls of the backend and the guest took.", Buckets: callBuckets,
		}, []string{"verb"}),
		compare:   histogram("compare_duration_seconds", "How long comparisons of the store with the backend took.", compareBuckets),
		compareAt: gauge("compare_last_timestamp_seconds", "When the last comparison ended; 0 before the first."),
		seen:      gauge("compare_instances", "Instances that the backend showed at the last comparison."),
		differing: counter("compare_differing_total", "Instances that were looked at again because a comparison showed a difference."),
		orphans:   gauge("orphans", "Instances and images that the last comparison found in the backend and not in the store."),
		heldBack:  gauge("orphans_held_back", "Orphans, and rows of vanished instances, that the last comparison left alone for want of an operator's word."),
		deleted:   counter("orphans_deleted_total", "Orphans that were deleted by comparisons."),
	}
	for _, s := range instanceStatuses {
		o.changes.WithLabelValues(string(s))
	}
	return o
}

func histogram(name, help string, buckets []float64) prometheus.Histogram {
	return prometheus.NewHistogram(prometheus.HistogramOpts{Name: prefix + name, Help: help, Buckets: buckets})
}

func gauge(name, help string) prometheus.Gauge {
	return prometheus.NewGauge(prometheus.GaugeOpts{Name: prefix + name, Help: help})
}

func counter(name, help string) prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{Name: prefix + name, Help: help})
}

func (o *observed) all() []prometheus.Collector {
	return []prometheus.Collector{
		o.boot, o.bootContainer, o.claim, o.changes, o.operations, o.calls, o.callTimes,
		o.compare, o.compareAt, o.seen, o.differing, o.orphans, o.heldBack, o.deleted,
	}
}

func (o *observed) describe(out chan<- *prometheus.Desc) {
	for _, c := range o.all() {
		c.Describe(out)
	}
}

func (o *observed) collect(out chan<- prometheus.Metric) {
	for _, c := range o.all() {
		c.Collect(out)
	}
}

func (o *observed) committed(e ams.Event) {
	switch {
	case e.Type == ams.EventOperation:
		if name, ended := o.names.event(e); ended {
			o.operations.WithLabelValues(name, e.Action).Inc()
		}
	case e.Type == ams.EventLifecycle && e.Kind == "instance" && isStatus(e.Action):
		o.changes.WithLabelValues(e.Action).Inc()
	}
}

func isStatus(action string) bool {
	for _, s := range instanceStatuses {
		if string(s) == action {
			return true
		}
	}
	return false
}

// booted leaves restarts out: their time is also that of a stop.
func (o *observed) booted(info ams.BootInfo) {
	switch {
	case info.Prewarmed:
		o.claim.Observe(info.Took.Seconds())
	case info.Request != "restart instance":
		o.boot.Observe(info.Took.Seconds())
		o.bootContainer.Observe(info.Took.Seconds())
	}
}

func (o *observed) called(info ams.CallInfo) {
	outcome := "success"
	if info.Err != nil {
		outcome = string(ams.CodeOf(info.Err))
		if outcome == "" { // of package context
			outcome = "interrupted"
		}
	}
	o.calls.WithLabelValues(info.Verb, outcome).Inc()
	o.callTimes.WithLabelValues(info.Verb).Observe(info.Took.Seconds())
}

func (o *observed) compared(info ams.CompareInfo) {
	o.compare.Observe(info.Took.Seconds())
	o.compareAt.Set(float64(time.Now().UnixMilli()) / 1000)
	o.seen.Set(float64(info.Seen))
	o.differing.Add(float64(info.Differ))
	o.orphans.Set(float64(info.Orphans))
	o.heldBack.Set(float64(info.HeldBack))
	o.deleted.Add(float64(info.Deleted))
}
