package sqlite

import (
	"cmp"
	"database/sql/driver"
	"time"
	"unicode/utf8"

	"github.com/openams/ams"
)

func identitySchema() *schema[ams.Identity, ams.IdentityFilter] {
	return (&schema[ams.Identity, ams.IdentityFilter]{
		kind:    "identity",
		table:   "identities",
		columns: []string{"method", "name", "email", "fingerprint", "group_names"},
		key:     func(i *ams.Identity) string { return i.ID },
		name:    func(i *ams.Identity) string { return cmp.Or(i.Fingerprint, i.Email) },
		rev:     func(i *ams.Identity) *int64 { return &i.Rev },
		values: func(i *ams.Identity) []driver.Value {
			return []driver.Value{string(i.Method), i.Name, i.Email, i.Fingerprint, list(i.Groups)}
		},
		filter: func(q *query, f *ams.IdentityFilter) {
			q.unique("id", f.ID)
			if f.Fingerprint != "" {
				q.drive("identities_fingerprint")
				q.where("fingerprint <> ''") // as the index has it
				q.where("fingerprint >= ? AND fingerprint < ?", f.Fingerprint, f.Fingerprint+string(utf8.MaxRune))
			}
			if f.Email != "" {
				q.drive("identities_email")
				q.where("email <> ''") // likewise
				q.where("email = ?", f.Email)
			}
			q.text("name", f.Name, "identities_name")
			q.text("method", string(f.Method), "")
			if f.Group != "" {
				q.contains("group_names", []string{f.Group})
			}
		},
	}).complete()
}

func groupSchema() *schema[ams.Group, ams.GroupFilter] {
	return (&schema[ams.Group, ams.GroupFilter]{
		kind:   "group",
		table:  "identity_groups",
		key:    func(g *ams.Group) string { return g.Name },
		rev:    func(g *ams.Group) *int64 { return &g.Rev },
		values: func(*ams.Group) []driver.Value { return nil },
		filter: func(q *query, f *ams.GroupFilter) {
			if f.Name != "" {
				q.where("instr(lower(id), lower(?)) > 0", f.Name) // lower changes ASCII letters only
			}
		},
	}).complete()
}

func joinTokenSchema() *schema[ams.JoinToken, ams.JoinTokenFilter] {
	return (&schema[ams.JoinToken, ams.JoinTokenFilter]{
		kind:    "token",
		table:   "join_tokens",
		columns: []string{"hash", "expires_at"},
		key:     func(t *ams.JoinToken) string { return t.ID },
		name:    func(t *ams.JoinToken) string { return t.Hash },
		rev:     func(t *ams.JoinToken) *int64 { return &t.Rev },
		values:  func(t *ams.JoinToken) []driver.Value { return []driver.Value{t.Hash, t.ExpiresAt.UnixMicro()} },
		filter: func(q *query, f *ams.JoinTokenFilter) {
			q.unique("hash", f.Hash)
			if !f.ExpiresBefore.IsZero() {
				q.where("expires_at < ?", f.ExpiresBefore.Add(time.Microsecond-1).UnixMicro())
			}
			if !f.ExpiresAfter.IsZero() {
				q.where("expires_at > ?", f.ExpiresAfter.UnixMicro())
			}
		},
	}).complete()
}
