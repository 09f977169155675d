package ams_test

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-multierror"
	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
	"github.com/openams/ams/backend/fake"
	"github.com/openams/ams/storage/mem"
)

const helloPackage = "examples/apps/hello/package"

func TestBadPackages(t *testing.T) {
	hello, err := os.ReadFile(helloPackage + "/app.apk")
	require.NoError(t, err)
	native, err := os.ReadFile("internal/apk/testdata/native.apk")
	require.NoError(t, err)
	for _, c := range []struct {
		name string
		pkg  io.Reader
		opts ams.CreateOptions
		code ams.Code
		want string
	}{
		{name: "nothing", pkg: strings.NewReader(""), code: ams.ErrInvalid, want: "the package is empty"},
		{name: "something else", pkg: strings.NewReader("7z\xbc\xaf and so on"), code: ams.ErrInvalid, want: `the package is neither a zip nor a tar archive (starts with "7z")`},
		{name: "no manifest", pkg: zipOf("app.apk", "x"), code: ams.ErrInvalid, want: "app.apk: "},
		{name: "no manifest at all", pkg: zipOf("README", "x"), code: ams.ErrInvalid, want: "manifest.yaml is missing from the package"},
		{name: "manifest below", pkg: zipOf("candy/manifest.yaml", "name: candy"), code: ams.ErrInvalid, want: "manifest.yaml is missing from the package: found candy/manifest.yaml; it must be at the top level"},
		{name: "manifest with problems", pkg: pkg("nmae: candy\nresources: {cpus: 0}"), code: ams.ErrInvalid, want: "3 problems:"},
		{name: "manifest too large", pkg: pkg("name: candy\n#" + strings.Repeat("x", 1<<16)), code: ams.ErrInvalid, want: "(maximum 65536)"},
		{name: "leads out", pkg: pkg("name: candy", "../evil", "x"), code: ams.ErrInvalid, want: "evil"},
		{name: "twice, but for case", pkg: pkg("name: candy", "a", "x", "A", "y"), code: ams.ErrInvalid, want: "A"},
		{name: "extra data missing", pkg: pkg("name: candy\nboot-package: com.a.b\nextra-data: {x.obb: {target: /sdcard/Android/obb/com.a.b/}}"), code: ams.ErrInvalid, want: `extra-data "x.obb": file extra-data/x.obb is missing from the package`},
		{name: "extra data of another package", pkg: pkg("name: candy\nextra-data: {x.obb: {target: /sdcard/Android/obb/com.a.b/}}", "app.apk", string(hello), "extra-data/x.obb", "x"), code: ams.ErrInvalid, want: `org.openams.hello`},
		{name: "boot package of another", pkg: pkg("name: candy\nboot-package: com.a.b", "app.apk", string(hello)), code: ams.ErrInvalid, want: `boot-package "com.a.b" differs from the APK's "org.openams.hello"`},
		{name: "broken APK", pkg: pkg("name: candy", "app.apk", string(hello[:len(hello)/2])), code: ams.ErrInvalid, want: "app.apk: "},
		{name: "foreign native code", pkg: pkg("name: candy\nimage: arm", "app.apk", string(native)), code: ams.ErrInvalid, want: `app.apk supports`},
		{name: "unknown image", pkg: pkg("name: candy\nimage: nosuch"), code: ams.ErrNotFound, want: `image "nosuch" not found`},
		{name: "unknown addon", pkg: pkg("name: candy\naddons: [nosuch]"), code: ams.ErrNotFound, want: `addon "nosuch" not found`},
		{name: "too much for any node", pkg: pkg("name: candy\nresources: {cpus: 1000}"), code: ams.ErrNoCapacity, want: "node0 has 256 CPUs in all"},
		{name: "taken name", pkg: pkg("name: taken"), code: ams.ErrExists, want: `application "taken" already exists`},
		{name: "wrong checksum", pkg: pkg("name: candy"), opts: ams.CreateOptions{Digest: strings.Repeat("0", 64)}, code: ams.ErrInvalid, want: "checksum mismatch: got "},
		{name: "no checksum", pkg: pkg("name: candy"), opts: ams.CreateOptions{Digest: "abc"}, code: ams.ErrInvalid, want: `checksum "abc" is not a SHA-256 in hexadecimal`},
		{name: "too large", pkg: io.MultiReader(pkg("name: candy"), bytes.NewReader(make([]byte, 2<<20))), code: ams.ErrTooLarge, want: "application package is larger than 1MB"},
		{name: "unpacks to too much", pkg: pkg("name: candy", "zeros", strings.Repeat("\x00", 2<<20)), code: ams.ErrTooLarge, want: "the package is larger than 1MB"},
		{name: "hook is a directory", pkg: pkg("name: candy", "hooks/pre-start/x", "x"), code: ams.ErrInvalid, want: "hooks/pre-start is a directory, not an executable file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, fake.Options{}, func(t *testing.T, w *world) {
				w.cfg.MaxPackage = ams.Megabyte
				w.stop()
				w.start()
				w.application("taken")
				w.wait(w.Images.Add(t.Context(), "arm", fakeImage("architecture: riscv64"), ams.ImageOptions{}))
				before, err := w.Newest(t.Context())
				require.NoError(t, err)
				_, err = w.Applications.Create(t.Context(), c.pkg, c.opts)
				require.ErrorIs(t, err, c.code)
				require.ErrorContains(t, err, c.want)
				after, err := w.Newest(t.Context())
				require.NoError(t, err)
				require.Equal(t, before, after, "a refused package leaves no trace")
			})
		})
	}
}

