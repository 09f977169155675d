package sqlite

import (
	"database/sql/driver"

	"github.com/openams/ams"
)

func identitySchema() *schema[ams.Identity, ams.AllRows] {
	return (&schema[ams.Identity, ams.AllRows]{
		kind:   "identity",
		table:  "identities",
		key:    func(r *ams.Identity) string { return r.ID },
		rev:    func(r *ams.Identity) *int64 { return &r.Rev },
		values: func(*ams.Identity) []driver.Value { return nil },
		filter: func(*query, *ams.AllRows) {},
	}).complete()
}

func groupSchema() *schema[ams.Group, ams.AllRows] {
	return (&schema[ams.Group, ams.AllRows]{
		kind:   "group",
		table:  "groups",
		key:    func(r *ams.Group) string { return r.Name },
		rev:    func(r *ams.Group) *int64 { return &r.Rev },
		values: func(*ams.Group) []driver.Value { return nil },
		filter: func(*query, *ams.AllRows) {},
	}).complete()
}

func joinTokenSchema() *schema[ams.JoinToken, ams.AllRows] {
	return (&schema[ams.JoinToken, ams.AllRows]{
		kind:   "token",
		table:  "join_tokens",
		key:    func(r *ams.JoinToken) string { return r.ID },
		rev:    func(r *ams.JoinToken) *int64 { return &r.Rev },
		values: func(*ams.JoinToken) []driver.Value { return nil },
		filter: func(*query, *ams.AllRows) {},
	}).complete()
}
