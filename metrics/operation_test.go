package metrics

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"
	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
)

// exposed returns the text format of what was observed.
func exposed(t *testing.T, c *Collector) string {
	t.Helper()
	r := prometheus.NewPedanticRegistry()
	require.NoError(t, r.Register(c))
	all, err := r.Gather()
	require.NoError(t, err)
	var b strings.Builder
	for _, f := range all {
		_, err := expfmt.MetricFamilyToText(&b, f)
		require.NoError(t, err)
	}
	return b.String()
}

func operation(id int, action, message string) ams.Event {
	return ams.Event{Type: ams.EventOperation, Kind: "operation", ID: fmt.Sprint(id), Action: action, Message: message}
}

func TestOperations(t *testing.T) {
	c := New(Options{})
	tell := c.Observer().Committed
	tell(operation(1, "created", "launch instance"))
	tell(operation(1, "progress", "booting"))
	tell(operation(1, "cancelling", ""))
	tell(operation(1, "cancelled", "cancelled"))
	tell(operation(2, "created", "launch instance"))
	tell(operation(2, "success", ""))
	tell(operation(3, "created", "stop instance"))
	tell(operation(3, "failure", "no route to host"))
	tell(operation(4, "success", "update image")) // done at once
	tell(operation(5, "failure", "it began in an earlier life"))
	text := exposed(t, c)
	for _, s := range []string{
		`{operation="launch instance",outcome="cancelled"} 1`, `{operation="launch instance",outcome="success"} 1`,
		`{operation="stop instance",outcome="failure"} 1`, `{operation="update image",outcome="success"} 1`,
		`{operation="unknown",outcome="failure"} 1`,
	} {
		require.Contains(t, text, "ams_cluster_operations_total"+s+"\n")
	}
	require.Equal(t, 5, strings.Count(text, "\nams_cluster_operations_total{"))
	require.Empty(t, c.observed.names.names, "what has ended is forgotten")
}

// TestOperationsBounded begins more operations than are remembered.
func TestOperationsBounded(t *testing.T) {
	c := New(Options{})
	tell := c.Observer().Committed
	for i := range maxOperations + 5 {
		tell(operation(i, "created", "launch instance"))
	}
	require.Len(t, c.observed.names.names, maxOperations)
	for i := range maxOperations + 5 {
		tell(operation(i, "success", ""))
	}
	require.Empty(t, c.observed.names.names)
	text := exposed(t, c)
	require.Contains(t, text, fmt.Sprintf(`{operation="launch instance",outcome="success"} %d`, maxOperations))
	require.Contains(t, text, `{operation="unknown",outcome="success"} 5`)
}

func TestCalls(t *testing.T) {
	c := New(Options{})
	called := c.Observer().Called
	called(ams.CallInfo{Verb: "create", Took: time.Second})
	called(ams.CallInfo{Verb: "create", Took: time.Second, Err: fmt.Errorf("making it: %w", ams.Errorf(ams.ErrNoSpace, "full"))})
	called(ams.CallInfo{Verb: "create", Took: time.Second, Err: context.Canceled})
	text := exposed(t, c)
	for _, outcome := range []string{"success", "no space", "interrupted"} {
		require.Contains(t, text, `ams_cluster_backend_calls_total{outcome="`+outcome+`",verb="create"} 1`)
	}
	require.Contains(t, text, `ams_cluster_backend_call_duration_seconds_sum{verb="create"} 3`)
}

func TestCompared(t *testing.T) {
	c := New(Options{})
	compared := c.Observer().Compared
	compared(ams.CompareInfo{Seen: 9, Differ: 2, Orphans: 7, Deleted: 3, HeldBack: 4, Took: time.Second})
	compared(ams.CompareInfo{Seen: 8, Differ: 1, Orphans: 6, Deleted: 1, HeldBack: 0, Took: time.Second})
	text := exposed(t, c)
	for _, s := range []string{
		"compare_instances 8", "compare_differing_total 3", "orphans 6", "orphans_deleted_total 4",
		"orphans_held_back 0", "compare_duration_seconds_count 2",
	} {
		require.Contains(t, text, "\nams_cluster_"+s+"\n")
	}
}

// TestEventsLeftOut requires that what is no change of an instance's status does
// not count as one.
func TestEventsLeftOut(t *testing.T) {
	c := New(Options{})
	tell := c.Observer().Committed
	before := exposed(t, c)
	tell(ams.Event{Type: ams.EventLifecycle, Kind: "instance", Action: "updated"})
	tell(ams.Event{Type: ams.EventLifecycle, Kind: "application", Action: "created"})
	require.Equal(t, before, exposed(t, c))
	tell(ams.Event{Type: ams.EventLifecycle, Kind: "instance", Action: "error"})
	require.Contains(t, exposed(t, c), "\nams_cluster_instance_status_changes_total{status=\"error\"} 1\n")
}