func TestPackagesOfAllKindsAreTheSame(t *testing.T) {
	zipped, tarred := new(bytes.Buffer), new(bytes.Buffer)
	dir, err := ams.OpenPackage(helloPackage)
	require.NoError(t, err)
	_, err = io.Copy(zipped, dir)
	require.NoError(t, err)
	require.NoError(t, dir.Close())
	tw := tar.NewWriter(tarred)
	require.NoError(t, tw.AddFS(os.DirFS(helloPackage)))
	require.NoError(t, tw.Close())
	bubble(t, fake.Options{}, func(t *testing.T, w *world) {
		w.image()
		var versions []ams.Version
		for _, p := range []*bytes.Buffer{zipped, tarred} {
			w.wait(w.Applications.Create(t.Context(), p, ams.CreateOptions{}))
			v, err := w.Applications.Version(t.Context(), "hello", 0)
			require.NoError(t, err)
			versions = append(versions, v)
			w.wait(w.Applications.Delete(t.Context(), "hello", false))
		}
		require.Equal(t, versions[0].Manifest, versions[1].Manifest)
		require.Equal(t, versions[0].APK, versions[1].APK)
		require.Equal(t, "org.openams.hello", versions[0].APK.Package)
		require.Equal(t, "org.openams.hello.MainActivity", versions[0].APK.MainActivity)
	})
}

func TestOpenPackageErrors(t *testing.T) {
	_, err := ams.OpenPackage(filepath.Join(t.TempDir(), "nothing"))
	require.ErrorIs(t, err, os.ErrNotExist)
	dir := t.TempDir()
	require.NoError(t, os.Symlink("/etc/passwd", filepath.Join(dir, "manifest.yaml")))
	p, err := ams.OpenPackage(dir)
	require.NoError(t, err)
	_, err = io.ReadAll(p)
	require.ErrorContains(t, err, "manifest.yaml")
	require.NoError(t, p.Close())
}

