package sqlite_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
	"github.com/openams/ams/storage/sqlite"
)

func put(t testing.TB, s ams.Store, key string) {
	t.Helper()
	require.NoError(t, s.Update(context.Background(), func(tx ams.Tx) error {
		return tx.Settings().Put(ams.Setting{Key: key, Value: "v"})
	}))
}

func keys(t testing.TB, s ams.Store) (keys []string) {
	t.Helper()
	require.NoError(t, s.View(context.Background(), func(tx ams.Tx) error {
		rows, err := tx.Settings().List(ams.SettingFilter{}, ams.Page{})
		for _, r := range rows {
			keys = append(keys, r.Key)
		}
		return err
	}))
	return keys
}

func TestOpenOddPaths(t *testing.T) {
	dir := t.TempDir()
	names := []string{"q", "q?x", "q?mode=memory", "q#db", "q%41", "qA", "q x", "q&a=b", "q;", "q+", "file:q", ":memory:", "ä\xff", "q'\"\n", "//q"}
	for _, name := range names {
		s := open(t, dir+"/"+name, nil)
		put(t, s, name)
		require.NoError(t, s.Close())
	}
	for _, name := range names {
		require.FileExists(t, filepath.Join(dir, name))
		if name == "//q" { // the same file as q
			continue
		}
		s := open(t, filepath.Join(dir, name), nil)
		want := []string{name}
		if name == "q" {
			want = []string{"//q", "q"}
		}
		require.Equal(t, want, append([]string{}, keysBytes(t, s, name)...))
		require.NoError(t, s.Close())
	}
}

// keysBytes returns the keys; the invalid byte of a name does not survive JSON.
func keysBytes(t testing.TB, s ams.Store, name string) []string {
	t.Helper()
	all := keys(t, s)
	for i, k := range all {
		if k == strings.ToValidUTF8(name, "\uFFFD") {
			all[i] = name
		}
	}
	return all
}

func TestOpenRelative(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	s := open(t, "ams.db", nil)
	t.Chdir("/")
	put(t, s, "k")
	require.NoError(t, s.Close())
	require.Equal(t, []string{"k"}, keys(t, open(t, filepath.Join(dir, "ams.db"), nil)))
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	for name, c := range map[string]struct {
		path string
		opts sqlite.Options
		code ams.Code
		text string
	}{
		"no path":        {"", sqlite.Options{}, ams.ErrInvalid, "path is required"},
		"NUL":            {dir + "/a\x00b", sqlite.Options{}, ams.ErrInvalid, "NUL"},
		"synchronous":    {dir + "/a", sqlite.Options{Synchronous: 9}, ams.ErrInvalid, "synchronous 9"},
		"readers":        {dir + "/a", sqlite.Options{Readers: 65}, ams.ErrInvalid, "readers 65"},
		"no directory":   {dir + "/none/a", sqlite.Options{}, ams.ErrInternal, dir + "/none/a"},
		"is a directory": {dir, sqlite.Options{}, ams.ErrInternal, dir},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := sqlite.Open(c.path, &c.opts)
			require.ErrorIs(t, err, c.code)
			require.ErrorContains(t, err, c.text)
		})
	}
}

func TestOpenTwice(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ams.db")
	first := open(t, path, nil)
	_, err := sqlite.Open(path, nil)
	require.ErrorIs(t, err, ams.ErrInUse)
	require.ErrorContains(t, err, path)
	put(t, first, "k")
	require.NoError(t, first.Close())
	require.Equal(t, []string{"k"}, keys(t, open(t, path, nil)))
}

func TestOpenPermissions(t *testing.T) {
	dir := t.TempDir()
	s := open(t, filepath.Join(dir, "ams.db"), nil)
	put(t, s, "k")
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 5) // file, log, log index, lock, blobs
	for _, e := range entries {
		info, err := e.Info()
		require.NoError(t, err)
		require.Zero(t, info.Mode().Perm()&0o077, "%s can be read by others", e.Name())
	}
}

