package sqlite

import (
	"database/sql/driver"

	"github.com/openams/ams"
)

func addonSchema() *schema[ams.Addon, ams.AddonFilter] {
	return (&schema[ams.Addon, ams.AddonFilter]{
		kind:   "addon",
		table:  "addons",
		key:    func(a *ams.Addon) string { return a.Name },
		rev:    func(a *ams.Addon) *int64 { return &a.Rev },
		values: func(*ams.Addon) []driver.Value { return nil },
		filter: func(q *query, f *ams.AddonFilter) { q.unique("id", f.Name) },
	}).complete()
}
