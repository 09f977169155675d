package storagetest

import (
	"cmp"
	"context"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
)

// tableProperties returns the promises of one table.
func tableProperties[Row, Filter any](n noun[Row, Filter]) []Property {
	checks := []Property{
		{"put and get", n.checkPutGet},
		{"every field survives", n.checkFields},
		{"rows are values", n.checkValues},
		{"revisions", n.checkRevisions},
		{"delete", n.checkDelete},
		{"order and pages", n.checkPages},
		{"every filter field is checked", n.checkCoverage},
	}
	for _, f := range n.filters {
		checks = append(checks, Property{"filter/" + f.name, func(t testing.TB, s ams.Store) { n.checkFilter(t, s, f) }})
	}
	for i := range checks {
		checks[i].Name = n.name + "/" + checks[i].Name
	}
	return checks
}

// update runs fn in an Update that must succeed.
func update(t testing.TB, s ams.Store, fn func(ams.Tx) error) {
	t.Helper()
	require.NoError(t, s.Update(context.Background(), fn))
}

// view runs fn in a View that must succeed.
func view(t testing.TB, s ams.Store, fn func(ams.Tx) error) {
	t.Helper()
	require.NoError(t, s.View(context.Background(), fn))
}

func (n noun[Row, Filter]) put(t testing.TB, s ams.Store, rows ...Row) {
	t.Helper()
	update(t, s, func(tx ams.Tx) error {
		for _, r := range rows {
			if err := n.table(tx).Put(r); err != nil {
				return err
			}
		}
		return nil
	})
}

func (n noun[Row, Filter]) get(t testing.TB, s ams.Store, id string) (row Row) {
	t.Helper()
	view(t, s, func(tx ams.Tx) (err error) {
		row, err = n.table(tx).Get(id)
		return err
	})
	return row
}

func (n noun[Row, Filter]) list(t testing.TB, s ams.Store, f Filter, p ams.Page) (rows []Row) {
	t.Helper()
	view(t, s, func(tx ams.Tx) (err error) {
		rows, err = n.table(tx).List(f, p)
		return err
	})
	return rows
}

func (n noun[Row, Filter]) count(t testing.TB, s ams.Store, f Filter) (count int) {
	t.Helper()
	view(t, s, func(tx ams.Tx) (err error) {
		count, err = n.table(tx).Count(f)
		return err
	})
	return count
}

// fails runs fn in an Update and returns its error, which must have the code.
func fails(t testing.TB, s ams.Store, code ams.Code, fn func(ams.Tx) error) {
	t.Helper()
	err := s.Update(context.Background(), fn)
	require.ErrorIs(t, err, code)
}

func (n noun[Row, Filter]) checkPutGet(t testing.TB, s ams.Store) {
	random := rand.New(rand.NewPCG(1, 1))
	given := n.row(random, 1)
	before := throughJSON(given)
	n.put(t, s, given)
	require.Equal(t, before, throughJSON(given), "Put changed its argument")
	require.Equal(t, n.stored(given, 1), n.get(t, s, rowID(1)))

	changed := n.row(random, 1)
	*n.rev(&changed) = 1
	n.put(t, s, changed)
	require.Equal(t, n.stored(changed, 2), n.get(t, s, rowID(1)))
	require.Equal(t, []Row{n.stored(changed, 2)}, n.list(t, s, *new(Filter), ams.Page{}))
	require.Equal(t, 1, n.count(t, s, *new(Filter)))

	err := s.View(context.Background(), func(tx ams.Tx) error {
		_, err := n.table(tx).Get("nothing")
		return err
	})
	require.ErrorIs(t, err, ams.ErrNotFound)
}

func (n noun[Row, Filter]) checkFields(t testing.TB, s ams.Store) {
	random := rand.New(rand.NewPCG(2, 2))
	n.put(t, s, *n.empty())
	require.Equal(t, n.stored(*n.empty(), 1), n.get(t, s, "empty"))
	for i := range 50 {
		row := n.row(random, i)
		n.put(t, s, row)
		require.Equal(t, n.stored(row, 1), n.get(t, s, rowID(i)))
	}
}

// empty returns a row with nothing but its id.
func (n noun[Row, Filter]) empty() *Row {
	row := new(Row)
	*n.key(row) = "empty"
	return row
}

func (n noun[Row, Filter]) checkValues(t testing.TB, s ams.Store) {
	random := rand.New(rand.NewPCG(3, 3))
	for i := range 8 {
		given := n.row(random, i)
		want := n.stored(given, 1)
		update(t, s, func(tx ams.Tx) error {
			given := throughJSON(given)
			if err := n.table(tx).Put(given); err != nil {
				return err
			}
			spoil(reflect.ValueOf(&given).Elem())
			got, err := n.table(tx).Get(rowID(i))
			spoil(reflect.ValueOf(&got).Elem())
			return err
		})
		for range 2 { // the second time after the first result was spoilt
			got := n.get(t, s, rowID(i))
			require.Equal(t, want, got)
			spoil(reflect.ValueOf(&got).Elem())
			listed := n.list(t, s, *new(Filter), ams.Page{})
			for j := range listed {
				spoil(reflect.ValueOf(&listed[j]).Elem())
			}
		}
	}
}

