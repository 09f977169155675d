package sqlite_test

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
	"github.com/openams/ams/storage/sqlite"
)

// BenchmarkList is a page of 50 out of 100,000 instances.
func BenchmarkList(b *testing.B) {
	ctx := context.Background()
	s := open(b, filepath.Join(b.TempDir(), "ams.db"), &sqlite.Options{Synchronous: sqlite.Off})
	require.NoError(b, s.Update(ctx, func(tx ams.Tx) error {
		for i := range 100_000 {
			row := exampleInstance(i)
			if i%1000 == 0 {
				row.Status, row.Resting = ams.InstanceError, i%3000 == 0
			}
			if err := tx.Instances().Put(row); err != nil {
				return err
			}
		}
		return nil
	}))
	no := false
	page := ams.Page{Limit: 50}
	for name, c := range map[string]struct {
		filter ams.InstanceFilter
		page   ams.Page
	}{
		"all":              {ams.InstanceFilter{}, page},
		"offset 50000":     {ams.InstanceFilter{}, ams.Page{Limit: 50, Offset: 50_000}},
		"node":             {ams.InstanceFilter{Node: "lxd7"}, page},
		"node and app":     {ams.InstanceFilter{Node: "lxd7", ApplicationID: "app7"}, page},
		"tags":             {ams.InstanceFilter{Tags: []string{"game", "batch=7"}}, page},
		"rare tag":         {ams.InstanceFilter{Tags: []string{"batch=7", "game"}}, page},
		"frequent status":  {ams.InstanceFilter{Status: []ams.InstanceStatus{"running"}}, page},
		"rare status":      {ams.InstanceFilter{Status: []ams.InstanceStatus{"error"}}, page},
		"several statuses": {ams.InstanceFilter{Status: []ams.InstanceStatus{"running", "started", "error"}}, page},
		"active":           {ams.InstanceFilter{Resting: &no}, page},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				err := s.View(ctx, func(tx ams.Tx) error {
					_, err := tx.Instances().List(c.filter, c.page)
					return err
				})
				require.NoError(b, err)
			}
		})
	}
	b.Run("count of a frequent status", func(b *testing.B) {
		for b.Loop() {
			require.NoError(b, s.View(ctx, func(tx ams.Tx) error {
				_, err := tx.Instances().Count(ams.InstanceFilter{Status: []ams.InstanceStatus{"running"}})
				return err
			}))
		}
	})
}
