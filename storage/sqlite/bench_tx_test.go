package sqlite_test

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/openams/ams"
	"github.com/openams/ams/storage/sqlite"
)

// BenchmarkTx is the cost of each call inside one long transaction.
func BenchmarkTx(b *testing.B) {
	calls := map[string]func(tx ams.Tx, i int) error{
		"put new instance": func(tx ams.Tx, i int) error { return tx.Instances().Put(exampleInstance(i)) },
		"get instance": func(tx ams.Tx, i int) error {
			_, err := tx.Instances().Get("c0000000000000000000")
			return err
		},
		"get and put instance": func(tx ams.Tx, i int) error {
			row, err := tx.Instances().Get("c0000000000000000000")
			if err != nil {
				return err
			}
			row.Status = ams.InstanceStatus(fmt.Sprint(i % 2))
			return tx.Instances().Put(row)
		},
		"put new operation": func(tx ams.Tx, i int) error {
			return tx.Operations().Put(ams.Operation{ID: fmt.Sprint("op", i), Status: ams.OperationRunning})
		},
		"get setting": func(tx ams.Tx, i int) error {
			_, err := tx.Settings().Get("k")
			return err
		},
		"append event": func(tx ams.Tx, i int) error {
			return tx.Events().Append(ams.Event{Kind: "instance", ID: "c0000000000000000000", Action: "created"})
		},
	}
	for name, call := range calls {
		b.Run(name, func(b *testing.B) {
			s := open(b, filepath.Join(b.TempDir(), "ams.db"), &sqlite.Options{Synchronous: sqlite.Off})
			b.ReportAllocs()
			err := s.Update(context.Background(), func(tx ams.Tx) error {
				for i := range 1000 {
					if err := tx.Instances().Put(exampleInstance(i)); err != nil {
						return err
					}
				}
				if err := tx.Settings().Put(ams.Setting{Key: "k"}); err != nil {
					return err
				}
				b.ResetTimer()
				for i := range b.N {
					if err := call(tx, 1000+i); err != nil {
						return err
					}
				}
				b.StopTimer()
				return nil
			})
			if err != nil {
				b.Fatal(err)
			}
		})
	}
}
