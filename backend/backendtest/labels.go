package backendtest

import (
	"strings"

	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
)

// testLabels makes instances with labels, which change nothing, and one with CPUs
// of its own.
func testLabels(e *test) {
	other := e.cluster + "-2"
	spec := e.spec()
	spec.PinCPUs = true
	spec.Labels = map[string]string{
		"application": "com.example.app", "version": "3", "tags": "game, état,\tx=y", "empty": "", "a-b-": "c",
		"cluster": other, "id": newID(), "op": "attempt-2", // as the marks are called
	}
	e.cleanup(spec.Ref)
	for range 2 {
		require.NoError(e, e.b.Create(e.ctx, spec))
	}
	require.Equal(e, "attempt-1", e.power(ams.PowerStopped, spec.Ref).Attempt)
	require.Equal(e, "attempt-1", e.listed(spec.Ref).Attempt)
	list, err := e.b.List(e.ctx, other)
	require.NoError(e, err)
	require.Empty(e, list)
	relabelled := spec
	relabelled.Labels = nil
	require.NoError(e, e.b.Create(e.ctx, relabelled))
	require.NoError(e, e.b.Start(e.ctx, spec.Ref))
	e.remove(spec.Ref)

	size := func(n int) map[string]string {
		return map[string]string{"a": strings.Repeat("x", n-101), "b": strings.Repeat("y", 99)}
	}
	spec.Labels = size(1 << 10)
	require.NoError(e, e.b.Create(e.ctx, spec))
	require.NoError(e, e.b.Delete(e.ctx, spec.Ref))
	for _, bad := range []map[string]string{
		{"": "x"}, {"Name": "x"}, {"a.b": "x"}, {"a_b": "x"}, {"a1": "x"}, {"a b": "x"}, {"é": "x"},
		{"name": "two\nlines"}, {"name": "\n"}, {strings.Repeat("k", 1<<10+1): ""}, size(1<<10 + 1),
	} {
		spec.Labels = bad
		require.ErrorIs(e, e.b.Create(e.ctx, spec), ams.ErrInvalid, "%v", bad)
	}
	e.absent(spec.Ref)
}
