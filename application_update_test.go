package ams_test

import (
	"context"
	"fmt"
	"io"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
	"github.com/openams/ams/backend/fake"
)

const candy = `name: candy
version: "1.0"
instance-type: a4.3
resources: {memory: 4GB, vpu-slots: 0, no-disk-reserve: true}
tags: [game]
boot-package: com.example.candy
boot-activity: com.example.candy.Main
required-permissions: [android.permission.CAMERA]
video-encoder: software
watchdog: {allowed-packages: [com.android.settings]}
services: [{name: web, port: 80, protocols: [tcp]}]
hooks: {timeout: 3m}
bootstrap: {keep: ["*.txt"]}
features: [enable_wifi]
`

// settled waits until nothing is being built and returns the application's
// versions.
func (w *world) settled(name string) []ams.Version {
	w.t.Helper()
	for range 1000 {
		time.Sleep(5 * time.Second) // of a bubble's time; longer than updates are put off
		app, err := w.Applications.Get(w.ctx, name)
		require.NoError(w.t, err)
		list, err := w.Applications.Versions(w.ctx, name)
		require.NoError(w.t, err)
		built := !slices.ContainsFunc(list, func(v ams.Version) bool { return v.BaseInstance != "" })
		if built && (app.Status == ams.ApplicationReady || app.Status == ams.ApplicationError) {
			return list
		}
	}
	require.FailNow(w.t, "the application does not come to rest")
	return nil
}

func numbers(list []ams.Version) []int {
	var n []int
	for _, v := range list {
		n = append(n, v.Number)
	}
	return n
}

func ptr[T any](v T) *T { return &v }

func TestSetApplication(t *testing.T) {
	bubble(t, slow, func(t *testing.T, w *world) {
		w.image()
		w.wait(w.Images.Add(w.ctx, "noble", fakeImage("noble"), ams.ImageOptions{}))
		w.wait(w.Applications.Create(w.ctx, pkg(candy), ams.CreateOptions{}))
		for _, c := range []struct {
			name  string
			patch ams.ApplicationPatch
			makes bool // a new version
		}{
			{"nothing", ams.ApplicationPatch{}, false},
			{"the same", ams.ApplicationPatch{Features: []string{"enable_wifi"}, Hooks: &ams.Hooks{Timeout: "3m"}}, false},
			{"tags", ams.ApplicationPatch{Tags: []string{"new"}}, false},
			{"instance type", ams.ApplicationPatch{InstanceType: ptr("a6.3")}, false},
			{"resources", ams.ApplicationPatch{Resources: ams.ResourcesPatch{CPUs: ptr(5), GPUSlots: ptr(0)}}, false},
			{"node selector", ams.ApplicationPatch{NodeSelector: []string{"fast"}}, false},
			{"no automatic updates", ams.ApplicationPatch{InhibitAutoUpdates: ptr(true)}, false},
			{"the same image", ams.ApplicationPatch{Image: ptr("jammy:android15:amd64")}, false},
			{"image", ams.ApplicationPatch{Image: ptr("noble")}, true},
			{"services", ams.ApplicationPatch{Services: []ams.Service{}}, true},
			{"features", ams.ApplicationPatch{Features: []string{"a.b"}}, true},
			{"watchdog", ams.ApplicationPatch{Watchdog: &ams.Watchdog{Disabled: true}}, true},
			{"boot activity", ams.ApplicationPatch{BootActivity: ptr("com.example.candy.Other")}, true},
			{"permissions", ams.ApplicationPatch{RequiredPermissions: []string{"*"}}, true},
			{"encoder", ams.ApplicationPatch{VideoEncoder: ptr(ams.EncoderGPUPreferred)}, true},
			{"manifest version", ams.ApplicationPatch{Version: ptr("1.1")}, true},
			{"hooks", ams.ApplicationPatch{Hooks: &ams.Hooks{}}, true},
			{"bootstrap", ams.ApplicationPatch{Bootstrap: &ams.Bootstrap{Keep: []string{"a"}}}, true},
			{"several at once", ams.ApplicationPatch{Image: ptr("jammy:android15:amd64"), Tags: []string{"x"}, Version: ptr("2"), Services: []ams.Service{{Port: 1, Protocols: []string{"udp"}}}}, true},
		} {
			before := w.settled("candy")
			op := w.wait(w.Applications.Set(w.ctx, "candy", c.patch))
			after := w.settled("candy")
			last := before[len(before)-1].Number
			if c.makes {
				last++
			}
			require.Equal(t, last, after[len(after)-1].Number, c.name)
			require.Equal(t, c.makes, len(op.Resources["version"]) == 1, c.name)
			require.Equal(t, ams.VersionActive, after[len(after)-1].Status, c.name)
		}
		app, err := w.Applications.Get(w.ctx, "candy")
		require.NoError(t, err)
		require.Equal(t, ams.Resources{CPUs: 5, Memory: 4 * ams.Gigabyte, DiskSize: 3 * ams.Gigabyte, GPUSlots: ptr(0), VPUSlots: ptr(0), NoDiskReserve: true}, app.Resources)
		require.Equal(t, []any{"a6.3", []string{"x"}, []string{"fast"}, true}, []any{app.Manifest.InstanceType, app.Manifest.Tags, app.Manifest.NodeSelector, app.InhibitAutoUpdates})
		last := w.settled("candy")
		mf := last[len(last)-1].Manifest
		mf.Resources = ams.Resources{}
		require.Equal(t, ams.Manifest{
			Name: "candy", Version: "2", InstanceType: "a6.3", Image: app.Image, Tags: []string{"x"}, BootPackage: "com.example.candy",
			BootActivity: "com.example.candy.Other", RequiredPermissions: []string{"*"}, VideoEncoder: ams.EncoderGPUPreferred,
			Watchdog: ams.Watchdog{Disabled: true}, Services: []ams.Service{{Port: 1, Protocols: []string{"udp"}}},
			Bootstrap: ams.Bootstrap{Keep: []string{"a"}}, Features: []string{"a.b"}, NodeSelector: []string{"fast"},
		}, mf)
	})
}

