package storagetest

import (
	"context"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
)

// eventProperties returns the promises of the event log.
func eventProperties() []Property {
	return []Property{
		{"events/fields", checkEventFields},
		{"events/since", checkSince},
		{"events/bounds and trim", checkTrim},
		{"events/many writers", checkEventOrder},
	}
}

func appendEvents(t testing.TB, s ams.Store, ids ...string) {
	t.Helper()
	update(t, s, func(tx ams.Tx) error {
		for _, id := range ids {
			if err := tx.Events().Append(ams.Event{Seq: 99, ID: id}); err != nil {
				return err
			}
		}
		return nil
	})
}

func requireBounds(t testing.TB, s ams.Store, oldest, newest int64) {
	t.Helper()
	view(t, s, func(tx ams.Tx) error {
		gotOldest, gotNewest, err := tx.Events().Bounds()
		require.Equal(t, [2]int64{oldest, newest}, [2]int64{gotOldest, gotNewest})
		return err
	})
}

func since(t testing.TB, s ams.Store, seq int64, limit int) (events []ams.Event) {
	t.Helper()
	view(t, s, func(tx ams.Tx) (err error) {
		events, err = tx.Events().Since(seq, limit)
		return err
	})
	return events
}

func checkEventFields(t testing.TB, s ams.Store) {
	want := ams.Event{
		Seq: 7, Time: time.UnixMilli(1_700_000_000_123).UTC(), Type: ams.EventLifecycle,
		Kind: "instance", ID: "id", Action: "running", Message: "it's <up> ä",
	}
	update(t, s, func(tx ams.Tx) error { return tx.Events().Append(want) })
	want.Seq = 1
	require.Equal(t, []ams.Event{want}, since(t, s, 0, 10))
}

func checkSince(t testing.TB, s ams.Store) {
	require.Empty(t, since(t, s, 0, 10))
	appendEvents(t, s, "1", "2", "3")
	appendEvents(t, s, "4", "5")
	all := since(t, s, 0, 10)
	require.Len(t, all, 5)
	for i, e := range all {
		require.Equal(t, int64(i+1), e.Seq)
		require.Equal(t, fmt.Sprint(i+1), e.ID)
	}
	require.Equal(t, all, since(t, s, -3, math.MaxInt))
	require.Equal(t, all[1:3], since(t, s, 1, 2))
	require.Equal(t, all[4:], since(t, s, 4, 2))
	require.Empty(t, since(t, s, 5, 2))
	require.Empty(t, since(t, s, math.MaxInt64, 2))
}

func checkTrim(t testing.TB, s ams.Store) {
	trim := func(seq int64) {
		update(t, s, func(tx ams.Tx) error { return tx.Events().Trim(seq) })
	}
	requireBounds(t, s, 1, 0)
	trim(10)
	requireBounds(t, s, 1, 0)
	appendEvents(t, s, "1", "2", "3", "4")
	requireBounds(t, s, 1, 4)
	trim(0)
	requireBounds(t, s, 1, 4)
	trim(2)
	requireBounds(t, s, 3, 4)
	require.Equal(t, int64(3), since(t, s, 0, 10)[0].Seq)
	trim(1)
	requireBounds(t, s, 3, 4)
	trim(100)
	requireBounds(t, s, 5, 4)
	require.Empty(t, since(t, s, 0, 10))
	appendEvents(t, s, "5")
	requireBounds(t, s, 5, 5)
	require.Equal(t, int64(5), since(t, s, 0, 10)[0].Seq)
	update(t, s, func(tx ams.Tx) error {
		require.NoError(t, tx.Events().Append(ams.Event{ID: "6"}))
		return tx.Events().Trim(6)
	})
	requireBounds(t, s, 7, 6)
}

func checkEventOrder(t testing.TB, s ams.Store) {
	parallel(8, func(i int) {
		for j := range 25 {
			assertNoError(t, s.Update(context.Background(), func(tx ams.Tx) error {
				if err := tx.Events().Append(ams.Event{ID: "first", Message: fmt.Sprint(i, j)}); err != nil {
					return err
				}
				return tx.Events().Append(ams.Event{ID: "second", Message: fmt.Sprint(i, j)})
			}))
		}
	})
	events := since(t, s, 0, 1000)
	require.Len(t, events, 400)
	for i := 0; i < len(events); i += 2 {
		first, second := events[i], events[i+1]
		require.Equal(t, "first", first.ID)
		require.Equal(t, "second", second.ID)
		require.Equal(t, first.Message, second.Message, "events of two updates are mixed")
		require.Less(t, first.Seq, second.Seq)
		require.True(t, i == 0 || events[i-1].Seq < first.Seq)
	}
}
