package metrics_test

import (
	"os"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
	"github.com/openams/ams/backend/fake"
)

// busy brings a cluster into a state in which every metric has a series.
func busy(w *world) {
	t := w.t
	ctx := t.Context()
	web := ams.Service{Name: "web", Port: 80, Protocols: []string{"tcp", "udp"}}
	w.launch(ams.LaunchRequest{Node: "big", Resources: ams.Resources{GPUSlots: ptr(2), VPUSlots: ptr(1)}, Services: []ams.Service{web}})
	stopped := w.launch(ams.LaunchRequest{Node: "small"})
	w.wait(w.Instances.Stop(ctx, stopped, false))
	w.launch(ams.LaunchRequest{NoStart: true, Node: "small"})
	fails(w)
	require.NoError(t, w.Applications.SetPrewarm(ctx, "candy", 2))
	synctest.Wait()
	for p := (ams.Prewarmed{}); p.Ready < 2; {
		sleep()
		var err error
		p, err = w.Applications.Prewarmed(ctx, "candy")
		require.NoError(t, err)
	}
	w.launch(ams.LaunchRequest{})
	sleep()
	w.collector.Read("audit", 1)
	w.fake.Fail(fake.VerbCreate, 1, ams.Errorf(ams.ErrUnavailable, "no route to host"))
	_, err := w.Instances.Launch(ctx, ams.LaunchRequest{Application: "candy", Node: "big", Prewarm: ams.PrewarmNever})
	require.NoError(t, err)
	synctest.Wait()
}

// fails launches an instance that does not come up.
func fails(w *world) {
	w.fake.FailGuest(fake.GuestFault{Phase: ams.PhaseStart, Step: "start app", Tail: "no licence", Times: 1})
	op, err := w.Instances.Launch(w.t.Context(), ams.LaunchRequest{Application: "candy", Prewarm: ams.PrewarmNever})
	require.NoError(w.t, err)
	_, err = w.Operations.Wait(w.t.Context(), op.ID)
	require.ErrorIs(w.t, err, ams.ErrFailed)
	synctest.Wait()
}

func TestGolden(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		busy(w)
		got := w.scrape()
		if *update {
			require.NoError(t, os.WriteFile("testdata/exposition.txt", []byte(got), 0o644))
		}
		want, err := os.ReadFile("testdata/exposition.txt")
		require.NoError(t, err)
		require.Equal(t, string(want), got, "if the change is meant: go test ./metrics -update")
		require.Equal(t, got, w.scrape(), "a scrape changes nothing")
	})
}
