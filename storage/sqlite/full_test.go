package sqlite

import (
	"context"
	"database/sql/driver"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
)

// fillUp writes until the store is full, and returns how many rows were written.
func fillUp(t *testing.T, s *Store, prefix string) (rows int) {
	t.Helper()
	for ; rows < 100_000; rows++ {
		err := s.Update(context.Background(), func(tx ams.Tx) error {
			return tx.Settings().Put(ams.Setting{Key: fmt.Sprint(prefix, rows), Value: strings.Repeat("x", 1000)})
		})
		if err != nil {
			require.ErrorIs(t, err, ams.ErrNoSpace)
			return rows
		}
	}
	t.Fatal("the store is never full")
	return 0
}

func requireRows(t *testing.T, s *Store, want int) {
	t.Helper()
	require.NoError(t, s.View(context.Background(), func(tx ams.Tx) error {
		n, err := tx.Settings().Count(ams.SettingFilter{})
		require.Equal(t, want, n)
		return err
	}))
	require.NoError(t, s.readOne(func(c *conn) error {
		found := ""
		err := c.query("PRAGMA integrity_check", nil, 1, func(row []driver.Value) error {
			found += row[0].(string)
			return nil
		})
		require.Equal(t, "ok", found)
		return err
	}))
}

// readOne lends a reading connection.
func (s *Store) readOne(fn func(*conn) error) error {
	c, err := s.reader(context.Background())
	if err != nil {
		return err
	}
	defer func() { s.readers <- c }()
	return fn(c)
}

// TestFull limits the size of the file, which SQLite reports as a full disk.
func TestFull(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ams.db")
	s, err := Open(path, &Options{maxPages: 200, Synchronous: Off})
	require.NoError(t, err)
	rows := fillUp(t, s, "a")
	requireRows(t, s, rows)
	require.NoError(t, s.Close())

	s, err = Open(path, &Options{maxPages: 400, Synchronous: Off})
	require.NoError(t, err)
	more := fillUp(t, s, "b")
	require.Positive(t, more)
	requireRows(t, s, rows+more)
	require.NoError(t, s.Close())
}

// TestFullInBatch has one update of a batch meet the end of the disk: the others
// are committed or told, and what was told is true.
func TestFullInBatch(t *testing.T) {
	s, err := Open(filepath.Join(t.TempDir(), "ams.db"), &Options{maxPages: 150, Synchronous: Off})
	require.NoError(t, err)
	const callers = 32
	results := make(chan int, callers)
	for i := range callers {
		go func() {
			kept := 0
			for j := range 100 {
				err := s.Update(context.Background(), func(tx ams.Tx) error {
					return tx.Settings().Put(ams.Setting{Key: fmt.Sprint(i, " ", j), Value: strings.Repeat("x", 1000)})
				})
				if err == nil {
					kept++
				} else if ams.CodeOf(err) != ams.ErrNoSpace {
					t.Errorf("unexpected error: %v", err)
				}
			}
			results <- kept
		}()
	}
	kept := 0
	for range callers {
		kept += <-results
	}
	require.Positive(t, kept)
	require.Less(t, kept, callers*100)
	requireRows(t, s, kept)
	require.NoError(t, s.Close())
}

// TestFullDisk uses a small file system of its own where the test may make one.
// TestFull covers the same for everyone else.
func TestFullDisk(t *testing.T) {
	disk := t.TempDir()
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=2m"); err != nil {
		t.Logf("no file system of its own (%v): see TestFull", err)
		return
	}
	defer func() { require.NoError(t, syscall.Unmount(disk, 0)) }()
	filler := filepath.Join(disk, "filler")
	require.NoError(t, os.WriteFile(filler, make([]byte, 1<<20), 0o600))

	s, err := Open(filepath.Join(disk, "ams.db"), nil)
	require.NoError(t, err)
	rows := fillUp(t, s, "a")
	require.Positive(t, rows)
	requireRows(t, s, rows)
	_, err = s.Blobs().Write(context.Background(), strings.NewReader(strings.Repeat("x", 1<<20)))
	require.ErrorIs(t, err, ams.ErrNoSpace)
	left, err := os.ReadDir(filepath.Join(disk, "ams.db.blobs", "tmp"))
	require.NoError(t, err)
	require.Empty(t, left)

	require.NoError(t, os.Remove(filler))
	more := fillUp(t, s, "b")
	require.Positive(t, more)
	requireRows(t, s, rows+more)
	require.NoError(t, s.Close())

	require.NoError(t, os.RemoveAll(filepath.Join(disk, "ams.db.blobs")))
	s, err = Open(filepath.Join(disk, "ams.db"), nil)
	require.NoError(t, err)
	requireRows(t, s, rows+more)
	require.NoError(t, s.Close())
}
