package sqlite

import (
	"database/sql/driver"

	"github.com/openams/ams"
)

func nodeSchema() *schema[ams.Node, ams.NodeFilter] {
	return (&schema[ams.Node, ams.NodeFilter]{
		kind:    "node",
		table:   "nodes",
		columns: []string{"status"},
		key:     func(n *ams.Node) string { return n.Name },
		rev:     func(n *ams.Node) *int64 { return &n.Rev },
		values:  func(n *ams.Node) []driver.Value { return []driver.Value{string(n.Status)} },
		filter:  func(q *query, f *ams.NodeFilter) { status(q, f.Status, "") },
	}).complete()
}