func (n noun[Row, Filter]) checkRevisions(t testing.TB, s ams.Store) {
	random := rand.New(rand.NewPCG(4, 4))
	row := n.row(random, 1)
	n.put(t, s, row)
	put := func(rev int64) func(ams.Tx) error {
		return func(tx ams.Tx) error {
			row := row
			*n.rev(&row) = rev
			return n.table(tx).Put(row)
		}
	}
	fails(t, s, ams.ErrExists, put(0))
	fails(t, s, ams.ErrConflict, put(2))
	fails(t, s, ams.ErrConflict, put(-1))
	update(t, s, put(1))
	fails(t, s, ams.ErrConflict, put(1))
	fails(t, s, ams.ErrExists, put(0))
	// In one transaction the revision rises too, and a refused Put does no harm.
	update(t, s, func(tx ams.Tx) error {
		require.NoError(t, put(2)(tx))
		require.ErrorIs(t, put(2)(tx), ams.ErrConflict)
		return put(3)(tx)
	})
	got := n.get(t, s, rowID(1))
	require.Equal(t, int64(4), *n.rev(&got))
	update(t, s, func(tx ams.Tx) error { return n.table(tx).Delete(rowID(1)) })
	fails(t, s, ams.ErrNotFound, put(4))
	update(t, s, put(0))
	got = n.get(t, s, rowID(1))
	require.Equal(t, int64(1), *n.rev(&got))
}

func (n noun[Row, Filter]) checkDelete(t testing.TB, s ams.Store) {
	random := rand.New(rand.NewPCG(5, 5))
	n.put(t, s, n.row(random, 1), n.row(random, 2))
	remove := func(tx ams.Tx) error { return n.table(tx).Delete(rowID(1)) }
	update(t, s, remove)
	fails(t, s, ams.ErrNotFound, remove)
	listed := n.list(t, s, *new(Filter), ams.Page{})
	require.Len(t, listed, 1)
	require.Equal(t, rowID(2), *n.key(&listed[0]))
	require.Equal(t, 1, n.count(t, s, *new(Filter)))
	for _, f := range n.filters {
		for _, row := range n.list(t, s, f.filter, ams.Page{}) {
			require.Equal(t, rowID(2), *n.key(&row), "filter %s finds a deleted row", f.name)
		}
	}
}

func (n noun[Row, Filter]) checkPages(t testing.TB, s ams.Store) {
	random := rand.New(rand.NewPCG(6, 6))
	var want []Row
	for _, i := range random.Perm(30) {
		row := n.row(random, i)
		n.put(t, s, row)
		want = append(want, n.stored(row, 1))
	}
	n.sort(want)
	all := *new(Filter)
	require.Equal(t, want, n.list(t, s, all, ams.Page{}))
	require.Equal(t, want, n.list(t, s, all, ams.Page{Limit: -1, Offset: -5}))
	require.Equal(t, want[:7], n.list(t, s, all, ams.Page{Limit: 7}))
	require.Equal(t, want[7:11], n.list(t, s, all, ams.Page{Offset: 7, Limit: 4}))
	require.Equal(t, want[28:], n.list(t, s, all, ams.Page{Offset: 28, Limit: 4}))
	require.Equal(t, want[28:], n.list(t, s, all, ams.Page{Offset: 28}))
	require.Empty(t, n.list(t, s, all, ams.Page{Offset: 30}))
	require.Empty(t, n.list(t, s, all, ams.Page{Offset: 31, Limit: 1}))
}

func (n noun[Row, Filter]) sort(rows []Row) {
	slices.SortFunc(rows, func(a, b Row) int { return cmp.Compare(*n.key(&a), *n.key(&b)) })
}

// checkCoverage fails when a field of the filter has no case here.
func (n noun[Row, Filter]) checkCoverage(t testing.TB, _ ams.Store) {
	fields := reflect.TypeFor[Filter]()
	for i := range fields.NumField() {
		set := slices.ContainsFunc(n.filters, func(f filterCase[Row, Filter]) bool {
			return !reflect.ValueOf(f.filter).Field(i).IsZero()
		})
		require.True(t, set, "no case for the field %s", fields.Field(i).Name)
	}
}

// matching sees to it that one of the rows that stay matches the case: chance does
// not always do that where only one row has the name.
func (n noun[Row, Filter]) matching(random *rand.Rand, rows []Row, f filterCase[Row, Filter]) {
	for i := range rows {
		if i%5 > 0 && f.match(&rows[i]) {
			return
		}
	}
	for i := range rows {
		for range 20 {
			row := n.row(random, i)
			if *n.rev(&row) = 1; i%5 > 0 && f.match(&row) {
				rows[i] = row
				return
			}
		}
	}
}

func (n noun[Row, Filter]) checkFilter(t testing.TB, s ams.Store, f filterCase[Row, Filter]) {
	const size = 300 // so many that each case has rows that match and rows that do not
	random := rand.New(rand.NewPCG(7, 7))
	var first, second []Row
	for i := range size {
		first, second = append(first, n.row(random, i)), append(second, n.row(random, i))
		*n.rev(&second[i]) = 1
	}
	n.matching(random, second, f)
	n.put(t, s, first...)
	// Rows that have been changed, and some that have gone, are found as they are.
	update(t, s, func(tx ams.Tx) error {
		for i, row := range second {
			err := n.table(tx).Put(row)
			if err == nil && i%5 == 0 {
				err = n.table(tx).Delete(rowID(i))
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	var want []Row
	for _, row := range n.list(t, s, *new(Filter), ams.Page{}) {
		if f.match(&row) {
			want = append(want, row)
		}
	}
	require.NotEmpty(t, want, "the case says nothing")
	require.Less(t, len(want), size*4/5, "the case says nothing")
	require.Equal(t, len(want), n.count(t, s, f.filter))
	got := n.list(t, s, f.filter, ams.Page{})
	require.Len(t, got, len(want))
	for i := range want {
		require.Equal(t, want[i], got[i])
	}
	for offset := 0; offset < len(want); offset += 3 {
		end := min(offset+3, len(want))
		require.Equal(t, want[offset:end], n.list(t, s, f.filter, ams.Page{Offset: offset, Limit: 3}))
	}
}