func TestSetApplicationRefuses(t *testing.T) {
	bubble(t, slow, func(t *testing.T, w *world) {
		w.image()
		op, err := w.Applications.Create(w.ctx, pkg(candy), ams.CreateOptions{})
		require.NoError(t, err)
		time.Sleep(5 * time.Second)
		_, err = w.Applications.Set(w.ctx, "candy", ams.ApplicationPatch{Version: ptr("2")})
		require.ErrorIs(t, err, ams.ErrConflict)
		w.wait(w.Applications.Set(w.ctx, "candy", ams.ApplicationPatch{Tags: []string{"early"}})) // needs no version
		_, err = w.Applications.Refresh(w.ctx, "candy")
		require.ErrorIs(t, err, ams.ErrConflict)
		w.wait(op, nil)
		for _, c := range []struct {
			name  string
			patch ams.ApplicationPatch
			code  ams.Code
			text  string
		}{
			{"candy", ams.ApplicationPatch{InstanceType: ptr("x"), Tags: []string{"a,b"}, Resources: ams.ResourcesPatch{CPUs: ptr(-1)}}, ams.ErrInvalid, "3 problems"},
			{"candy", ams.ApplicationPatch{Image: ptr("none")}, ams.ErrNotFound, `image "none" not found`},
			{"candy", ams.ApplicationPatch{Addons: []string{"none"}}, ams.ErrNotFound, `addon "none" not found`},
			{"none", ams.ApplicationPatch{}, ams.ErrNotFound, `application "none" not found`},
		} {
			_, err := w.Applications.Set(w.ctx, c.name, c.patch)
			require.ErrorIs(t, err, c.code)
			require.ErrorContains(t, err, c.text)
		}
		app, err := w.Applications.Get(w.ctx, "candy")
		require.NoError(t, err)
		require.Equal(t, []string{"early"}, app.Manifest.Tags)
		require.Len(t, w.settled("candy"), 1)
	})
}