func TestBadLaunches(t *testing.T) {
	minus, nine := -1, 9
	for _, c := range []struct {
		name string
		req  ams.LaunchRequest
		code ams.Code
		want string
	}{
		{"short name", ams.LaunchRequest{Name: "ab"}, ams.ErrInvalid, `name "ab" is not allowed: must be 3-63 letters, digits or hyphens`},
		{"long name", ams.LaunchRequest{Name: strings.Repeat("a", 64)}, ams.ErrInvalid, "3-63"},
		{"name with underscore", ams.LaunchRequest{Name: "A_b"}, ams.ErrInvalid, "3-63"},
		{"name with hyphen first", ams.LaunchRequest{Name: "-abc"}, ams.ErrInvalid, "without a hyphen at either end"},
		{"application and image", ams.LaunchRequest{Application: "candy", Image: "jammy"}, ams.ErrInvalid, "set either application or image, not both"},
		{"unknown application", ams.LaunchRequest{Application: "nosuch"}, ams.ErrNotFound, `application "nosuch" not found`},
		{"unknown version", ams.LaunchRequest{Application: "candy", Version: &nine}, ams.ErrNotFound, `application "candy": has no version 9`},
		{"negative version", ams.LaunchRequest{Application: "candy", Version: &minus}, ams.ErrInvalid, "version -1 is invalid"},
		{"unknown image", ams.LaunchRequest{Image: "nosuch"}, ams.ErrNotFound, `image "nosuch" not found`},
		{"unknown image version", ams.LaunchRequest{Version: &nine}, ams.ErrNotFound, "has no version 9"},
		{"no virtual machine image", ams.LaunchRequest{VM: true}, ams.ErrNotFound, "there is no default image"},
		{"unknown node", ams.LaunchRequest{Application: "candy", Node: "nosuch"}, ams.ErrNotFound, `node "nosuch" not found`},
		{"user data too long", ams.LaunchRequest{UserData: strings.Repeat("x", 10241)}, ams.ErrInvalid, "user data is 10241 bytes (maximum 10240)"},
		{"user data not text", ams.LaunchRequest{UserData: "\xff\xfe"}, ams.ErrInvalid, "encode binary data as base64"},
		{"too little memory", ams.LaunchRequest{Resources: ams.Resources{Memory: ams.Gigabyte}}, ams.ErrInvalid, `resources.memory "1GB" is below the minimum of 3GB`},
		{"several things", ams.LaunchRequest{Resources: ams.Resources{CPUs: -1, DiskSize: 5}, Tags: []string{"a,b"}}, ams.ErrInvalid, "3 problems:"},
		{"too many CPUs", ams.LaunchRequest{Resources: ams.Resources{CPUs: 1000}}, ams.ErrNoCapacity, "node0 has 256 CPUs free"},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, fake.Options{}, func(t *testing.T, w *world) {
				w.application("candy")
				_, err := w.Instances.Launch(t.Context(), c.req)
				require.ErrorIs(t, err, c.code)
				require.ErrorContains(t, err, c.want)
			})
		})
	}
}

func TestProblemsCanBeTakenApart(t *testing.T) {
	_, err := ams.ParseManifest([]byte("nmae: x\nresources: {cpus: 0}"))
	var all *multierror.Error
	require.ErrorAs(t, err, &all)
	require.Len(t, all.Errors, 3)
	var field *ams.FieldError
	require.ErrorAs(t, all.Errors[2], &field)
	require.Equal(t, "resources.cpus", field.Field)
	require.Equal(t, 2, field.Line)
}

func TestBadImages(t *testing.T) {
	bubble(t, fake.Options{}, func(t *testing.T, w *world) {
		ctx := t.Context()
		_, err := w.Images.Add(ctx, "a b", fakeImage("x"), ams.ImageOptions{})
		require.ErrorIs(t, err, ams.ErrInvalid)
		require.ErrorContains(t, err, `name "a b" is not allowed: contains a space`)
		op, err := w.Images.Add(ctx, "broken", fakeImage("not an image"), ams.ImageOptions{})
		w.fails(ams.ErrInvalid, op, err)
		image, err := w.Images.Get(ctx, "broken")
		require.NoError(t, err)
		require.Equal(t, ams.ImageError, image.Status)
		require.NotEmpty(t, image.Versions[0].ErrorMessage)
		_, err = w.Instances.Launch(ctx, ams.LaunchRequest{Image: "broken"})
		require.ErrorIs(t, err, ams.ErrState)
		w.wait(w.Images.Delete(ctx, "broken", false))
		w.application("candy")
		_, err = w.Images.Add(ctx, "jammy:android15:amd64", fakeImage("y"), ams.ImageOptions{})
		require.ErrorIs(t, err, ams.ErrExists)
		_, err = w.Images.Delete(ctx, "jammy:android15:amd64", false)
		require.ErrorIs(t, err, ams.ErrInUse)
		w.wait(w.Images.Add(ctx, "other", fakeImage("y"), ams.ImageOptions{Default: true}))
		w.wait(w.Images.Delete(ctx, "jammy:android15:amd64", true))
		w.launch(ams.LaunchRequest{Application: "candy"})
		_, err = w.Images.Delete(ctx, "nosuch", true)
		require.ErrorIs(t, err, ams.ErrNotFound)
	})
}

