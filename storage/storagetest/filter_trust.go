package storagetest

import (
	"slices"
	"strings"
	"time"

	"github.com/openams/ams"
)

func identities() noun[ams.Identity, ams.IdentityFilter] {
	type row = ams.Identity
	type filter = ams.IdentityFilter
	return noun[row, filter]{
		name:   "identity",
		table:  func(tx ams.Tx) ams.Table[row, filter] { return tx.Identities() },
		key:    func(r *row) *string { return &r.ID },
		rev:    func(r *row) *int64 { return &r.Rev },
		label:  func(r *row) *string { return &r.Fingerprint },
		second: func(r *row) *string { return &r.Email },
		filters: []filterCase[row, filter]{
			{"id", filter{ID: rowID(3)}, func(r *row) bool { return r.ID == rowID(3) }},
			{"method", filter{Method: "a"}, func(r *row) bool { return r.Method == "a" }},
			{"name", filter{Name: "ä<&>"}, func(r *row) bool { return r.Name == "ä<&>" }},
			{"method and name", filter{Method: "a", Name: "b"}, func(r *row) bool { return r.Method == "a" && r.Name == "b" }},
			{"email", filter{Email: "second-4"}, func(r *row) bool { return r.Email == "second-4" }},
			{"group", filter{Group: "a,b"}, func(r *row) bool { return slices.Contains(r.Groups, "a,b") }},
			{"method and group", filter{Method: "b", Group: "a"}, func(r *row) bool { return r.Method == "b" && slices.Contains(r.Groups, "a") }},
			{"fingerprint", filter{Fingerprint: "name-234"}, func(r *row) bool { return r.Fingerprint == "name-234" }},
			{"beginning of fingerprints", filter{Fingerprint: "name-1"}, func(r *row) bool { return strings.HasPrefix(r.Fingerprint, "name-1") }},
			{"email and fingerprint", filter{Email: "second-4", Fingerprint: "name-4"}, func(r *row) bool { return r.Email == "second-4" }},
		},
	}
}

func groups() noun[ams.Group, ams.GroupFilter] {
	type row = ams.Group
	type filter = ams.GroupFilter
	return noun[row, filter]{
		name:  "group",
		table: func(tx ams.Tx) ams.Table[row, filter] { return tx.Groups() },
		key:   func(r *row) *string { return &r.Name },
		rev:   func(r *row) *int64 { return &r.Rev },
		filters: []filterCase[row, filter]{
			{"whole name", filter{Name: rowID(234)}, func(r *row) bool { return r.Name == rowID(234) }},
			{"part of the name, in the other case", filter{Name: "D-1"}, func(r *row) bool { return strings.HasPrefix(r.Name, "id-1") }},
		},
	}
}

func joinTokens() noun[ams.JoinToken, ams.JoinTokenFilter] {
	type row = ams.JoinToken
	type filter = ams.JoinTokenFilter
	at := time.UnixMilli(1_700_000_000_500).UTC()
	return noun[row, filter]{
		name:  "token",
		table: func(tx ams.Tx) ams.Table[row, filter] { return tx.JoinTokens() },
		key:   func(r *row) *string { return &r.ID },
		rev:   func(r *row) *int64 { return &r.Rev },
		label: func(r *row) *string { return &r.Hash },
		filters: []filterCase[row, filter]{
			{"hash", filter{Hash: "name-4"}, func(r *row) bool { return r.Hash == "name-4" }},
			{"expires before", filter{ExpiresBefore: at}, func(r *row) bool { return r.ExpiresAt.Before(at) }},
			{"expires before a part of a millisecond", filter{ExpiresBefore: at.Add(1)}, func(r *row) bool { return r.ExpiresAt.Before(at.Add(1)) }},
			{"expires after", filter{ExpiresAfter: at}, func(r *row) bool { return r.ExpiresAt.After(at) }},
			{"expires after a part of a millisecond", filter{ExpiresAfter: at.Add(1)}, func(r *row) bool { return r.ExpiresAt.After(at.Add(1)) }},
			{"hash and expires after", filter{Hash: "name-6", ExpiresAfter: at}, func(r *row) bool { return r.Hash == "name-6" && r.ExpiresAt.After(at) }},
		},
	}
}
