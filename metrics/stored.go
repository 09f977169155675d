package metrics

import (
	"context"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/openams/ams"
)

// stored is what is computed from the store at a scrape.
type stored struct {
	families map[string]*prometheus.Desc // by name, without the prefix
}

// storedFamilies are the names, help and labels of what is read from the store.
var storedFamilies = []struct {
	name, help string
	labels     []string
}{
	{"nodes_total", "Nodes of the cluster.", nil},
	{"applications_total", "Applications.", nil},
	{"instances_total", "Instances, those left out that stand by for a launch.", nil},
	{"instances_per_application_total", "Instances of each application.", []string{"application"}},
	{"instances_per_status_total", "Instances in each status.", []string{"status"}},
	{"instances_per_node_total", "Instances on each node.", []string{"node"}},
	{"containers_total", "Deprecated: instances_total.", nil},
	{"containers_per_application_total", "Deprecated: instances_per_application_total.", []string{"application"}},
	{"containers_per_status_total", "Deprecated: instances_per_status_total.", []string{"status"}},
	{"containers_per_node_total", "Deprecated: instances_per_node_total.", []string{"node"}},
	{"available_cpu_total", "CPUs of each node that can be given away in all, over-commit included.", []string{"node"}},
	{"used_cpu_total", "CPUs of each node that are given away.", []string{"node"}},
	{"available_memory_total", "Bytes of memory of each node that can be given away in all, over-commit included.", []string{"node"}},
	{"used_memory_total", "Bytes of memory of each node that are given away.", []string{"node"}},
	{"nodes_per_status", "Nodes in each status.", []string{"status"}},
	{"disk_bytes", "Bytes of disk of each node that can be given away in all.", []string{"node"}},
	{"disk_used_bytes", "Bytes of disk of each node that are given away.", []string{"node"}},
	{"disk_free_bytes", "Bytes that are physically free in the storage pool of each node, as last seen.", []string{"node"}},
	{"gpu_slots", "GPU slots of each card.", []string{"node", "card"}},
	{"gpu_slots_used", "GPU slots of each card that are given away.", []string{"node", "card"}},
	{"encoder_slots", "Slots for encoding video of each card.", []string{"node", "card"}},
	{"encoder_slots_used", "Slots for encoding video of each card that are given away.", []string{"node", "card"}},
	{"vpu_slots", "VPU slots of each card.", []string{"node", "card"}},
	{"vpu_slots_used", "VPU slots of each card that are given away.", []string{"node", "card"}},
	{"ports", "Ports of each node for services.", []string{"node", "protocol"}},
	{"ports_used", "Ports of each node that services have.", []string{"node", "protocol"}},
	{"prewarmed_wanted", "How many instances of an application are to stand by, where any are.", []string{"application"}},
	{"prewarmed_ready", "How many instances of an application stand by and can be claimed, where any are to.", []string{"application"}},
	{"operations_running", "Operations under way.", nil},
	{"events_total", "Events that were ever committed to the store.", nil},
	{"event_reader_lag", "Events that a reader has not dealt with yet.", []string{"reader"}},
	{"store_read_success", "Whether this scrape could read the store: 1 or 0.", nil},
	{"store_read_duration_seconds", "How long this scrape read the store.", nil},
}

// twins are the deprecated names of families.
var twins = map[string]string{
	"instances_total":                 "containers_total",
	"instances_per_application_total": "containers_per_application_total",
	"instances_per_status_total":      "containers_per_status_total",
	"instances_per_node_total":        "containers_per_node_total",
}

func newStored() *stored {
	s := &stored{families: map[string]*prometheus.Desc{}}
	for _, f := range storedFamilies {
		s.families[f.name] = prometheus.NewDesc(prefix+f.name, f.help, f.labels, nil)
	}
	return s
}

func (s *stored) describe(out chan<- *prometheus.Desc) {
	for _, d := range s.families {
		out <- d
	}
}

