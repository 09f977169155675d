package sqlite

import (
	"database/sql/driver"
	"time"

	"github.com/openams/ams"
)

func operationSchema() *schema[ams.Operation, ams.OperationFilter] {
	return (&schema[ams.Operation, ams.OperationFilter]{
		kind:    "operation",
		table:   "operations",
		columns: []string{"done", "updated_at"},
		key:     func(o *ams.Operation) string { return o.ID },
		rev:     func(o *ams.Operation) *int64 { return &o.Rev },
		values: func(o *ams.Operation) []driver.Value {
			return []driver.Value{integer(o.Done()), o.UpdatedAt.UnixMicro()}
		},
		filter: func(q *query, f *ams.OperationFilter) {
			if !f.EndedBefore.IsZero() {
				q.drive("operations_ended")
				q.where("done = 1 AND updated_at < ?", f.EndedBefore.Add(time.Microsecond-1).UnixMicro())
			}
			q.flag("done", f.Done, "", "operations_running")
		},
	}).complete()
}
