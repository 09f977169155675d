package backendtest

import (
	"io"

	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
)

// testLogs reads an instance's logs while it runs and when it is stopped.
func testLogs(e *test) {
	if e.execer == nil {
		e.Fatal("Logs is tested with the help of Exec")
	}
	spec := e.start()
	exit, _, errs := e.sh(spec.Ref, "mkdir -p /var/lib/anbox/logs; echo first line > /var/lib/anbox/logs/system.log; echo more > /var/lib/anbox/logs/android.log", nil)
	require.Zero(e, exit, errs)
	e.hasLogs(spec.Ref)
	require.NoError(e, e.b.Stop(e.ctx, spec.Ref, true, 0))
	e.hasLogs(spec.Ref)
	_, err := e.logReader.OpenLog(e.ctx, spec.Ref, "no-such.log")
	require.ErrorIs(e, err, ams.ErrNotFound)
	for _, name := range []string{"../../../../etc/passwd", "/etc/passwd", "..", ""} {
		_, err := e.logReader.OpenLog(e.ctx, spec.Ref, name)
		require.ErrorIs(e, err, ams.ErrNotFound, name)
	}
	e.remove(spec.Ref)
}

func (e *test) hasLogs(ref ams.Ref) {
	e.Helper()
	files, err := e.logReader.Logs(e.ctx, ref)
	require.NoError(e, err)
	sizes := map[string]int64{}
	for _, f := range files {
		require.Empty(e, f.Digest)
		sizes[f.Name] = f.Size
	}
	require.EqualValues(e, len("first line\n"), sizes["system.log"])
	require.EqualValues(e, len("more\n"), sizes["android.log"])
	r, err := e.logReader.OpenLog(e.ctx, ref, "system.log")
	require.NoError(e, err)
	defer r.Close()
	data, err := io.ReadAll(r)
	require.NoError(e, err)
	require.Equal(e, "first line\n", string(data))
}
