package xid

import (
	"sort"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestIDsRise(t *testing.T) {
	s := NewSource()
	now := time.Unix(1_700_000_000, 0)
	var ids []string
	for i := range 1000 {
		ids = append(ids, s.New(now.Add(time.Duration(i%7-3)*time.Second)))
	}
	require.True(t, sort.StringsAreSorted(ids), "a clock that goes back must not disorder ids")
	seen := map[string]bool{}
	for _, id := range ids {
		require.Len(t, id, Len)
		require.False(t, seen[id])
		seen[id] = true
	}
}

func TestTime(t *testing.T) {
	now := time.Unix(1_700_000_000, 0).UTC()
	got, ok := Time(NewSource().New(now))
	require.True(t, ok)
	require.Equal(t, now, got)
	for _, bad := range []string{"", "x", "zzzzzzzzzzzzzzzzzzzz", "btavtegj1qm58qg7ru501"} {
		_, ok := Time(bad)
		require.False(t, ok, bad)
	}
}

func TestTwoSourcesDiffer(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	require.NotEqual(t, NewSource().New(now), NewSource().New(now))
}

func TestUUID(t *testing.T) {
	a := UUID(time.UnixMilli(1_700_000_000_000))
	b := UUID(time.UnixMilli(1_700_000_000_001))
	require.Regexp(t, `^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`, a)
	require.Less(t, a, b)
}
