package storagetest

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
)

// txProperties returns the promises of View and Update.
func txProperties() []Property {
	return []Property{
		{"tx/an error rolls back", checkRollback},
		{"tx/a panic rolls back", checkPanic},
		{"tx/an ended goroutine rolls back", checkGoexit},
		{"tx/an update sees its own writes", checkOwnWrites},
		{"tx/all nouns change together", checkTogether},
		{"tx/a view sees one state", checkSnapshot},
		{"tx/a view sees what was committed", checkVisible},
		{"tx/a view cannot write", checkReadOnly},
		{"tx/a view returns its error", checkViewError},
		{"tx/an ended transaction is of no use", checkEnded},
		{"tx/a cancelled context", checkCancelled},
		{"tx/a context cancelled while fn runs", checkCancelledInside},
	}
}

// setting writes and reads the simplest row there is.
func setSetting(tx ams.Tx, key, value string) error {
	row, err := tx.Settings().Get(key)
	if err != nil && !errors.Is(err, ams.ErrNotFound) {
		return err
	}
	row.Key, row.Value = key, value
	return tx.Settings().Put(row)
}

// getSetting returns "" if there is none.
func getSetting(tx ams.Tx, key string) (string, error) {
	row, err := tx.Settings().Get(key)
	if errors.Is(err, ams.ErrNotFound) {
		err = nil
	}
	return row.Value, err
}

func requireSetting(t testing.TB, s ams.Store, key, want string) {
	t.Helper()
	view(t, s, func(tx ams.Tx) error {
		got, err := getSetting(tx, key)
		require.Equal(t, want, got)
		return err
	})
}

// write makes one change of each kind.
func write(tx ams.Tx) error {
	return errors.Join(
		setSetting(tx, "changed", "new"),
		setSetting(tx, "made", "new"),
		tx.Settings().Delete("deleted"),
		tx.Events().Append(ams.Event{ID: "new"}),
		tx.Events().Trim(1),
	)
}

// prepare makes what write changes.
func prepare(t testing.TB, s ams.Store) {
	t.Helper()
	update(t, s, func(tx ams.Tx) error {
		return errors.Join(
			setSetting(tx, "changed", "old"),
			setSetting(tx, "deleted", "old"),
			tx.Events().Append(ams.Event{ID: "old 1"}),
			tx.Events().Append(ams.Event{ID: "old 2"}),
		)
	})
}

// requireUntouched fails if anything is left of write.
func requireUntouched(t testing.TB, s ams.Store) {
	t.Helper()
	requireSetting(t, s, "changed", "old")
	requireSetting(t, s, "made", "")
	requireSetting(t, s, "deleted", "old")
	view(t, s, func(tx ams.Tx) error {
		events, err := tx.Events().Since(0, 10)
		require.Len(t, events, 2)
		return err
	})
}

func checkRollback(t testing.TB, s ams.Store) {
	prepare(t, s)
	own := errors.New("own error")
	err := s.Update(context.Background(), func(tx ams.Tx) error {
		require.NoError(t, write(tx))
		return own
	})
	require.True(t, err == own, "the error of fn comes back as it is, not as %v", err) //nolint:errorlint // identity is the promise
	requireUntouched(t, s)
	update(t, s, write)
	requireSetting(t, s, "made", "new")
}

func checkPanic(t testing.TB, s ams.Store) {
	prepare(t, s)
	require.PanicsWithValue(t, "own panic", func() {
		s.Update(context.Background(), func(tx ams.Tx) error {
			require.NoError(t, write(tx))
			panic("own panic")
		})
	})
	requireUntouched(t, s)
	require.PanicsWithValue(t, "own panic", func() {
		s.View(context.Background(), func(ams.Tx) error { panic("own panic") })
	})
	update(t, s, write)
}

func checkGoexit(t testing.TB, s ams.Store) {
	prepare(t, s)
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Update(context.Background(), func(tx ams.Tx) error {
			assertNoError(t, write(tx))
			exitGoroutine()
			return nil
		})
	}()
	<-done
	requireUntouched(t, s)
	update(t, s, write)
}

