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
	if err := checkTrust(tx); err != nil {
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

// checkTrust checks that there is either all that version 4 has brought, or nothing.
func checkTrust(tx ams.Tx) error {
	members, err := tx.Identities().Count(ams.IdentityFilter{Group: "admin", Method: ams.AuthOIDC, Email: "anna@example.com"})
	if err != nil {
		return err
	}
	groups, err := tx.Groups().Count(ams.GroupFilter{Name: "ADMIN"})
	if err != nil {
		return err
	}
	tokens, err := tx.JoinTokens().Count(ams.JoinTokenFilter{Hash: "ef"})
	if err == nil && (members != groups || groups != tokens) {
		err = fmt.Errorf("members, groups and tokens are %d, %d and %d", members, groups, tokens)
	}
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

// TestMigrateManifests opens a database of version 1 with applications that have
// several versions, one and none.
func TestMigrateManifests(t *testing.T) {
	dump, err := os.ReadFile("testdata/0001.sql")
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "ams.db")
	script := string(dump)
	for _, name := range []string{"several", "none"} {
		script += fmt.Sprintf(`INSERT INTO applications VALUES('%[1]s',1,'%[1]s','ready',1,0,'a4.3','','','i1',0,'["old"]','[]',
			'{"ID":"%[1]s","Rev":1,"Name":"%[1]s","Status":"ready","InstanceType":"a4.3","Tags":["old"]}');`, name)
	}
	for _, number := range []int{0, 2, 10} {
		data := fmt.Sprintf(`{"ID":"several-%[1]d","Rev":1,"ApplicationID":"several","Number":%[1]d,"Status":"active",
			"Manifest":{"name":"several","version":"v%[1]d","tags":["t%[1]d"]},"Package":{"Digest":"p%[1]d"},"APK":{"Package":"com.example.v%[1]d"}}`, number)
		script += fmt.Sprintf("INSERT INTO versions VALUES('several-%d',1,'several','active',1,'i1','p','%s');", number, data)
	}
	script += `UPDATE images SET data = json_set(data, '$.Versions', json('[{"Number":0},{"Number":1}]'));`
	load(t, path, script)
	s, err := Open(path, nil)
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	require.NoError(t, s.Update(context.Background(), func(tx ams.Tx) error {
		app, err := tx.Applications().Get("several")
		require.NoError(t, err)
		require.Equal(t, []string{"v10", "p10", "com.example.v10"}, []string{app.Manifest.Version, app.Package.Digest, app.APK.Package})
		for range 2 { // as they are, and put back
			found, err := tx.Applications().List(ams.ApplicationFilter{Tags: []string{"old"}, InstanceType: "a4.3"}, ams.Page{})
			require.NoError(t, err)
			require.Len(t, found, 2)
			for _, app := range found {
				require.Equal(t, []string{"old"}, app.Manifest.Tags, app.Name)
				require.Equal(t, "a4.3", app.Manifest.InstanceType)
				require.NoError(t, tx.Applications().Put(app))
			}
			require.Equal(t, []string{"none", "several"}, []string{found[0].Manifest.Name, found[1].Manifest.Name})
			require.Empty(t, found[0].Package.Digest)
		}
		image, err := tx.Images().Get("i1")
		require.NoError(t, err)
		require.Equal(t, 2, image.NextVersion)
		return nil
	}))
}
