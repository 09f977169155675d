package e2e_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
	"github.com/openams/ams/internal/lxdrun"
	"github.com/openams/ams/internal/lxdtest"
)

// lxc runs LXD's own client.
func (w *world) lxc(args ...string) {
	w.t.Helper()
	cmd := exec.CommandContext(w.ctx, "lxc", args...)
	cmd.Env = w.daemon.Env()
	out, err := cmd.CombinedOutput()
	require.NoError(w.t, err, string(out))
}

// rounds is how often a load is repeated: 4 times, 20 where there is time, or
// AMS_ROUNDS.
func rounds() int {
	if s, err := strconv.Atoi(os.Getenv("AMS_ROUNDS")); err == nil {
		return s
	}
	if lxdtest.Long() {
		return 20
	}
	return 4
}

func TestSixteenAtOnce(t *testing.T) {
	w := newWorld(t, lxdtest.Require(t))
	w.wait(w.create(helloPackage))
	for round := range rounds() {
		var ops []ams.Operation
		for i := range 16 {
			op, err := w.Instances.Launch(w.ctx, ams.LaunchRequest{Application: "hello", Name: fmt.Sprintf("r%d-%d", round, i)})
			require.NoError(t, err)
			ops = append(ops, op)
		}
		for _, op := range ops {
			w.wait(op, nil)
		}
		running, _, err := w.Instances.List(w.ctx, ams.InstanceFilter{Status: []ams.InstanceStatus{ams.InstanceRunning}}, ams.Page{})
		require.NoError(t, err)
		require.Len(t, running, 16)
		w.audit()
		ops = nil
		for _, in := range running {
			op, err := w.Instances.Delete(w.ctx, in.ID, true)
			require.NoError(t, err)
			ops = append(ops, op)
		}
		for _, op := range ops {
			w.wait(op, nil)
		}
		w.audit()
	}
}

// TestLXDKilled kills LXD while the Manager works on it, and brings it back.
func TestLXDKilled(t *testing.T) {
	lxdtest.Check(t)
	d, err := lxdrun.Start(t.Context(), lxdrun.Options{})
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		require.NoError(t, d.Stop(ctx))
	})
	w := newWorld(t, d)
	outage := func(after time.Duration) {
		<-time.After(after)
		require.NoError(t, d.Kill())
		<-time.After(500 * time.Millisecond)
		require.NoError(t, d.Restart(w.ctx))
	}
	ends := func(op ams.Operation, err error) {
		require.NoError(t, err)
		_, err = w.Operations.Wait(w.ctx, op.ID)
		t.Logf("%s: %v", op.Description, err)
	}
	for i, after := range []time.Duration{50, 150, 300, 450, 600} {
		op, err := w.create(packageWith(t, "manifest.yaml", fmt.Sprintf("name: app%d\n", i)))
		outage(after * time.Millisecond)
		ends(op, err)
		op, err = w.Instances.Launch(w.ctx, ams.LaunchRequest{Name: fmt.Sprint("inst", i)})
		outage(after * time.Millisecond)
		ends(op, err)
		op, err = w.Instances.Delete(w.ctx, fmt.Sprint("inst", i), false)
		outage(after * time.Millisecond)
		ends(op, err)
		op, err = w.Applications.Delete(w.ctx, fmt.Sprint("app", i), false)
		outage(after / 2 * time.Millisecond)
		ends(op, err)
		w.audit()
	}
}
