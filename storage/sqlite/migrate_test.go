package sqlite

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
)

// load makes a database from a script.
func load(t *testing.T, path, script string) {
	t.Helper()
	c, err := connect(fileURI(path), path)
	require.NoError(t, err)
	require.NoError(t, c.script(script))
	require.NoError(t, c.close())
}

// TestMigrate opens a database of each version there ever was.
func TestMigrate(t *testing.T) {
	require.Positive(t, latest())
	for version := int64(1); version <= latest(); version++ {
		t.Run(fmt.Sprint(version), func(t *testing.T) {
			dump, err := os.ReadFile(fmt.Sprintf("testdata/%04d.sql", version))
			require.NoError(t, err, "a database of each version must be kept in testdata")
			path := filepath.Join(t.TempDir(), "ams.db")
			load(t, path, string(dump))
			for range 2 { // the second time there is nothing to do
				s, err := Open(path, nil)
				require.NoError(t, err)
				require.NoError(t, s.View(context.Background(), checkDump))
				requireVersion(t, s, latest())
				require.NoError(t, s.Close())
			}
		})
	}
}

// checkDump checks what each database in testdata has in it.
func checkDump(tx ams.Tx) error {
	instances, err := tx.Instances().List(ams.InstanceFilter{Tags: []string{"game"}}, ams.Page{})
	if err != nil {
		return err
	}
	if len(instances) != 1 || instances[0].Name != "ams-1" || instances[0].Rev != 2 {
		return fmt.Errorf("instances are %v", instances)
	}
	app, err := tx.Applications().Get("c0a1")
	if err != nil {
		return err
	}
	if app.Package.Digest != "ab" {
		return fmt.Errorf("the application's package is %v", app.Package)
	}
	if _, err := tx.Addons().List(ams.AddonFilter{}, ams.Page{}); err != nil {
		return err
	}
	events, err := tx.Events().Since(0, 10)
	if err != nil {
		return err
	}
	if len(events) != 1 || events[0].Seq != 2 || events[0].Action != "running" {
		return fmt.Errorf("events are %v", events)
	}
	_, err = tx.Settings().Get("k")
	return err
}

func requireVersion(t *testing.T, s *Store, want int64) {
	t.Helper()
	require.NoError(t, s.readOne(func(c *conn) error {
		got, err := schemaVersion(c)
		require.Equal(t, want, got)
		return err
	}))
}

func TestMigrateRefuses(t *testing.T) {
	for name, c := range map[string]struct{ script, text string }{
		"newer": {
			fmt.Sprintf("PRAGMA application_id = %d; PRAGMA user_version = %d; CREATE TABLE t (x)", applicationID, latest()+1),
			fmt.Sprintf("schema version %d; this program knows versions up to %d", latest()+1, latest()),
		},
		"foreign": {"CREATE TABLE t (x); INSERT INTO t VALUES (1)", "belongs to another program"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "ams.db")
			load(t, path, c.script)
			before, err := os.ReadFile(path)
			require.NoError(t, err)
			_, err = Open(path, nil)
			require.ErrorIs(t, err, ams.ErrCorrupt)
			require.ErrorContains(t, err, c.text)
			require.ErrorContains(t, err, path)
			after, err := os.ReadFile(path)
			require.NoError(t, err)
			require.Equal(t, before, after)
			_, err = Open(path, nil)
			require.ErrorIs(t, err, ams.ErrCorrupt, "the lock was kept")
		})
	}
}

// TestMigrateWhole breaks a step in the middle: nothing of it is left.
func TestMigrateWhole(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ams.db")
	load(t, path, "CREATE TABLE events (x)") // the last thing that the first step makes
	c, err := connect(fileURI(path), path)
	require.NoError(t, err)
	require.Error(t, migrate(c, 1))
	require.False(t, c.inTransaction())
	_, err = c.exec("SELECT 1 FROM instances")
	require.ErrorContains(t, err, "no such table")
	require.NoError(t, c.close())
}
