package sqlite

import (
	"database/sql/driver"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
)

// TestPlans reads how SQLite goes about each filter of instances: by the index
// that is meant to drive, and without sorting.
func TestPlans(t *testing.T) {
	s, err := Open(filepath.Join(t.TempDir(), "ams.db"), nil)
	require.NoError(t, err)
	defer s.Close()
	yes, no, one := true, false, 1
	two := []ams.InstanceStatus{"a", "b"}
	for name, c := range map[string]struct {
		filter ams.InstanceFilter
		index  string
	}{
		"all":              {ams.InstanceFilter{}, "sqlite_autoindex_instances_1"},
		"id":               {ams.InstanceFilter{ID: "a", Status: two, Node: "n"}, "sqlite_autoindex_instances_1"},
		"name":             {ams.InstanceFilter{Name: "a"}, "instances_name"},
		"application":      {ams.InstanceFilter{ApplicationID: "a", Version: &one, Status: two, Resting: &yes}, "instances_application"},
		"image":            {ams.InstanceFilter{ImageID: "a", ImageVersion: &one}, "instances_image"},
		"node":             {ams.InstanceFilter{Node: "a", Tags: []string{"a"}}, "instances_node"},
		"status":           {ams.InstanceFilter{Status: two[:1]}, "instances_status"},
		"statuses":         {ams.InstanceFilter{Status: two}, "instances_status"},
		"base":             {ams.InstanceFilter{Base: &yes}, "instances_base"},
		"active":           {ams.InstanceFilter{Resting: &no, Node: "a"}, "instances_active"},
		"tags":             {ams.InstanceFilter{Tags: []string{"a", "b"}, Status: two}, "SEARCH instance_tags"},
		"regular, resting": {ams.InstanceFilter{Base: &no, Resting: &yes}, "sqlite_autoindex_instances_1"},
	} {
		t.Run(name, func(t *testing.T) {
			q := newQuery("instances")
			filterInstances(q, &c.filter)
			sql, args, _ := q.list(ams.Page{Limit: 50})
			plan := explain(t, s, sql, args)
			require.Contains(t, plan, c.index)
			require.NotContains(t, plan, "TEMP B-TREE")
			if !strings.HasPrefix(c.index, "sqlite_autoindex") && c.index != "instances_active" && c.index != "instances_base" {
				require.NotContains(t, plan, "SCAN")
			}
		})
	}
	q := newQuery("operations")
	operationSchema().filter(q, &ams.OperationFilter{Done: &no})
	sql, args, _ := q.list(ams.Page{})
	require.Contains(t, explain(t, s, sql, args), "operations_running")
}

// TestPlansOfTrust does the same for what is looked up when a client shows itself.
func TestPlansOfTrust(t *testing.T) {
	s, err := Open(filepath.Join(t.TempDir(), "ams.db"), nil)
	require.NoError(t, err)
	defer s.Close()
	for index, f := range map[string]ams.IdentityFilter{
		"identities_fingerprint": {Fingerprint: "ab", Method: "tls"},
		"identities_email":       {Email: "a@b", Method: "oidc"},
		"identities_name":        {Name: "a", Method: "tls"},
	} {
		q := newQuery("identities")
		identitySchema().filter(q, &f)
		sql, args, _ := q.list(ams.Page{Limit: 2})
		require.Contains(t, explain(t, s, sql, args), "SEARCH identities USING INDEX "+index)
	}
	q := newQuery("join_tokens")
	joinTokenSchema().filter(q, &ams.JoinTokenFilter{Hash: "a"})
	sql, args, _ := q.list(ams.Page{Limit: 1})
	require.Contains(t, explain(t, s, sql, args), "join_tokens_hash")
}

func explain(t *testing.T, s *Store, sql string, args []driver.Value) (plan string) {
	t.Helper()
	require.NoError(t, s.readOne(func(c *conn) error {
		return c.query("EXPLAIN QUERY PLAN "+sql, args, 4, func(row []driver.Value) error {
			plan += row[3].(string) + "\n"
			return nil
		})
	}))
	return plan
}