func checkOwnWrites(t testing.TB, s ams.Store) {
	update(t, s, func(tx ams.Tx) error {
		require.NoError(t, setSetting(tx, "k", "1"))
		require.NoError(t, setSetting(tx, "k", "2"))
		got, err := getSetting(tx, "k")
		require.NoError(t, err)
		require.Equal(t, "2", got)
		count, err := tx.Settings().Count(ams.SettingFilter{})
		require.NoError(t, err)
		require.Equal(t, 1, count)
		require.NoError(t, tx.Events().Append(ams.Event{ID: "e"}))
		events, err := tx.Events().Since(0, 10)
		require.NoError(t, err)
		require.Len(t, events, 1)
		require.NoError(t, tx.Settings().Delete("k"))
		_, err = tx.Settings().Get("k")
		require.ErrorIs(t, err, ams.ErrNotFound)
		return nil
	})
	requireSetting(t, s, "k", "")
}

func checkTogether(t testing.TB, s ams.Store) {
	all := func(tx ams.Tx) error {
		return errors.Join(
			tx.Applications().Put(ams.Application{ID: "1"}), tx.Versions().Put(ams.Version{ID: "1"}),
			tx.Images().Put(ams.Image{ID: "1"}), tx.Instances().Put(ams.Instance{ID: "1"}),
			tx.Nodes().Put(ams.Node{Name: "1"}), tx.Operations().Put(ams.Operation{ID: "1"}),
			tx.Settings().Put(ams.Setting{Key: "1"}), tx.Events().Append(ams.Event{ID: "1"}),
			tx.Identities().Put(ams.Identity{ID: "1"}), tx.Groups().Put(ams.Group{Name: "1"}), tx.JoinTokens().Put(ams.JoinToken{ID: "1"}),
		)
	}
	counts := func() (counts [11]int) {
		view(t, s, func(tx ams.Tx) error {
			var errs [11]error
			counts[0], errs[0] = tx.Applications().Count(ams.ApplicationFilter{})
			counts[1], errs[1] = tx.Versions().Count(ams.VersionFilter{})
			counts[2], errs[2] = tx.Images().Count(ams.ImageFilter{})
			counts[3], errs[3] = tx.Instances().Count(ams.InstanceFilter{})
			counts[4], errs[4] = tx.Nodes().Count(ams.NodeFilter{})
			counts[5], errs[5] = tx.Operations().Count(ams.OperationFilter{})
			counts[6], errs[6] = tx.Settings().Count(ams.SettingFilter{})
			events, err := tx.Events().Since(0, 10)
			counts[7], errs[7] = len(events), err
			counts[8], errs[8] = tx.Identities().Count(ams.IdentityFilter{})
			counts[9], errs[9] = tx.Groups().Count(ams.GroupFilter{})
			counts[10], errs[10] = tx.JoinTokens().Count(ams.JoinTokenFilter{})
			return errors.Join(errs[:]...)
		})
		return counts
	}
	fails(t, s, ams.ErrState, func(tx ams.Tx) error { return errors.Join(all(tx), ams.ErrState) })
	require.Equal(t, [11]int{}, counts())
	update(t, s, all)
	require.Equal(t, [11]int{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, counts())
}

func checkSnapshot(t testing.TB, s ams.Store) {
	prepare(t, s)
	view(t, s, func(tx ams.Tx) error {
		look := func() string {
			changed, err := getSetting(tx, "changed")
			require.NoError(t, err)
			made, err := getSetting(tx, "made")
			require.NoError(t, err)
			oldest, newest, err := tx.Events().Bounds()
			require.NoError(t, err)
			return fmt.Sprint(changed, made, oldest, newest)
		}
		before := look()
		update(t, s, write)
		require.Equal(t, before, look())
		return nil
	})
	// A View inside an Update sees the state before it.
	update(t, s, func(tx ams.Tx) error {
		require.NoError(t, setSetting(tx, "changed", "newer"))
		requireSetting(t, s, "changed", "new")
		return nil
	})
	requireSetting(t, s, "changed", "newer")
}

func checkVisible(t testing.TB, s ams.Store) {
	for i := range 50 {
		value := fmt.Sprint(i)
		update(t, s, func(tx ams.Tx) error { return setSetting(tx, "k", value) })
		requireSetting(t, s, "k", value)
	}
}

func checkReadOnly(t testing.TB, s ams.Store) {
	prepare(t, s)
	view(t, s, func(tx ams.Tx) error {
		require.ErrorIs(t, tx.Settings().Put(ams.Setting{Key: "made"}), ams.ErrInternal)
		require.ErrorIs(t, tx.Settings().Delete("deleted"), ams.ErrInternal)
		require.ErrorIs(t, tx.Events().Append(ams.Event{}), ams.ErrInternal)
		require.ErrorIs(t, tx.Events().Trim(1), ams.ErrInternal)
		return nil
	})
	requireUntouched(t, s)
}

func checkViewError(t testing.TB, s ams.Store) {
	own := errors.New("own error")
	err := s.View(context.Background(), func(ams.Tx) error { return own })
	require.True(t, err == own, "the error of fn comes back as it is, not as %v", err) //nolint:errorlint // identity is the promise
}

func checkEnded(t testing.TB, s ams.Store) {
	prepare(t, s)
	var kept []ams.Tx
	keep := func(tx ams.Tx) error {
		kept = append(kept, tx)
		return nil
	}
	update(t, s, keep)
	view(t, s, keep)
	for _, tx := range kept {
		_, err := tx.Settings().Get("changed")
		require.ErrorIs(t, err, ams.ErrInternal)
		_, err = tx.Settings().List(ams.SettingFilter{}, ams.Page{})
		require.ErrorIs(t, err, ams.ErrInternal)
		_, err = tx.Settings().Count(ams.SettingFilter{})
		require.ErrorIs(t, err, ams.ErrInternal)
		require.ErrorIs(t, tx.Settings().Put(ams.Setting{Key: "made"}), ams.ErrInternal)
		require.ErrorIs(t, tx.Settings().Delete("deleted"), ams.ErrInternal)
		require.ErrorIs(t, tx.Events().Append(ams.Event{}), ams.ErrInternal)
		require.ErrorIs(t, tx.Events().Trim(1), ams.ErrInternal)
		_, err = tx.Events().Since(0, 1)
		require.ErrorIs(t, err, ams.ErrInternal)
		_, _, err = tx.Events().Bounds()
		require.ErrorIs(t, err, ams.ErrInternal)
	}
	requireUntouched(t, s)
}

func checkCancelled(t testing.TB, s ams.Store) {
	prepare(t, s)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	ran := false
	require.ErrorIs(t, s.Update(ctx, func(tx ams.Tx) error { ran = true; return write(tx) }), context.Canceled)
	require.ErrorIs(t, s.View(ctx, func(ams.Tx) error { ran = true; return nil }), context.Canceled)
	require.False(t, ran)
	requireUntouched(t, s)
}

// checkCancelledInside allows both outcomes, but not a mixture.
func checkCancelledInside(t testing.TB, s ams.Store) {
	prepare(t, s)
	ctx, cancel := context.WithCancel(context.Background())
	err := s.Update(ctx, func(tx ams.Tx) error {
		cancel()
		return write(tx)
	})
	if err != nil {
		require.ErrorIs(t, err, context.Canceled)
		requireUntouched(t, s)
		return
	}
	requireSetting(t, s, "changed", "new")
	requireSetting(t, s, "deleted", "")
}

// checkClosed checks a store that can be closed.
func checkClosed(t testing.TB, s ams.Store) {
	closer := s.(interface{ Close() error })
	prepare(t, s)
	require.NoError(t, closer.Close())
	require.ErrorIs(t, s.Update(context.Background(), write), ams.ErrUnavailable)
	require.ErrorIs(t, s.View(context.Background(), func(ams.Tx) error { return nil }), ams.ErrUnavailable)
	require.NoError(t, closer.Close(), "closing twice")
}
