package storagetest

import "github.com/openams/ams"

func identities() noun[ams.Identity, ams.AllRows] {
	return noun[ams.Identity, ams.AllRows]{
		name:  "identity",
		table: func(tx ams.Tx) ams.Table[ams.Identity, ams.AllRows] { return tx.Identities() },
		key:   func(r *ams.Identity) *string { return &r.ID },
		rev:   func(r *ams.Identity) *int64 { return &r.Rev },
	}
}

func groups() noun[ams.Group, ams.AllRows] {
	return noun[ams.Group, ams.AllRows]{
		name:  "group",
		table: func(tx ams.Tx) ams.Table[ams.Group, ams.AllRows] { return tx.Groups() },
		key:   func(r *ams.Group) *string { return &r.Name },
		rev:   func(r *ams.Group) *int64 { return &r.Rev },
	}
}

func joinTokens() noun[ams.JoinToken, ams.AllRows] {
	return noun[ams.JoinToken, ams.AllRows]{
		name:  "token",
		table: func(tx ams.Tx) ams.Table[ams.JoinToken, ams.AllRows] { return tx.JoinTokens() },
		key:   func(r *ams.JoinToken) *string { return &r.ID },
		rev:   func(r *ams.JoinToken) *int64 { return &r.Rev },
	}
}