// TestSettingsAtWork changes what happens; what is refused is in settings_refused_test.go.
func TestSettingsAtWork(t *testing.T) {
	bubble(t, fake.Options{}, func(t *testing.T, w *world) {
		ctx := t.Context()
		require.NoError(t, w.Settings.Set(ctx, "application.auto_publish", "false"))
		app := w.application("candy")
		require.False(t, app.Published)
		_, err := w.Instances.Launch(ctx, ams.LaunchRequest{Application: "candy"})
		require.ErrorIs(t, err, ams.ErrNotFound)
		require.NoError(t, w.Applications.Publish(ctx, "candy", 0))
		w.launch(ams.LaunchRequest{Application: "candy"})
		require.NoError(t, w.Settings.Set(ctx, "application.auto_publish", ""))
		value, err := w.Settings.Get(ctx, "application.auto_publish")
		require.NoError(t, err)
		require.Equal(t, "true", value)
	})
}

func TestNodeSettings(t *testing.T) {
	bubble(t, fake.Options{NodeCount: 2}, func(t *testing.T, w *world) {
		ctx := t.Context()
		yes, cpus, rate, bad := true, 1, 1.0, -1.0
		w.image()
		require.ErrorIs(t, w.Nodes.Set(ctx, "nosuch", ams.NodePatch{CPUs: &cpus}), ams.ErrNotFound)
		require.ErrorIs(t, w.Nodes.Set(ctx, "node0", ams.NodePatch{CPURate: &bad}), ams.ErrInvalid)
		require.NoError(t, w.Nodes.Set(ctx, "node0", ams.NodePatch{Unschedulable: &yes}))
		require.NoError(t, w.Nodes.Set(ctx, "node1", ams.NodePatch{CPUs: &cpus, CPURate: &rate, Tags: []string{"small"}}))
		_, err := w.Instances.Launch(ctx, ams.LaunchRequest{})
		require.ErrorIs(t, err, ams.ErrNoCapacity)
		require.ErrorContains(t, err, "node0 unschedulable; node1 has 1 CPUs free")
		w.launch(ams.LaunchRequest{Resources: ams.Resources{CPUs: 1}})
		time.Sleep(time.Hour)
		n, err := w.Nodes.Get(ctx, "node1")
		require.NoError(t, err)
		require.Equal(t, 1, n.CPUs, "detection does not overwrite what the operator set")
		require.Equal(t, []string{"small"}, n.Tags)
	})
}

func TestConfigIsChecked(t *testing.T) {
	good := ams.Config{Store: mem.New(), Backend: fake.New(fake.Options{})}
	_, err := ams.New(good)
	require.NoError(t, err)
	for want, change := range map[string]func(*ams.Config){
		"Config.Store is required":                             func(c *ams.Config) { c.Store = nil },
		"Config.Backend is required":                           func(c *ams.Config) { c.Backend = nil },
		"Config.Guest is required":                             func(c *ams.Config) { c.Backend = struct{ ams.Backend }{c.Backend} },
		"Config.Blobs is required":                             func(c *ams.Config) { c.Store = struct{ ams.Store }{c.Store} },
		"Config.DrainTimeout must not be negative":             func(c *ams.Config) { c.DrainTimeout = -1 },
		"Config.BootstrapTimeout is 1h0m0s, the most is 15m0s": func(c *ams.Config) { c.BootstrapTimeout = time.Hour },
	} {
		c := good
		change(&c)
		_, err := ams.New(c)
		require.ErrorIs(t, err, ams.ErrInvalid)
		require.ErrorContains(t, err, want)
	}
}

// TestConfigFieldsSurvive sets every number of the Config and requires that it
// arrives, and leaves every one out and requires a default.
func TestConfigFieldsSurvive(t *testing.T) {
	base := ams.Config{Store: mem.New(), Backend: fake.New(fake.Options{})}
	defaults, err := ams.WithDefaults(base)
	require.NoError(t, err)
	full := base
	v := reflect.ValueOf(&full).Elem()
	for i := range v.NumField() {
		if f := v.Field(i); f.CanInt() {
			require.NotZero(t, reflect.ValueOf(defaults).Field(i).Int(), v.Type().Field(i).Name)
			f.SetInt(int64(i + 1))
		}
	}
	got, err := ams.WithDefaults(full)
	require.NoError(t, err)
	for i := range v.NumField() {
		if f := v.Field(i); f.CanInt() {
			require.Equal(t, int64(i+1), reflect.ValueOf(got).Field(i).Int(), v.Type().Field(i).Name)
		}
	}
}