func TestUpdateKeepsWhatBelongsToTheApplication(t *testing.T) {
	bubble(t, slow, func(t *testing.T, w *world) {
		w.image()
		w.wait(w.Images.Add(w.ctx, "noble", fakeImage("noble"), ams.ImageOptions{}))
		w.wait(w.Applications.Create(w.ctx, pkg(candy), ams.CreateOptions{}))
		w.wait(w.Applications.Set(w.ctx, "candy", ams.ApplicationPatch{Image: ptr("noble"), Tags: []string{"kept"}, Resources: ams.ResourcesPatch{CPUs: ptr(6)}}))
		w.wait(w.Applications.Update(w.ctx, "candy", pkg("name: candy\nversion: '2'\nresources: {memory: 5GB}"), ams.CreateOptions{}))
		app, err := w.Applications.Get(w.ctx, "candy")
		require.NoError(t, err)
		noble, err := w.Images.Get(w.ctx, "noble")
		require.NoError(t, err)
		require.Equal(t, noble.ID, app.Image)
		require.Equal(t, []string{"kept"}, app.Manifest.Tags)
		require.Equal(t, []any{6, 5 * ams.Gigabyte, true}, []any{app.Resources.CPUs, app.Resources.Memory, app.Resources.NoDiskReserve})
		v := w.settled("candy")[2]
		require.Empty(t, v.Manifest.RequiredPermissions, "those of the old package are not granted")
		require.Empty(t, v.Manifest.Services)
		w.wait(w.Applications.Set(w.ctx, "candy", ams.ApplicationPatch{Tags: []string{}, Image: ptr(""), Resources: ams.ResourcesPatch{CPUs: ptr(0), Memory: ptr(ams.Size(0)), NoDiskReserve: ptr(false)}}))
		app, err = w.Applications.Get(w.ctx, "candy")
		require.NoError(t, err)
		require.Equal(t, ams.Resources{CPUs: 4, Memory: 3 * ams.Gigabyte, DiskSize: 3 * ams.Gigabyte, GPUSlots: ptr(0), VPUSlots: ptr(0)}, app.Resources, "by its instance type again")
		require.Equal(t, noble.ID, app.Image)
		require.Len(t, w.settled("candy"), 3)
	})
}

func TestImageUpdateRebuilds(t *testing.T) {
	bubble(t, slow, func(t *testing.T, w *world) {
		w.image()
		w.wait(w.Applications.Create(w.ctx, pkg(candy), ams.CreateOptions{}))
		w.wait(w.Applications.Create(w.ctx, pkg("name: fixed"), ams.CreateOptions{}))
		w.wait(w.Applications.Set(w.ctx, "fixed", ams.ApplicationPatch{InhibitAutoUpdates: ptr(true)}))
		before := w.settled("candy")[0]
		w.wait(w.Images.Update(w.ctx, jammy, fakeImage("two"), ams.ImageOptions{}))
		w.wait(w.Images.Update(w.ctx, jammy, fakeImage("two"), ams.ImageOptions{})) // the same again
		versions := w.settled("candy")
		require.Equal(t, []int{0, 1}, numbers(versions))
		after := versions[1]
		require.Equal(t, 1, after.ImageVersion)
		require.True(t, after.Published)
		// Everything is carried over but what says which build it is.
		same := after
		same.ID, same.Rev, same.Number, same.ImageVersion, same.Fingerprint, same.Operation = before.ID, before.Rev, 0, 0, before.Fingerprint, before.Operation
		same.CreatedAt, same.UpdatedAt = before.CreatedAt, before.UpdatedAt
		require.Equal(t, before, same)

		require.Len(t, w.settled("fixed"), 1, "updates are inhibited")
		w.wait(w.Applications.Refresh(w.ctx, "fixed"))
		require.Len(t, w.settled("fixed"), 2)
		op := w.wait(w.Applications.Refresh(w.ctx, "fixed"))
		require.Empty(t, op.Resources["version"], "nothing is newer")
		w.wait(w.Applications.Set(w.ctx, "fixed", ams.ApplicationPatch{InhibitAutoUpdates: ptr(false)}))

		require.NoError(t, w.Settings.Set(w.ctx, "application.auto_update", "false"))
		w.wait(w.Images.Update(w.ctx, jammy, fakeImage("three"), ams.ImageOptions{}))
		require.Len(t, w.settled("candy"), 2, "updates are off")
		require.NoError(t, w.Settings.Set(w.ctx, "application.auto_update", "true"))
		require.Len(t, w.settled("candy"), 3)
		require.Len(t, w.settled("fixed"), 3)
	})
}

