package metrics_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"log/slog"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
	"github.com/openams/ams/metrics"
	"github.com/openams/ams/storage/mem"
	"github.com/openams/ams/storage/storagetest"
)

// sleep passes time of a bubble, so that what is to be done by then is done.
func sleep() {
	time.Sleep(10 * time.Second)
	synctest.Wait()
}

// gauges returns the lines of what is read from the store.
func gauges(text string) []string {
	var lines []string
	counted := regexp.MustCompile(`_bucket|_sum|_count|_status_changes_|_operations_total|_calls_|_compare_|_orphans|store_read|event_reader`)
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "#") && !counted.MatchString(line) {
			lines = append(lines, line)
		}
	}
	return lines
}

// TestRestart requires that a new life shows what the old one did, at once, and
// counts anew; also the instances in error.
func TestRestart(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		fails(w)
		w.launch(ams.LaunchRequest{Node: "small"})
		sleep()
		w.shows(`instances_per_status_total{status="error"} 1`, "instance_boot_time_seconds_count 1")
		before := gauges(w.scrape())
		require.NotEmpty(t, before)
		w.stop()
		w.start()
		w.shows(`instances_per_status_total{status="error"} 1`, `instances_per_status_total{status="created"} 0`, "instance_boot_time_seconds_count 0")
		require.Equal(t, before, gauges(w.scrape()))
	})
}

// TestSeveralHosts requires that programs that show the same store agree.
func TestSeveralHosts(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.launch(ams.LaunchRequest{})
		sleep()
		other := metrics.New(metrics.Options{})
		m, err := ams.New(ams.Config{Store: w.store, Backend: w.fake, Observer: other.Observer()})
		require.NoError(t, err)
		other.Bind(m)
		require.Equal(t, gauges(w.scrape()), gauges(scrape(t, other)))
	})
}

// TestNumbers requires that per node, application and status there is what a list
// shows.
func TestNumbers(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		busy(w)
		text := w.scrape()
		value := func(series string) int {
			m := regexp.MustCompile(`(?m)^ams_cluster_` + regexp.QuoteMeta(series) + ` (\S+)$`).FindStringSubmatch(text)
			require.NotNil(t, m, series)
			f, err := strconv.ParseFloat(m[1], 64)
			require.NoError(t, err)
			return int(f)
		}
		all, _, err := w.Instances.List(t.Context(), ams.InstanceFilter{}, ams.Page{})
		require.NoError(t, err)
		nodes, status := map[string]int{}, map[ams.InstanceStatus]int{}
		for _, in := range all {
			nodes[in.Node]++
			status[in.Status]++
		}
		require.Equal(t, len(all), value("instances_total"))
		require.Equal(t, len(all), value("containers_total"))
		require.Equal(t, len(all), value(`instances_per_application_total{application="candy"}`))
		for _, name := range []string{"big", "small"} {
			n, err := w.Nodes.Get(t.Context(), name)
			require.NoError(t, err)
			require.NotZero(t, nodes[name])
			require.Equal(t, nodes[name], value(`instances_per_node_total{node="`+name+`"}`))
			require.Equal(t, n.Used.CPUs, value(`used_cpu_total{node="`+name+`"}`))
			require.Equal(t, int(n.Used.Memory), value(`used_memory_total{node="`+name+`"}`))
			require.Equal(t, 8*4, value(`available_cpu_total{node="`+name+`"}`))
		}
		names := statuses(t)
		require.GreaterOrEqual(t, len(names), 8)
		for _, s := range names {
			require.Equal(t, status[ams.InstanceStatus(s)], value(`instances_per_status_total{status="`+s+`"}`))
			require.Equal(t, status[ams.InstanceStatus(s)], value(`containers_per_status_total{status="`+s+`"}`))
		}
	})
}

// statuses reads from the source which statuses there are.
func statuses(t *testing.T) (all []string) {
	f, err := parser.ParseFile(token.NewFileSet(), "../instance.go", nil, 0)
	require.NoError(t, err)
	ast.Inspect(f, func(n ast.Node) bool {
		if v, ok := n.(*ast.ValueSpec); ok {
			if id, ok := v.Type.(*ast.Ident); ok && id.Name == "InstanceStatus" {
				s, err := strconv.Unquote(v.Values[0].(*ast.BasicLit).Value)
				require.NoError(t, err)
				all = append(all, s)
			}
		}
		return true
	})
	return all
}

// TestStoreFails requires that what was counted is shown also where the store
// cannot be read, and nothing that is half read.
func TestStoreFails(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.launch(ams.LaunchRequest{})
		for fail := 1; ; fail++ {
			broken := storagetest.Faulty(w.store, func(n int) error {
				if n == fail {
					return ams.Errorf(ams.ErrUnavailable, "closed")
				}
				return nil
			})
			m, err := ams.New(ams.Config{Store: broken, Backend: w.fake, Blobs: blobs(w.store), Logger: slog.New(slog.DiscardHandler)})
			require.NoError(t, err)
			w.collector.Bind(m)
			text := w.scrape()
			require.Contains(t, text, "\nams_cluster_instance_boot_time_seconds_count 1\n")
			if strings.Contains(text, "\nams_cluster_store_read_success 1\n") {
				require.Greater(t, fail, 10, "there are more reads than that")
				return
			}
			require.Contains(t, text, "\nams_cluster_store_read_success 0\n")
			require.Empty(t, gauges(text))
		}
	})
}

func TestNotBound(t *testing.T) {
	c := metrics.New(metrics.Options{})
	text := scrape(t, c)
	require.Contains(t, text, "\nams_cluster_instance_boot_time_seconds_count 0\n")
	require.NotContains(t, text, "nodes_total")
	require.NotContains(t, text, "store_read_success")
	_, err := strict(t, c).Gather()
	require.NoError(t, err)
}

// TestMaxApplications bounds the series, and not the count.
func TestMaxApplications(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.wait(w.Applications.Create(t.Context(), pkg("name: honey"), ams.CreateOptions{}))
		c := metrics.New(metrics.Options{MaxApplications: 1})
		c.Bind(w.Manager)
		text := scrape(t, c)
		require.Contains(t, text, "\nams_cluster_applications_total 2\n")
		require.Contains(t, text, `instances_per_application_total{application="candy"}`)
		require.NotContains(t, text, "honey")
	})
}

// TestUnreachable requires that a scrape does not wait for a store for ever.
func TestUnreachable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := metrics.New(metrics.Options{Logger: slog.New(slog.DiscardHandler)})
		store := mem.New()
		m, err := ams.New(ams.Config{Store: hanging{store}, Backend: newFake(), Blobs: store.Blobs()})
		require.NoError(t, err)
		c.Bind(m)
		began := time.Now()
		require.Contains(t, scrape(t, c), "\nams_cluster_store_read_success 0\n")
		require.Equal(t, 5*time.Second, time.Since(began))
	})
}
