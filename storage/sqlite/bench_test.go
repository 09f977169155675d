package sqlite_test

import (
	"context"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
	"github.com/openams/ams/storage/sqlite"
)

// exampleInstance returns an instance as large as a real one.
func exampleInstance(i int) ams.Instance {
	now := time.UnixMilli(1_700_000_000_000 + int64(i)).UTC()
	return ams.Instance{
		ID: fmt.Sprintf("c%019d", i), Name: fmt.Sprintf("ams-c%019d", i),
		ApplicationID: fmt.Sprintf("app%d", i%100), ApplicationName: "candy", Version: 3,
		ImageVersion: -1, Fingerprint: "5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef",
		Architecture: "x86_64", Node: fmt.Sprintf("lxd%d", i%40),
		Resources: ams.Resources{CPUs: 4, Memory: 3 * ams.Gigabyte, DiskSize: 3 * ams.Gigabyte},
		Tags:      []string{"game", fmt.Sprintf("batch=%d", i%1000)},
		Status:    ams.InstanceRunning, Address: "10.1.2.3", Want: ams.WantRunning, Made: true,
		Charged: ams.Charge{CPUs: 4, Memory: 3 * ams.Gigabyte}, Resting: true, CreatedAt: now, UpdatedAt: now,
	}
}

// BenchmarkUpdate is 64 callers, each of whose updates writes four rows (two new
// ones, two changed ones after a Get) and two events.
func BenchmarkUpdate(b *testing.B) {
	for name, mode := range map[string]sqlite.Synchronous{"full": sqlite.Full, "normal": sqlite.Normal} {
		for _, callers := range []int{1, 64} {
			b.Run(fmt.Sprintf("%s/callers=%d", name, callers), func(b *testing.B) {
				s := open(b, filepath.Join(b.TempDir(), "ams.db"), &sqlite.Options{Synchronous: mode})
				benchmarkUpdate(b, s, callers)
			})
		}
	}
}

func benchmarkUpdate(b *testing.B, s ams.Store, callers int) {
	ctx := context.Background()
	err := s.Update(ctx, func(tx ams.Tx) error {
		for i := range 40 {
			if err := tx.Nodes().Put(ams.Node{Name: fmt.Sprintf("lxd%d", i)}); err != nil {
				return err
			}
		}
		return nil
	})
	require.NoError(b, err)
	var next atomic.Int64
	b.SetParallelism((callers + 1) / 2)
	b.ReportAllocs()
	b.ResetTimer()
	run := func() error {
		i := int(next.Add(1))
		return s.Update(ctx, func(tx ams.Tx) error {
			instance := exampleInstance(i)
			instance.Status, instance.Resting, instance.Node = ams.InstanceCreated, false, ""
			operation := ams.Operation{ID: fmt.Sprintf("op%d", i), Status: ams.OperationRunning,
				Resources: map[string][]string{"instance": {instance.ID}}, CreatedAt: instance.CreatedAt, UpdatedAt: instance.UpdatedAt}
			if err := tx.Instances().Put(instance); err != nil {
				return err
			}
			if err := tx.Operations().Put(operation); err != nil {
				return err
			}
			node, err := tx.Nodes().Get(fmt.Sprintf("lxd%d", i%40))
			if err != nil {
				return err
			}
			node.Instances++
			if err := tx.Nodes().Put(node); err != nil {
				return err
			}
			instance, err = tx.Instances().Get(instance.ID)
			if err != nil {
				return err
			}
			instance.Node, instance.Status = node.Name, ams.InstancePrepared
			if err := tx.Instances().Put(instance); err != nil {
				return err
			}
			for range 2 {
				if err := tx.Events().Append(ams.Event{Time: instance.CreatedAt, Type: ams.EventLifecycle, Kind: "instance", ID: instance.ID, Action: "created"}); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if callers == 1 {
		for range b.N {
			if err := run(); err != nil {
				b.Fatal(err)
			}
		}
	} else {
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if err := run(); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	b.ReportMetric(6*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}
