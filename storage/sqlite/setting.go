package sqlite

import (
	"database/sql/driver"

	"github.com/openams/ams"
)

func settingSchema() *schema[ams.Setting, ams.SettingFilter] {
	return (&schema[ams.Setting, ams.SettingFilter]{
		kind:   "setting",
		table:  "settings",
		key:    func(s *ams.Setting) string { return s.Key },
		rev:    func(s *ams.Setting) *int64 { return &s.Rev },
		values: func(*ams.Setting) []driver.Value { return nil },
		filter: func(*query, *ams.SettingFilter) {},
	}).complete()
}
