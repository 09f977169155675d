package storagetest

import (
	"context"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
)

// Compare does the same random things to two empty stores, and fails as soon as
// they tell the two apart. The seed decides what is done; print it.
func Compare(t testing.TB, a, b ams.Store, seed uint64) {
	t.Helper()
	random := rand.New(rand.NewPCG(seed, seed))
	for range 60 {
		compareTransaction(t, a, b, random.Uint64())
	}
	for _, look := range []func(tx ams.Tx) outcome{
		everything(applications()), everything(versions()), everything(addons()), everything(images()), everything(instances()),
		everything(nodes()), everything(operations()), everything(settings()),
		everything(identities()), everything(groups()), everything(joinTokens()),
	} {
		require.Equal(t, inView(t, a, look), inView(t, b, look), "seed %d", seed)
	}
}

// outcome is all that a caller can see of some calls.
type outcome struct {
	Code   ams.Code
	Values []any
}

func (o *outcome) add(err error, values ...any) {
	o.Values = append(append(o.Values, ams.CodeOf(err)), values...)
}

// compareTransaction runs one transaction of random steps in both stores.
func compareTransaction(t testing.TB, a, b ams.Store, seed uint64) {
	t.Helper()
	run := func(s ams.Store) (seen outcome) {
		err := s.Update(context.Background(), func(tx ams.Tx) error {
			seen = outcome{} // the function may run again
			random := rand.New(rand.NewPCG(seed, seed))
			for range 1 + random.IntN(12) {
				randomStep(tx, random, &seen)
			}
			if random.IntN(4) == 0 {
				return ams.ErrState
			}
			return nil
		})
		seen.Code = ams.CodeOf(err)
		return seen
	}
	require.Equal(t, run(a), run(b), "transaction %d", seed)
}

func inView(t testing.TB, s ams.Store, look func(tx ams.Tx) outcome) (seen outcome) {
	t.Helper()
	view(t, s, func(tx ams.Tx) error {
		seen = look(tx)
		return nil
	})
	return seen
}

// everything returns all that the filters of a noun can show.
func everything[Row, Filter any](n noun[Row, Filter]) func(tx ams.Tx) outcome {
	return func(tx ams.Tx) (seen outcome) {
		rows, err := n.table(tx).List(*new(Filter), ams.Page{})
		seen.add(err, rows)
		for _, f := range n.filters {
			rows, err := n.table(tx).List(f.filter, ams.Page{})
			seen.add(err, rows)
			count, err := n.table(tx).Count(f.filter)
			seen.add(err, count)
		}
		return seen
	}
}

// randomStep does one thing in a transaction and notes what came of it.
func randomStep(tx ams.Tx, random *rand.Rand, seen *outcome) {
	switch random.IntN(10) {
	case 0:
		rowStep(tx, applications(), random, seen)
	case 1:
		rowStep(tx, versions(), random, seen)
	case 2:
		rowStep(tx, addons(), random, seen)
		rowStep(tx, images(), random, seen)
	case 3, 4:
		rowStep(tx, instances(), random, seen)
	case 5:
		rowStep(tx, nodes(), random, seen)
	case 6:
		rowStep(tx, operations(), random, seen)
	case 7:
		rowStep(tx, settings(), random, seen)
	case 8:
		rowStep(tx, identities(), random, seen)
		rowStep(tx, groups(), random, seen)
		rowStep(tx, joinTokens(), random, seen)
	default:
		eventStep(tx, random, seen)
	}
}

func rowStep[Row, Filter any](tx ams.Tx, n noun[Row, Filter], random *rand.Rand, seen *outcome) {
	table := n.table(tx)
	row := n.row(random, random.IntN(12))
	if n.label != nil && random.IntN(3) == 0 {
		*n.label(&row) = "name-1"
	}
	if n.second != nil && random.IntN(3) == 0 {
		*n.second(&row) = []string{"", "second-1"}[random.IntN(2)]
	}
	switch id := *n.key(&row); random.IntN(7) {
	case 0, 1:
		seen.add(table.Put(row))
	case 2, 3: // a change of what is there
		old, err := table.Get(id)
		seen.add(err, old)
		*n.rev(&row) = *n.rev(&old) + int64(random.IntN(8)/7)
		seen.add(table.Put(row))
	case 4:
		seen.add(table.Delete(id))
	default:
		page := ams.Page{Offset: random.IntN(6) - 1, Limit: random.IntN(6) - 1}
		filter := *new(Filter)
		if len(n.filters) > 0 {
			filter = n.filters[random.IntN(len(n.filters))].filter
		}
		rows, err := table.List(filter, page)
		seen.add(err, rows)
		count, err := table.Count(filter)
		seen.add(err, count)
	}
}

func eventStep(tx ams.Tx, random *rand.Rand, seen *outcome) {
	log := tx.Events()
	switch random.IntN(6) {
	case 0:
		seen.add(log.Trim(random.Int64N(40)))
	case 1:
		events, err := log.Since(random.Int64N(40), random.IntN(5))
		seen.add(err, events)
	case 2:
		oldest, newest, err := log.Bounds()
		seen.add(err, oldest, newest)
	default:
		words := words()
		seen.add(log.Append(ams.Event{ID: words[random.IntN(len(words))]}))
	}
}
