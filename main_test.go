package ams_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
	"github.com/openams/ams/backend/fake"
)

func TestMainJob(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fake.Options{NodeCount: 3, CreateTime: time.Second, StartTime: time.Second, BootTime: 5 * time.Second, PublishTime: 3 * time.Second})
		app := w.application("candy")
		require.Equal(t, ams.ApplicationReady, app.Status)
		require.True(t, app.Published)
		_, n, err := w.Instances.List(t.Context(), ams.InstanceFilter{}, ams.Page{})
		require.NoError(t, err)
		require.Zero(t, n, "the base instance must be gone")
		in := w.launch(ams.LaunchRequest{Application: "candy", Name: "one"})
		require.Equal(t, ams.InstanceRunning, in.Status)
		w.wait(w.Instances.Stop(t.Context(), "one", false))
		require.Equal(t, ams.InstanceStopped, w.instance("one").Status)
		w.wait(w.Instances.Start(t.Context(), "one", ams.StartOptions{DropLogs: true}))
		w.wait(w.Instances.Restart(t.Context(), "one", false))
		require.Equal(t, ams.InstanceRunning, w.instance("one").Status)
		w.wait(w.Instances.Delete(t.Context(), "one", false))
		w.wait(w.Applications.Delete(t.Context(), "candy", false))
		w.audit()
	})
}