func TestEvents(t *testing.T) {
	bubble(t, fake.Options{}, func(t *testing.T, w *world) {
		ctx := t.Context()
		w.image()
		since, err := w.Newest(ctx)
		require.NoError(t, err)
		go func() { w.launch(ams.LaunchRequest{Name: "one"}) }()
		var got []string
		for e, err := range w.Events(ctx, since) {
			require.NoError(t, err)
			require.Equal(t, since+1, e.Seq)
			since = e.Seq
			if e.Kind == "instance" {
				got = append(got, e.Action)
			}
			if e.Action == "running" {
				break
			}
		}
		require.Equal(t, []string{"created", "prepared", "started", "running"}, got)
		synctest.Wait()

		for _, err := range w.Events(ctx, since+1000) {
			require.ErrorIs(t, err, ams.ErrGone, "a number from the future")
		}
		require.NoError(t, w.store.Update(ctx, func(tx ams.Tx) error { return tx.Events().Trim(since) }))
		for _, err := range w.Events(ctx, 1) {
			require.ErrorIs(t, err, ams.ErrGone)
		}
	})
}

func TestWaitEndsWithItsContext(t *testing.T) {
	bubble(t, slow, func(t *testing.T, w *world) {
		w.image()
		op, err := w.Instances.Launch(t.Context(), ams.LaunchRequest{})
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		got, err := w.Operations.Wait(ctx, op.ID)
		require.Error(t, err)
		require.Equal(t, ams.OperationRunning, got.Status)
		w.wait(op, nil)
		_, err = w.Operations.Wait(t.Context(), "nonsense")
		require.ErrorIs(t, err, ams.ErrNotFound)
	})
}

func TestListsFilterAndPage(t *testing.T) {
	bubble(t, fake.Options{NodeCount: 2}, func(t *testing.T, w *world) {
		ctx := t.Context()
		app := w.application("candy")
		for i := range 10 {
			req := ams.LaunchRequest{Name: fmt.Sprint("inst", i), Resources: ams.Resources{CPUs: 1}, Tags: []string{"all", fmt.Sprint("mod", i%2)}}
			if i < 4 {
				req.Application = "candy"
			}
			w.launch(req)
		}
		count := func(f ams.InstanceFilter, p ams.Page) (int, int) {
			list, n, err := w.Instances.List(ctx, f, p)
			require.NoError(t, err)
			return len(list), n
		}
		both := func(a, b int) []int { return []int{a, b} }
		require.Equal(t, []int{4, 4}, both(count(ams.InstanceFilter{ApplicationID: app.ID}, ams.Page{})))
		require.Equal(t, []int{5, 5}, both(count(ams.InstanceFilter{Tags: []string{"all", "mod1"}}, ams.Page{})))
		require.Equal(t, []int{3, 10}, both(count(ams.InstanceFilter{}, ams.Page{Offset: 2, Limit: 3})))
		require.Equal(t, []int{0, 10}, both(count(ams.InstanceFilter{}, ams.Page{Offset: 20, Limit: 3})))
		require.Equal(t, []int{0, 0}, both(count(ams.InstanceFilter{ApplicationID: "nosuch"}, ams.Page{})), "nothing, never all")
		apps, n, err := w.Applications.List(ctx, ams.ApplicationFilter{BootPackage: "com.other"}, ams.Page{})
		require.NoError(t, err)
		require.Empty(t, apps)
		require.Zero(t, n)
	})
}

func TestTwoManagersDoNotMeet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := fake.New(fake.Options{})
		share := func(c *ams.Config) { c.Backend = cluster }
		a, b := newWorld(t, fake.Options{}, share), newWorld(t, fake.Options{}, share)
		a.image()
		b.image()
		a.launch(ams.LaunchRequest{Name: "same"})
		b.launch(ams.LaunchRequest{Name: "same"})
		time.Sleep(time.Hour)
		a.fake, b.fake = cluster, cluster
		a.audit()
		b.audit()
		require.Len(t, cluster.Snapshot().Instances, 2)
	})
}

func TestRunTwice(t *testing.T) {
	bubble(t, fake.Options{}, func(t *testing.T, w *world) {
		require.ErrorIs(t, w.Manager.Run(t.Context()), ams.ErrState)
	})
}
