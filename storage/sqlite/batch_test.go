package sqlite

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
)

// gather holds the writer until all the functions wait for it, lets them go, and
// returns their results and the batch that the first was in.
func gather(t *testing.T, s *Store, fns ...func(ams.Tx) error) (results []error, first *batch) {
	t.Helper()
	running, hold := make(chan struct{}), make(chan struct{})
	done := make([]chan error, len(fns))
	for i, fn := range fns {
		done[i] = make(chan error, 1)
		go func() {
			done[i] <- s.Update(context.Background(), func(tx ams.Tx) error {
				if i == 0 {
					first = s.writer.batch
					close(running)
					<-hold
				}
				return fn(tx)
			})
		}()
		if i == 0 {
			<-running
			continue
		}
		require.Eventually(t, func() bool {
			s.writer.mu.Lock()
			defer s.writer.mu.Unlock()
			return len(s.writer.queue) == i
		}, 10*time.Second, time.Millisecond)
	}
	close(hold)
	for _, d := range done {
		results = append(results, <-d)
	}
	return results, first
}

func openForBatch(t *testing.T) *Store {
	t.Helper()
	s, err := Open(filepath.Join(t.TempDir(), "ams.db"), &Options{Synchronous: Off})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func putKey(key string) func(ams.Tx) error {
	return func(tx ams.Tx) error { return tx.Settings().Put(ams.Setting{Key: key}) }
}

func TestBatchIsOneCommit(t *testing.T) {
	s := openForBatch(t)
	own := errors.New("own error")
	results, batch := gather(t, s, putKey("a"), putKey("b"),
		func(tx ams.Tx) error {
			_, err := tx.Settings().Get("a") // what came before it in the batch
			return errors.Join(err, putKey("c")(tx))
		},
		func(tx ams.Tx) error { return errors.Join(putKey("d")(tx), own) },
		putKey("a"), // taken
		putKey("e"),
	)
	require.Equal(t, 6, batch.size)
	for i, want := range []error{nil, nil, nil, own, ams.ErrExists, nil} {
		require.ErrorIs(t, results[i], want)
	}
	requireRows(t, s, 4)
}

func TestBatchIsBounded(t *testing.T) {
	s := openForBatch(t)
	var fns []func(ams.Tx) error
	for i := range maxBatch + 10 {
		fns = append(fns, putKey(fmt.Sprint(i)))
	}
	results, batch := gather(t, s, fns...)
	require.Equal(t, maxBatch, batch.size)
	require.NoError(t, errors.Join(results...))
	requireRows(t, s, maxBatch+10)
}

func TestBatchBeginsWithFailure(t *testing.T) {
	s := openForBatch(t)
	own := errors.New("own error")
	results, batch := gather(t, s,
		func(tx ams.Tx) error { return errors.Join(putKey("a")(tx), own) }, putKey("b"), putKey("c"))
	require.Equal(t, 1, batch.size)
	require.ErrorIs(t, results[0], own)
	require.NoError(t, errors.Join(results[1:]...))
	requireRows(t, s, 2)
}

// TestBatchCommitFails makes COMMIT itself fail, by a constraint that is checked
// only then.
func TestBatchCommitFails(t *testing.T) {
	s := openForBatch(t)
	require.NoError(t, s.writer.conn.script(`PRAGMA foreign_keys = ON; CREATE TABLE parent (id INTEGER PRIMARY KEY);
		CREATE TABLE child (parent REFERENCES parent DEFERRABLE INITIALLY DEFERRED)`))
	own := errors.New("own error")
	results, _ := gather(t, s, putKey("a"),
		func(ams.Tx) error {
			_, err := s.writer.conn.exec("INSERT INTO child VALUES (1)")
			return err
		},
		func(ams.Tx) error { return own },
		putKey("b"))
	for _, err := range results {
		require.ErrorIs(t, err, ams.ErrInternal)
		require.ErrorContains(t, err, "FOREIGN KEY")
	}
	requireRows(t, s, 0)
	require.NoError(t, s.Update(context.Background(), putKey("a")))
	requireRows(t, s, 1)
}

// TestBatchLosesTransaction has SQLite roll the transaction back in the middle of
// a batch, and the function that met it keep it to itself.
func TestBatchLosesTransaction(t *testing.T) {
	s := openForBatch(t)
	require.NoError(t, s.writer.conn.script("PRAGMA max_page_count = 200"))
	results, _ := gather(t, s, putKey("a"), putKey("b"),
		func(tx ams.Tx) error {
			for i := range 10_000 {
				if tx.Settings().Put(ams.Setting{Key: fmt.Sprint(i), Value: strings.Repeat("x", 1000)}) != nil {
					break
				}
			}
			require.ErrorIs(t, putKey("more")(tx), ams.ErrNoSpace)
			return nil
		},
		putKey("c"))
	require.ErrorIs(t, results[2], ams.ErrNoSpace)
	require.NoError(t, results[3])
	require.Equal(t, results[0], results[1], "one transaction, two answers")
	kept := 1
	if results[0] == nil {
		kept = 3
	}
	requireRows(t, s, kept)
}

// TestStatementsAreBounded uses more different statements than are kept.
func TestStatementsAreBounded(t *testing.T) {
	s := openForBatch(t)
	require.NoError(t, s.readOne(func(c *conn) error {
		for i := range 3 * maxStatements {
			if _, err := c.exec(fmt.Sprintf("SELECT %d", i)); err != nil {
				return err
			}
			require.LessOrEqual(t, len(c.statements), maxStatements)
		}
		return nil
	}))
}