// outcome shows how the reading went.
func (s *stored) outcome(out chan<- prometheus.Metric, ok bool, took time.Duration) {
	success := 0.0
	if ok {
		success = 1
	}
	out <- prometheus.MustNewConstMetric(s.families["store_read_success"], prometheus.GaugeValue, success)
	out <- prometheus.MustNewConstMetric(s.families["store_read_duration_seconds"], prometheus.GaugeValue, took.Seconds())
}

// scrape is one reading of the store.
type scrape struct {
	*stored
	ctx    context.Context //nolint:containedctx // it lives as long as the call of read
	m      *ams.Manager
	series []prometheus.Metric
}

// read computes all series. It reads the rows of nodes and of so many
// applications; everything else is counted by the store. It returns none where any
// of them cannot be computed.
func (s *stored) read(ctx context.Context, m *ams.Manager, applications int, readers map[string]int64) ([]prometheus.Metric, error) {
	r := &scrape{stored: s, ctx: ctx, m: m}
	for _, step := range []func() error{
		r.instances, r.nodes,
		func() error { return r.applications(applications) },
		func() error { return r.events(readers) },
	} {
		if err := step(); err != nil {
			return nil, err
		}
		if err := ctx.Err(); err != nil { // a store may have been deaf to it
			return nil, err
		}
	}
	return r.series, nil
}

// add adds a gauge, also under its deprecated name. The labels are those of the
// family, in order.
func (r *scrape) add(name string, value float64, labels ...string) {
	for i := range labels {
		labels[i] = strings.ToValidUTF8(labels[i], "?") // else it could not be shown
	}
	r.series = append(r.series, prometheus.MustNewConstMetric(r.families[name], prometheus.GaugeValue, value, labels...))
	if twin, ok := twins[name]; ok {
		r.add(twin, value, labels...)
	}
}

// count has the store count the instances that match. As in any list, those that
// stand by count only where the filter asks for them.
func (r *scrape) count(filter ams.InstanceFilter) (float64, error) {
	_, n, err := r.m.Instances.List(r.ctx, filter, ams.Page{Limit: 1})
	return float64(n), err
}

func (r *scrape) instances() error {
	n, err := r.count(ams.InstanceFilter{})
	if err != nil {
		return err
	}
	r.add("instances_total", n)
	for _, status := range instanceStatuses {
		n, err := r.count(ams.InstanceFilter{Status: []ams.InstanceStatus{status}})
		if err != nil {
			return err
		}
		r.add("instances_per_status_total", n, string(status))
	}
	return nil
}

func (r *scrape) applications(most int) error {
	apps, total, err := r.m.Applications.List(r.ctx, ams.ApplicationFilter{}, ams.Page{Limit: most})
	if err != nil {
		return err
	}
	r.add("applications_total", float64(total))
	yes := true
	for i := range apps {
		app := &apps[i]
		n, err := r.count(ams.InstanceFilter{ApplicationID: app.ID})
		if err != nil {
			return err
		}
		r.add("instances_per_application_total", n, app.Name)
		if app.Prewarm == 0 {
			continue
		}
		ready, err := r.count(ams.InstanceFilter{ApplicationID: app.ID, Standby: &yes, Resting: &yes})
		if err != nil {
			return err
		}
		r.add("prewarmed_wanted", float64(app.Prewarm), app.Name)
		r.add("prewarmed_ready", ready, app.Name)
	}
	return nil
}

func (r *scrape) events(readers map[string]int64) error {
	no := false
	_, running, err := r.m.Operations.List(r.ctx, ams.OperationFilter{Done: &no}, ams.Page{Limit: 1})
	if err != nil {
		return err
	}
	r.add("operations_running", float64(running))
	newest, err := r.m.Newest(r.ctx)
	if err != nil {
		return err
	}
	r.series = append(r.series, prometheus.MustNewConstMetric(r.families["events_total"], prometheus.CounterValue, float64(newest)))
	for name, seq := range readers {
		r.add("event_reader_lag", float64(max(0, newest-seq)), name) // it may have read on since
	}
	return nil
}
