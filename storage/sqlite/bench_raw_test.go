package sqlite

import (
	"database/sql/driver"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// BenchmarkRaw is what SQLite does for BenchmarkUpdate, without the store: the
// same statements with texts made before, 64 updates to a commit, one goroutine.
func BenchmarkRaw(b *testing.B) {
	path := filepath.Join(b.TempDir(), "ams.db")
	s, err := Open(path, nil)
	require.NoError(b, err)
	defer s.Close()
	c := s.writer.conn
	exec := func(sql string, args ...driver.Value) {
		if _, err := c.exec(sql, args...); err != nil {
			b.Fatal(err)
		}
	}
	data := strings.Repeat("x", 700)
	for i := range 40 {
		exec(s.schemas.nodes.insert, "online", fmt.Sprintf("lxd%d", i), data)
	}
	b.ResetTimer()
	for i := range b.N {
		if i%64 == 0 {
			exec("BEGIN IMMEDIATE")
		}
		id, node := fmt.Sprintf("c%019d", i), fmt.Sprintf("lxd%d", i%40)
		exec(s.schemas.instances.insert, "ams-"+id, fmt.Sprintf("app%d", i%100), int64(3), "", int64(-1), "", "created",
			int64(0), int64(0), fmt.Sprintf(`["game","batch=%d"]`, i%1000), id, data)
		exec(s.schemas.operations.insert, int64(0), int64(i), "op"+id, data[:200])
		exec("UPDATE nodes SET rev = ?, data = ? WHERE id = ?", int64(i), data, node)
		exec("UPDATE instances SET rev = ?, data = ?, node = ?, status = ? WHERE id = ?", int64(2), data, node, "prepared", id)
		exec("INSERT INTO events (data) VALUES (?)", data[:120])
		exec("INSERT INTO events (data) VALUES (?)", data[:120])
		if i%64 == 63 || i == b.N-1 {
			exec("COMMIT")
		}
	}
	b.ReportMetric(6*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}
