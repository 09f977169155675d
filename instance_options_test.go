package ams_test

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
	"github.com/openams/ams/backend/fake"
)

func TestLaunchOptions(t *testing.T) {
	bubble(t, fake.Options{Nodes: []ams.NodeInfo{gpuNode()}}, func(t *testing.T, w *world) {
		w.image()
		w.wait(w.Applications.Create(w.ctx, pkg("name: candy\nservices:\n- name: ssh\n  port: 22\n  protocols: [tcp]\n- name: web\n  port: 80\n  protocols: [tcp]\n"), ams.CreateOptions{}))
		in := w.launch(ams.LaunchRequest{Application: "candy",
			Config:   ams.InstanceConfig{Platform: "swrast", Display: ams.Display{Width: 1281, Height: 719}, BootActivity: ".Other"},
			Services: []ams.Service{{Name: "web", Port: 8080, Protocols: []string{"tcp"}, Expose: true}, {Port: 9000, PortEnd: 9001, Protocols: []string{"tcp", "udp"}}},
		})
		require.Equal(t, "webrtc", in.Config.Platform)
		require.Equal(t, ams.Display{Width: 1282, Height: 720, Density: 240, FPS: 60}, in.Config.Display)
		require.Len(t, in.Services, 3, "ssh of the application, and two of the request")
		n, err := w.Nodes.Get(w.ctx, in.Node)
		require.NoError(t, err)
		require.Equal(t, []string{"ssh:" + in.Address + ":22/tcp", "ssh:10.0.0.1:10000/tcp"}, in.Services[0].Endpoints(&in, &n))
		n.PublicAddress = "203.0.113.7"
		require.Contains(t, in.Services[1].Endpoints(&in, &n), "web:203.0.113.7:10001/tcp")
		require.Equal(t, 10002, in.Services[2].NodePort)
		require.Equal(t, 10003, in.Services[2].NodePortEnd)

		second := w.launch(ams.LaunchRequest{Application: "candy"})
		require.Equal(t, 10004, second.Services[0].NodePort)
		w.wait(w.Instances.Stop(w.ctx, in.ID, false))
		require.Zero(t, w.instance(in.ID).Services[0].NodePort, "given back at the stop")
		third := w.launch(ams.LaunchRequest{Application: "candy"})
		require.Equal(t, 10000, third.Services[0].NodePort, "the first that is free")
		w.wait(w.Instances.Start(w.ctx, in.ID, ams.StartOptions{}))
		require.Equal(t, 10002, w.instance(in.ID).Services[0].NodePort)
		w.audit()
		checkEvents(t, w)
	})
}

// TestLaunchOptionsRefused is refused before anything is looked up, fetched or made.
func TestLaunchOptionsRefused(t *testing.T) {
	bubble(t, fake.Options{}, func(t *testing.T, w *world) {
		w.application("candy")
		app := func(f func(*ams.LaunchRequest)) ams.LaunchRequest {
			r := ams.LaunchRequest{Application: "candy"}
			f(&r)
			return r
		}
		for want, req := range map[string]ams.LaunchRequest{
			"config.platform":                   app(func(r *ams.LaunchRequest) { r.Config.Platform = "a b" }),
			"config.boot_package":               app(func(r *ams.LaunchRequest) { r.Config.BootPackage = "x" }),
			"config.boot_activity":              app(func(r *ams.LaunchRequest) { r.Config.BootActivity = "x y" }),
			"config.metrics_server":             app(func(r *ams.LaunchRequest) { r.Config.MetricsServer = "influxdb" }),
			"config.display.width -1":           app(func(r *ams.LaunchRequest) { r.Config.Display.Width = -1 }),
			"config.display.fps 1000":           app(func(r *ams.LaunchRequest) { r.Config.Display.FPS = 1000 }),
			"services[0].port 70000":            app(func(r *ams.LaunchRequest) { r.Services = []ams.Service{{Port: 70000, Protocols: []string{"tcp"}}} }),
			"services[0].protocols is required": app(func(r *ams.LaunchRequest) { r.Services = []ams.Service{{Port: 7}} }),
			"max run duration":                  app(func(r *ams.LaunchRequest) { r.MaxRunDuration = -1 }),
			"a copy has the application":        app(func(r *ams.LaunchRequest) { r.Source = "x" }),
			"user data is":                      app(func(r *ams.LaunchRequest) { r.UserData = strings.Repeat("x", 10241) }),
		} {
			_, err := w.Instances.Launch(w.ctx, req)
			require.ErrorIs(t, err, ams.ErrInvalid, want)
			require.ErrorContains(t, err, want)
		}
		ok := w.launch(app(func(r *ams.LaunchRequest) { r.Config.MetricsServer = "influxdb:192.168.100.8:8095,raw" }))
		require.Equal(t, "influxdb:192.168.100.8:8095,raw", ok.Config.MetricsServer)
	})
}