// TestUpdateWaitsForABuild changes the image while a version is being built.
func TestUpdateWaitsForABuild(t *testing.T) {
	bubble(t, slow, func(t *testing.T, w *world) {
		w.image()
		op, err := w.Applications.Create(w.ctx, pkg(candy), ams.CreateOptions{})
		require.NoError(t, err)
		for i := range 3 {
			time.Sleep(time.Second)
			w.wait(w.Images.Update(w.ctx, jammy, fakeImage(fmt.Sprint(i)), ams.ImageOptions{}))
		}
		w.wait(op, nil)
		versions := w.settled("candy")
		require.Equal(t, []int{0, 1}, numbers(versions))
		require.Equal(t, 3, versions[1].ImageVersion)
	})
}

func TestFailedUpdate(t *testing.T) {
	bubble(t, slow, func(t *testing.T, w *world) {
		w.image()
		w.wait(w.Applications.Create(w.ctx, pkg(candy), ams.CreateOptions{}))
		w.fake.FailGuest(fake.GuestFault{Phase: ams.PhaseBootstrap, Tail: "no room"})
		w.wait(w.Images.Update(w.ctx, jammy, fakeImage("two"), ams.ImageOptions{}))
		versions := w.settled("candy")
		require.Equal(t, []ams.VersionStatus{ams.VersionActive, ams.VersionError}, []ams.VersionStatus{versions[0].Status, versions[1].Status})
		require.Contains(t, versions[1].ErrorMessage, "no room")
		app, err := w.Applications.Get(w.ctx, "candy")
		require.NoError(t, err)
		require.Equal(t, ams.ApplicationError, app.Status)
		require.True(t, app.Published)
		require.Equal(t, 0, w.launch(ams.LaunchRequest{Application: "candy"}).Version, "older published versions still launch")
		time.Sleep(time.Hour)
		require.Len(t, w.settled("candy"), 2, "it is not tried again and again")
		w.fake.HealGuest()
		w.wait(w.Applications.Refresh(w.ctx, "candy"))
		require.Equal(t, ams.VersionActive, w.settled("candy")[2].Status)
	})
}

func TestMaxPublishedVersions(t *testing.T) {
	bubble(t, slow, func(t *testing.T, w *world) {
		w.image()
		w.wait(w.Applications.Create(w.ctx, pkg("name: candy"), ams.CreateOptions{}))
		in := w.launch(ams.LaunchRequest{Application: "candy"})
		for i := range 4 {
			w.wait(w.Applications.Update(w.ctx, "candy", pkg(fmt.Sprint("name: candy\nversion: v", i)), ams.CreateOptions{}))
		}
		require.Equal(t, []int{2, 3, 4}, numbers(w.settled("candy")))
		require.Equal(t, ams.InstanceRunning, w.instance(in.ID).Status, "what runs goes on")
		require.NoError(t, w.Applications.Revoke(w.ctx, "candy", 2))
		require.NoError(t, w.Settings.Set(w.ctx, "application.max_published_versions", "1"))
		require.Equal(t, []int{2, 4}, numbers(w.settled("candy")), "one that is not published stays")
		require.NoError(t, w.Applications.Publish(w.ctx, "candy", 2))
		require.Equal(t, []int{2}, numbers(w.settled("candy")), "the one just published stays")
	})
}