func TestOpenCorrupt(t *testing.T) {
	whole := filepath.Join(t.TempDir(), "ams.db")
	s := open(t, whole, nil)
	for _, key := range strings.Split(strings.Repeat("abcdefghij", 2), "")[:10] {
		put(t, s, key)
	}
	require.NoError(t, s.Close())
	good, err := os.ReadFile(whole)
	require.NoError(t, err)

	for name, data := range map[string][]byte{
		"text":      []byte(strings.Repeat("this is no database, it is a letter\n", 200)),
		"short":     []byte("x"),
		"header":    append([]byte("SQLite format 3\x00garbage"), good[32:]...),
		"truncated": good[:len(good)/2],
		"schema":    append(append([]byte{}, good[:100]...), make([]byte, len(good)-100)...),
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "ams.db")
			require.NoError(t, os.WriteFile(path, data, 0o600))
			_, err := sqlite.Open(path, nil)
			require.ErrorIs(t, err, ams.ErrCorrupt)
			require.ErrorContains(t, err, path)
			after, err := os.ReadFile(path)
			require.NoError(t, err)
			require.Equal(t, data, after, "the file was modified")
			require.NoDirExists(t, path+".blobs")
		})
	}
}

func TestEventNumbersAfterRestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ams.db")
	s := open(t, path, nil)
	require.NoError(t, s.Update(context.Background(), func(tx ams.Tx) error {
		for range 5 {
			if err := tx.Events().Append(ams.Event{}); err != nil {
				return err
			}
		}
		return tx.Events().Trim(5)
	}))
	require.NoError(t, s.Close())
	s = open(t, path, nil)
	require.NoError(t, s.Update(context.Background(), func(tx ams.Tx) error {
		oldest, newest, err := tx.Events().Bounds()
		require.NoError(t, err)
		require.Equal(t, [2]int64{6, 5}, [2]int64{oldest, newest})
		return tx.Events().Append(ams.Event{})
	}))
	require.NoError(t, s.View(context.Background(), func(tx ams.Tx) error {
		events, err := tx.Events().Since(0, 10)
		require.Len(t, events, 1)
		require.Equal(t, int64(6), events[0].Seq)
		return err
	}))
}

func TestCloseWaits(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ams.db")
	s := open(t, path, nil)
	running, finish := make(chan struct{}), make(chan struct{})
	updated := make(chan error)
	go func() {
		updated <- s.Update(context.Background(), func(tx ams.Tx) error {
			close(running)
			<-finish
			return tx.Settings().Put(ams.Setting{Key: "k"})
		})
	}()
	<-running
	closed := make(chan error)
	go func() { closed <- s.Close() }()
	require.Eventually(t, func() bool {
		return ams.CodeOf(s.View(context.Background(), func(ams.Tx) error { return nil })) == ams.ErrUnavailable
	}, 10*time.Second, time.Millisecond)
	select {
	case <-closed:
		t.Fatal("Close returned while an Update ran")
	default:
	}
	close(finish)
	require.NoError(t, <-updated)
	require.NoError(t, <-closed)
	require.Equal(t, []string{"k"}, keys(t, open(t, path, nil)))
}

// TestBubble uses the store on a fake clock: a goroutine that it left behind, or
// a wait that is not on a channel, would end the test.
func TestBubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := sqlite.Open(filepath.Join(t.TempDir(), "ams.db"), &sqlite.Options{Synchronous: sqlite.Off, Readers: 1})
		require.NoError(t, err)
		begin := time.Now()
		for i := range 8 {
			go func() {
				for range 5 {
					time.Sleep(time.Hour)
					err := s.Update(t.Context(), func(tx ams.Tx) error {
						time.Sleep(time.Second) // the others wait meanwhile
						return tx.Events().Append(ams.Event{Time: time.Now(), ID: string(rune('a' + i))})
					})
					if err != nil {
						t.Error(err)
					}
					err = s.View(t.Context(), func(tx ams.Tx) error {
						time.Sleep(time.Minute)
						_, _, err := tx.Events().Bounds()
						return err
					})
					if err != nil {
						t.Error(err)
					}
				}
			}()
		}
		time.Sleep(48 * time.Hour)
		synctest.Wait()
		require.NoError(t, s.View(t.Context(), func(tx ams.Tx) error {
			events, err := tx.Events().Since(0, 100)
			require.Len(t, events, 40)
			return err
		}))
		require.Equal(t, 48*time.Hour, time.Since(begin))
		require.NoError(t, s.Close())
	})
}