func TestCopy(t *testing.T) {
	bubble(t, slow, func(t *testing.T, w *world) {
		w.application("candy")
		source := w.launch(ams.LaunchRequest{Application: "candy", Name: "source", Resources: ams.Resources{CPUs: 5, DiskSize: 9 * ams.Gigabyte}, UserData: "mine"})
		_, err := w.Instances.Launch(w.ctx, ams.LaunchRequest{Source: "source"})
		require.ErrorIs(t, err, ams.ErrState, "it runs")
		w.wait(w.Instances.Stop(w.ctx, "source", false))
		stopped := w.launch(ams.LaunchRequest{Source: "source", Name: "copy", NoStart: true})
		require.Equal(t, ams.InstanceStopped, stopped.Status)
		require.Equal(t, 2, stopped.Resources.CPUs, "as any other launch has")
		require.Equal(t, 9*ams.Gigabyte, stopped.Resources.DiskSize, "as the source has")
		require.Equal(t, source.Architecture, stopped.Architecture)
		require.Equal(t, source.Version, stopped.Version)
		require.Empty(t, stopped.UserData)
		running := w.launch(ams.LaunchRequest{Source: source.ID})
		require.Equal(t, ams.InstanceRunning, running.Status)
		w.wait(w.Instances.Start(w.ctx, "copy", ams.StartOptions{}))
		for _, s := range w.fake.Snapshot().Instances {
			if s.ID != source.ID {
				require.Equal(t, source.ID, s.CopyOf)
			}
		}
		w.wait(w.Instances.Delete(w.ctx, "source", true))
		_, err = w.Instances.Launch(w.ctx, ams.LaunchRequest{Source: "source"})
		require.ErrorIs(t, err, ams.ErrNotFound)
		w.audit()
		checkEvents(t, w)
	})
}

func TestLifetime(t *testing.T) {
	bubble(t, slow, func(t *testing.T, w *world) {
		w.image()
		in := w.launch(ams.LaunchRequest{MaxRunDuration: time.Hour})
		kept := w.launch(ams.LaunchRequest{MaxRunDuration: time.Hour, DeleteProtected: true})
		require.WithinDuration(t, time.Now().Add(time.Hour), in.Expires, time.Minute)
		time.Sleep(30 * time.Minute)
		w.stop()
		time.Sleep(10 * time.Minute)
		w.start()
		time.Sleep(15 * time.Minute)
		require.Equal(t, ams.InstanceRunning, w.instance(in.ID).Status)
		time.Sleep(10 * time.Minute)
		_, err := w.Instances.Get(w.ctx, in.ID)
		require.ErrorIs(t, err, ams.ErrNotFound)
		require.Equal(t, ams.InstanceStopped, w.instance(kept.ID).Status)
		_, err = w.Instances.Delete(w.ctx, kept.ID, true)
		require.ErrorIs(t, err, ams.ErrState)
		no := false
		require.NoError(t, w.Instances.Set(w.ctx, kept.ID, ams.InstancePatch{DeleteProtected: &no}))
		time.Sleep(2 * time.Minute)
		_, err = w.Instances.Get(w.ctx, kept.ID)
		require.ErrorIs(t, err, ams.ErrNotFound, "its time was over long ago")
		w.audit()
	})
}

// TestTrip is the watchdog of an instance: what it says is the instance's error.
func TestTrip(t *testing.T) {
	bubble(t, slow, func(t *testing.T, w *world) {
		w.application("candy")
		in := w.launch(ams.LaunchRequest{Application: "candy", Services: []ams.Service{{Port: 22, Protocols: []string{"tcp"}}}})
		w.fake.WriteLog(in.ID, "android.log", []byte("boom\n"))
		w.fake.Trip(in.ID, "com.example.candy has crashed")
		time.Sleep(time.Second)
		in = w.instance(in.ID)
		require.Equal(t, ams.InstanceError, in.Status)
		require.Equal(t, "com.example.candy has crashed", in.ErrorMessage)
		require.Equal(t, ams.Charge{Disk: in.Resources.DiskSize}, in.Charged, "only the disk is kept")
		require.Zero(t, in.Services[0].NodePort)
		logs, err := w.Instances.Logs(w.ctx, in.ID)
		require.NoError(t, err)
		require.GreaterOrEqual(t, len(logs), 2)
		w.audit()
		_, err = w.Instances.Start(w.ctx, in.ID, ams.StartOptions{})
		require.ErrorIs(t, err, ams.ErrState, "its logs are not to be dropped unasked")
		w.wait(w.Instances.Start(w.ctx, in.ID, ams.StartOptions{DropLogs: true}))
		in = w.instance(in.ID)
		require.Empty(t, in.Logs)
		w.fake.StopBehindBack(in.ID)
		time.Sleep(time.Second)
		require.Equal(t, ams.InstanceStopped, w.instance(in.ID).Status, "a shutdown is no failure")
		checkEvents(t, w)
	})
}

func TestFollowLog(t *testing.T) {
	bubble(t, fake.Options{}, func(t *testing.T, w *world) {
		w.image()
		in := w.launch(ams.LaunchRequest{})
		w.fake.WriteLog(in.ID, "a.log", []byte("one\ntwo\n"))
		ctx, cancel := context.WithCancel(w.ctx)
		var out bytes.Buffer
		ended := make(chan error, 1)
		go func() { ended <- w.Instances.FollowLog(ctx, in.ID, "a.log", 5, &out) }()
		time.Sleep(time.Second)
		w.fake.WriteLog(in.ID, "a.log", []byte("three\n"))
		time.Sleep(time.Second)
		cancel()
		require.NoError(t, <-ended)
		require.Equal(t, "two\nthree\n", out.String())
		require.ErrorIs(t, w.Instances.FollowLog(w.ctx, in.ID, "none", 5, &out), ams.ErrNotFound)
	})
}

// TestListUnknownApplication is empty, not everything.
func TestListUnknownApplication(t *testing.T) {
	bubble(t, fake.Options{}, func(t *testing.T, w *world) {
		w.application("candy")
		w.launch(ams.LaunchRequest{Application: "candy"})
		list, n, err := w.Instances.List(w.ctx, ams.InstanceFilter{ApplicationName: "none"}, ams.Page{})
		require.NoError(t, err)
		require.Empty(t, list)
		require.Zero(t, n)
		_, n, err = w.Instances.List(w.ctx, ams.InstanceFilter{ApplicationName: "candy"}, ams.Page{})
		require.NoError(t, err)
		require.Equal(t, 1, n)
	})
}