// TestFiftyUpdates changes the image of fifty applications and restarts the
// Manager in the middle.
func TestFiftyUpdates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, slow)
		w.image()
		const n = 50
		var ops []ams.Operation
		for i := range n {
			op, err := w.Applications.Create(w.ctx, pkg(fmt.Sprintf("name: app%02d\nresources: {cpus: 1}", i)), ams.CreateOptions{})
			require.NoError(t, err)
			ops = append(ops, op)
		}
		for _, op := range ops {
			w.wait(op, nil)
		}
		time.Sleep(time.Minute)
		from, err := w.Newest(w.ctx)
		require.NoError(t, err)
		w.wait(w.Images.Update(w.ctx, jammy, fakeImage("two"), ams.ImageOptions{}))
		most := 0
		for range 100 {
			time.Sleep(time.Second)
			yes := true
			bases, _, err := w.Instances.List(w.ctx, ams.InstanceFilter{Base: &yes}, ams.Page{})
			require.NoError(t, err)
			bases = slices.DeleteFunc(bases, func(in ams.Instance) bool { return !in.Made })
			most = max(most, len(bases))
		}
		w.stop()
		w.start()
		for i := range n {
			versions := w.settled(fmt.Sprintf("app%02d", i))
			require.Equal(t, []int{0, 1}, numbers(versions))
			require.Equal(t, ams.VersionActive, versions[1].Status)
			require.Equal(t, 1, versions[1].ImageVersion)
		}
		require.LessOrEqual(t, most, 3*4, "four builds at a time on each of three nodes")
		require.Greater(t, most, 3)
		w.inOrder(from)
		w.audit()
	})
}

// inOrder requires that base instances were made and placed in the order of their
// applications.
func (w *world) inOrder(from int64) {
	w.t.Helper()
	ctx, cancel := context.WithCancel(w.ctx)
	defer cancel()
	newest, err := w.Newest(ctx)
	require.NoError(w.t, err)
	begun := map[string][]string{}
	for e, err := range w.Events(ctx, from) {
		require.NoError(w.t, err)
		if e.Kind == "version" && e.Action == "initializing" || e.Kind == "instance" && e.Action == "prepared" {
			begun[e.Action] = append(begun[e.Action], e.ID)
		}
		if e.Seq == newest {
			break
		}
	}
	for what, ids := range begun {
		require.Len(w.t, ids, 50, what)
		require.True(w.t, slices.IsSorted(ids), what)
	}
}

func TestExport(t *testing.T) {
	bubble(t, slow, func(t *testing.T, w *world) {
		w.image()
		w.wait(w.Applications.Create(w.ctx, pkg(candy), ams.CreateOptions{}))
		file, err := w.Applications.Export(w.ctx, "candy", 0)
		require.NoError(t, err)
		content, err := io.ReadAll(file)
		require.NoError(t, err)
		require.NoError(t, file.Close())
		require.Equal(t, "candy-0.tar", file.Name)
		require.Equal(t, []any{int64(len(content)), sha(content)}, []any{file.Size, file.Digest})
		_, err = w.Applications.Export(w.ctx, "candy", 7)
		require.ErrorIs(t, err, ams.ErrNotFound)
		w.fake.FailGuest(fake.GuestFault{Phase: ams.PhaseBootstrap})
		op, err := w.Applications.Update(w.ctx, "candy", pkg(candy), ams.CreateOptions{})
		w.fails(ams.ErrFailed, op, err)
		_, err = w.Applications.Export(w.ctx, "candy", 1)
		require.ErrorIs(t, err, ams.ErrState)

		data, digest, err := w.Applications.ManifestYAML(w.ctx, "candy", 0)
		require.NoError(t, err)
		require.Equal(t, sha(data), digest)
		m, err := ams.ParseManifest(data)
		require.NoError(t, err)
		require.Equal(t, []any{"candy", jammy, "x86_64"}, []any{m.Name, m.Image, m.ABI})
	})
}
