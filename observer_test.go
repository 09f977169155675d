package ams_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
	"github.com/openams/ams/backend/fake"
)

// TestBooted requires that the observer is told how long each request took to make
// an instance run, and of no other way that it came to run.
func TestBooted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var boots []ams.BootInfo
		observer := ams.Observer{Booted: func(b ams.BootInfo) { boots = append(boots, b) }}
		last := func(n int) ams.BootInfo {
			t.Helper()
			synctest.Wait()
			require.Len(t, boots, n)
			return boots[n-1]
		}
		opts := fake.Options{CreateTime: time.Second, StartTime: 2 * time.Second, BootTime: 3 * time.Second, StopTime: 4 * time.Second, ClaimTime: time.Second}
		w := newWorld(t, opts, func(c *ams.Config) { c.Observer = observer })
		w.application("candy")
		synctest.Wait()
		require.Empty(t, boots, "nobody asked for the base instance to run")

		one := w.launch(ams.LaunchRequest{Application: "candy"})
		require.Equal(t, ams.BootInfo{Instance: one.ID, Request: "launch instance", Took: 6 * time.Second}, last(1))
		w.wait(w.Instances.Restart(w.ctx, one.ID, true))
		require.Equal(t, "restart instance", last(2).Request)

		idle := w.launch(ams.LaunchRequest{Application: "candy", NoStart: true})
		require.Len(t, boots, 2, "it does not run")
		time.Sleep(time.Hour)
		w.wait(w.Instances.Start(w.ctx, idle.ID, ams.StartOptions{}))
		require.Equal(t, ams.BootInfo{Instance: idle.ID, Request: "start instance", Took: 5 * time.Second}, last(3))

		// A start that goes on in another life of the program.
		w.wait(w.Instances.Stop(w.ctx, idle.ID, true))
		op, err := w.Instances.Start(w.ctx, idle.ID, ams.StartOptions{})
		require.NoError(t, err)
		w.stop()
		time.Sleep(time.Minute)
		w.start()
		w.wait(op, nil)
		b := last(4)
		require.Equal(t, "start instance", b.Request)
		require.Greater(t, b.Took, time.Minute)

		require.NoError(t, w.Applications.SetPrewarm(w.ctx, "candy", 1))
		w.prewarmed(1)
		require.Len(t, boots, 4, "what stands by does not count")
		claimed := w.launch(ams.LaunchRequest{Application: "candy"})
		require.Equal(t, ams.BootInfo{Instance: claimed.ID, Request: "launch instance", Prewarmed: true, Took: time.Second}, last(5))
		w.wait(w.Instances.Stop(w.ctx, claimed.ID, true))
		w.wait(w.Instances.Start(w.ctx, claimed.ID, ams.StartOptions{}))
		require.False(t, last(6).Prewarmed, "now it has booted")
	})
}
