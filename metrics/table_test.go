package metrics_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/require"

	"github.com/openams/ams/metrics"
)

// given are the names that AMS has for what goes up and down. Prometheus keeps the
// suffix _total for what only goes up; the names are kept all the same.
var given = []string{
	"nodes_total", "applications_total", "instances_total", "instances_per_application_total",
	"instances_per_status_total", "instances_per_node_total", "containers_total", "containers_per_application_total",
	"containers_per_status_total", "containers_per_node_total", "available_cpu_total", "used_cpu_total",
	"available_memory_total", "used_memory_total",
}

// families are all metrics of a busy cluster.
func families(t *testing.T) (all []*dto.MetricFamily) {
	bubble(t, func(t *testing.T, w *world) {
		busy(w)
		var err error
		all, err = strict(t, w.collector).Gather()
		require.NoError(t, err)
	})
	return all
}

func TestLint(t *testing.T) {
	problems, err := promlint.NewWithMetricFamilies(families(t)).Lint()
	require.NoError(t, err)
	var names []string
	for _, p := range problems {
		name := strings.TrimPrefix(p.Metric, "ams_cluster_")
		require.Contains(t, given, name, p.Text)
		names = append(names, name)
	}
	require.ElementsMatch(t, given, names, "nothing else is wrong with them")
}

// TestTable requires that the guide lists every metric, with its type and labels,
// and no other.
func TestTable(t *testing.T) {
	guide, err := os.ReadFile("../docs/guides/metrics.md")
	require.NoError(t, err)
	listed := map[string][]string{}
	row := regexp.MustCompile("(?m)^\\| `(ams_cluster_[a-z_]+)` \\| (.*) \\|$")
	for _, m := range row.FindAllStringSubmatch(string(guide), -1) {
		require.NotContains(t, listed, m[1], "it is there twice")
		listed[m[1]] = strings.Split(m[2], " | ")
	}
	var seen []string
	for _, f := range families(t) {
		seen = append(seen, f.GetName())
		var labels []string
		for _, l := range f.Metric[0].Label {
			labels = append(labels, "`"+l.GetName()+"`")
		}
		if labels == nil {
			labels = []string{"–"}
		}
		cells := listed[f.GetName()]
		require.Len(t, cells, 4, "%s: type, labels, unit, origin", f.GetName())
		require.Equal(t, strings.ToLower(f.GetType().String()), cells[0], f.GetName())
		want := strings.Split(cells[1], ", ")
		slices.Sort(want)
		require.Equal(t, strings.Join(labels, ", "), strings.Join(want, ", "), f.GetName())
		require.NotEmpty(t, strings.TrimSpace(cells[2]), f.GetName())
		require.NotEmpty(t, strings.TrimSpace(cells[3]), f.GetName())
	}
	for _, name := range regexp.MustCompile(`ams_cluster_[a-z_]+`).FindAllString(string(guide), -1) {
		require.Contains(t, seen, name, "the guide speaks of it")
	}
	require.Equal(t, described(), seen, "a busy cluster has a series of every metric")
	require.Len(t, listed, len(seen), "the guide lists metrics that are none")
}

// described returns the names that a collector describes, sorted.
func described() []string {
	out := make(chan *prometheus.Desc, 1000)
	metrics.New(metrics.Options{}).Describe(out)
	close(out)
	var names []string
	for d := range out {
		names = append(names, regexp.MustCompile(`fqName: "([^"]*)"`).FindStringSubmatch(d.String())[1])
	}
	slices.Sort(names)
	return names
}
