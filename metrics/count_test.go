package metrics_test

import (
	"context"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
	"github.com/openams/ams/backend/fake"
	"github.com/openams/ams/metrics"
	"github.com/openams/ams/storage/sqlite"
)

func newFake() *fake.Backend { return fake.New(cluster()) }

// hanging is a store that does not answer.
type hanging struct{ ams.Store }

func (hanging) View(ctx context.Context, _ func(ams.Tx) error) error {
	<-ctx.Done()
	return ctx.Err()
}

// counting is a store that counts what is asked of its instances.
type counting struct {
	ams.Store
	calls, rows atomic.Int64
}

func (c *counting) View(ctx context.Context, fn func(ams.Tx) error) error {
	return c.Store.View(ctx, func(tx ams.Tx) error { return fn(countingTx{tx, c}) })
}

type countingTx struct {
	ams.Tx
	c *counting
}

func (tx countingTx) Instances() ams.Table[ams.Instance, ams.InstanceFilter] {
	return countingTable{tx.Tx.Instances(), tx.c}
}

type countingTable struct {
	ams.Table[ams.Instance, ams.InstanceFilter]
	c *counting
}

func (t countingTable) List(f ams.InstanceFilter, page ams.Page) ([]ams.Instance, error) {
	list, err := t.Table.List(f, page)
	t.c.calls.Add(1)
	t.c.rows.Add(int64(len(list)))
	return list, err
}

func (t countingTable) Count(f ams.InstanceFilter) (int, error) {
	t.c.calls.Add(1)
	return t.Table.Count(f)
}

// TestManyInstances requires that what a scrape asks of the store does not depend
// on how many instances there are.
func TestManyInstances(t *testing.T) {
	const nodes, applications, instances = 40, 20, 100_000
	durable, err := sqlite.Open(filepath.Join(t.TempDir(), "ams.db"), nil)
	require.NoError(t, err)
	defer durable.Close()
	store := &counting{Store: durable}
	fill(t, store, nodes, applications, instances)
	m, err := ams.New(ams.Config{Store: store, Backend: newFake(), Blobs: blobs(store.Store)})
	require.NoError(t, err)
	c := metrics.New(metrics.Options{Timeout: time.Minute})
	c.Bind(m)
	began := time.Now()
	text := scrape(t, c)
	t.Logf("%d calls and %d rows in %s", store.calls.Load(), store.rows.Load(), time.Since(began))
	require.Contains(t, text, fmt.Sprintf("\nams_cluster_instances_total %d\n", int(instances)))
	require.Contains(t, text, fmt.Sprintf("\nams_cluster_instances_per_node_total{node=\"node7\"} %d\n", instances/nodes))
	require.Contains(t, text, fmt.Sprintf("\nams_cluster_instances_per_application_total{application=\"app7\"} %d\n", instances/applications))
	require.Contains(t, text, fmt.Sprintf("\nams_cluster_instances_per_status_total{status=\"stopped\"} %d\n", instances/2))
	numbers := 1 + 8 + nodes + applications // total, statuses, …
	require.LessOrEqual(t, store.calls.Load(), int64(3*numbers))
	require.LessOrEqual(t, store.rows.Load(), int64(numbers))
}

// fill puts rows into a store: of the instances every other one runs.
func fill(t *testing.T, store ams.Store, nodes, applications, instances int) {
	t.Helper()
	put := func(fn func(tx ams.Tx) error) { require.NoError(t, store.Update(t.Context(), fn)) }
	put(func(tx ams.Tx) error {
		for i := range nodes {
			if err := tx.Nodes().Put(ams.Node{Name: fmt.Sprint("node", i), Status: ams.NodeOnline}); err != nil {
				return err
			}
		}
		for i := range applications {
			name := fmt.Sprint("app", i)
			if err := tx.Applications().Put(ams.Application{ID: "id-" + name, Name: name}); err != nil {
				return err
			}
		}
		return nil
	})
	status := []ams.InstanceStatus{ams.InstanceRunning, ams.InstanceStopped}
	for first := 0; first < instances; first += 5000 {
		put(func(tx ams.Tx) error {
			for i := first; i < min(first+5000, instances); i++ {
				err := tx.Instances().Put(ams.Instance{
					ID: fmt.Sprintf("i%09d", i), Name: fmt.Sprint("instance-", i), Status: status[i%2], Resting: true,
					Node: fmt.Sprint("node", i/2%nodes), ApplicationID: fmt.Sprint("id-app", i/2%applications),
				})
				if err != nil {
					return err
				}
			}
			return nil
		})
	}
}
