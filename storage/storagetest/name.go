package storagetest

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
)

// nameProperties returns the promises about names that must be unique.
func nameProperties() []Property {
	return []Property{
		{"names/application", func(t testing.TB, s ams.Store) { checkNames(t, s, applications()) }},
		{"names/instance", func(t testing.TB, s ams.Store) { checkNames(t, s, instances()) }},
		{"names/image", func(t testing.TB, s ams.Store) { checkNames(t, s, images()) }},
		{"names/images of two kinds", checkImageKinds},
		{"names/identity, fingerprint", func(t testing.TB, s ams.Store) { checkNames(t, s, identities()) }},
		{"names/identity, email", func(t testing.TB, s ams.Store) {
			n := identities()
			n.label, n.second = n.second, n.label
			checkNames(t, s, n)
		}},
		{"names/identities without names", checkNameless},
		{"names/identities of two methods", checkMethods},
		{"names/join token", func(t testing.TB, s ams.Store) { checkNames(t, s, joinTokens()) }},
	}
}

func checkNames[Row, Filter any](t testing.TB, s ams.Store, n noun[Row, Filter]) {
	random := rand.New(rand.NewPCG(8, 8))
	row := n.row(random, 1)
	if n.second != nil {
		*n.second(&row) = ""
	}
	put := func(i int, name string, rev int64) func(ams.Tx) error {
		return func(tx ams.Tx) error {
			row := row
			*n.key(&row), *n.label(&row), *n.rev(&row) = rowID(i), name, rev
			return n.table(tx).Put(row)
		}
	}
	remove := func(i int) func(ams.Tx) error {
		return func(tx ams.Tx) error { return n.table(tx).Delete(rowID(i)) }
	}
	update(t, s, put(1, "x", 0))
	fails(t, s, ams.ErrExists, put(2, "x", 0))
	update(t, s, put(2, "X", 0)) // case matters
	fails(t, s, ams.ErrExists, put(2, "x", 1))
	update(t, s, put(1, "x", 1)) // its own name is no hindrance
	update(t, s, put(1, "y", 2)) // renamed
	update(t, s, put(2, "x", 1)) // the old name is free
	fails(t, s, ams.ErrExists, put(3, "x", 0))
	update(t, s, remove(2))
	update(t, s, put(3, "x", 0))

	// Within one transaction names are taken and freed at once, and a refused Put
	// leaves the transaction as it was.
	update(t, s, func(tx ams.Tx) error {
		require.ErrorIs(t, put(4, "x", 0)(tx), ams.ErrExists)
		require.NoError(t, remove(3)(tx))
		require.NoError(t, put(4, "x", 0)(tx))
		require.ErrorIs(t, put(5, "x", 0)(tx), ams.ErrExists)
		return put(5, "z", 0)(tx)
	})
	// Names taken in what was rolled back are free.
	fails(t, s, ams.ErrState, func(tx ams.Tx) error {
		require.NoError(t, put(6, "w", 0)(tx))
		return ams.ErrState
	})
	update(t, s, put(7, "w", 0))
	names := map[string]string{}
	for _, row := range n.list(t, s, *new(Filter), ams.Page{}) {
		names[*n.key(&row)] = *n.label(&row)
	}
	require.Equal(t, map[string]string{"id-1": "y", "id-4": "x", "id-5": "z", "id-7": "w"}, names)
}

func checkImageKinds(t testing.TB, s ams.Store) {
	put := func(id string, vm bool) func(ams.Tx) error {
		return func(tx ams.Tx) error { return tx.Images().Put(ams.Image{ID: id, Name: "jammy", VM: vm}) }
	}
	update(t, s, put("1", false))
	update(t, s, put("2", true))
	fails(t, s, ams.ErrExists, put("3", true))
	fails(t, s, ams.ErrExists, put("3", false))
}

// checkNameless checks that what is empty is not taken.
func checkNameless(t testing.TB, s ams.Store) {
	update(t, s, func(tx ams.Tx) error {
		require.NoError(t, tx.Identities().Put(ams.Identity{ID: "1"}))
		require.NoError(t, tx.Identities().Put(ams.Identity{ID: "2"}))
		require.NoError(t, tx.Identities().Put(ams.Identity{ID: "3", Fingerprint: "f"}))
		return tx.Identities().Put(ams.Identity{ID: "4", Email: "e"})
	})
}

// checkMethods checks that an email is taken within one method only.
func checkMethods(t testing.TB, s ams.Store) {
	put := func(id string, method ams.AuthMethod, fingerprint string) func(ams.Tx) error {
		return func(tx ams.Tx) error {
			return tx.Identities().Put(ams.Identity{ID: id, Method: method, Email: "e", Fingerprint: fingerprint})
		}
	}
	update(t, s, put("1", ams.AuthOIDC, ""))
	update(t, s, put("2", ams.AuthTLS, "f"))
	fails(t, s, ams.ErrExists, put("3", ams.AuthOIDC, ""))
	fails(t, s, ams.ErrExists, put("3", "other", "f"))
}
