package ams_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/openams/ams"
	"github.com/openams/ams/backend/fake"
	"github.com/openams/ams/storage/mem"
)

// waiter returns a function that waits for what a request began.
func waiter(m *ams.Manager) func(ams.Operation, error) ams.Operation {
	return func(op ams.Operation, err error) ams.Operation {
		check(err)
		op, err = m.Operations.Wait(context.Background(), op.ID)
		check(err)
		return op
	}
}

// How do I put out a new package? What belongs to a version comes from it alone,
// what belongs to the application stays where it does not say.
func ExampleApplications_Update() {
	ctx := context.Background()
	m, stop := exampleManager(fake.New(fake.Options{}), mem.New())
	defer stop()
	wait := waiter(m)

	first := pkg("name: candy\nversion: '1.0'\ntags: [game]\nresources: {cpus: 4}\nfeatures: [enable_wifi]")
	second := pkg("name: candy\nversion: '1.1'\nresources: {memory: 4GB}")
	wait(m.Applications.Create(ctx, first, ams.CreateOptions{}))
	wait(m.Applications.Update(ctx, "candy", second, ams.CreateOptions{}))

	versions, err := m.Applications.Versions(ctx, "candy")
	check(err)
	for _, v := range versions {
		fmt.Println(v.Number, v.Status, v.Published, v.Manifest.Version, v.Manifest.Features)
	}
	app, err := m.Applications.Get(ctx, "candy")
	check(err)
	fmt.Println(app.Status, app.Manifest.Tags, app.Resources.CPUs, app.Resources.Memory)
	// Output:
	// 0 active true 1.0 [enable_wifi]
	// 1 active true 1.1 []
	// ready [game] 4 4GB
}

// How do I change an application without a package? However much one call
// changes, it makes one version at the most.
func ExampleApplications_Set() {
	ctx := context.Background()
	m, stop := exampleManager(fake.New(fake.Options{}), mem.New(), "examples/apps/hello/package")
	defer stop()
	wait := waiter(m)

	cpus := 4
	op := wait(m.Applications.Set(ctx, "hello", ams.ApplicationPatch{
		Tags:      []string{"demo"},
		Resources: ams.ResourcesPatch{CPUs: &cpus},
	}))
	fmt.Println("versions made:", len(op.Resources["version"]))

	label := "2.0"
	op = wait(m.Applications.Set(ctx, "hello", ams.ApplicationPatch{
		Tags:     []string{}, // none any more
		Version:  &label,
		Features: []string{"enable_wifi"},
	}))
	fmt.Println("versions made:", len(op.Resources["version"]))
	// Output:
	// versions made: 0
	// versions made: 1
}

// How do I try a version before everybody gets it?
func ExampleApplications_Publish() {
	ctx := context.Background()
	m, stop := exampleManager(fake.New(fake.Options{}), mem.New(), "examples/apps/hello/package")
	defer stop()
	wait := waiter(m)

	check(m.Settings.Set(ctx, "application.auto_publish", "false"))
	label := "2.0"
	wait(m.Applications.Set(ctx, "hello", ams.ApplicationPatch{Version: &label}))
	launched := func(req ams.LaunchRequest) {
		op := wait(m.Instances.Launch(ctx, req))
		in, err := m.Instances.Get(ctx, op.Resources["instance"][0])
		check(err)
		fmt.Println("launched version", in.Version)
	}
	launched(ams.LaunchRequest{Application: "hello"}) // the latest published one
	one := 1
	launched(ams.LaunchRequest{Application: "hello", Version: &one})

	check(m.Applications.Publish(ctx, "hello", 1))
	launched(ams.LaunchRequest{Application: "hello"})
	check(m.Applications.Revoke(ctx, "hello", 1)) // back again; what runs goes on
	launched(ams.LaunchRequest{Application: "hello"})
	// Output:
	// launched version 0
	// launched version 1
	// launched version 1
	// launched version 0
}

// How do I see that an application was updated by itself?
func ExampleApplications_automaticUpdate() {
	ctx := context.Background()
	m, stop := exampleManager(fake.New(fake.Options{}), mem.New(), "examples/apps/hello/package")
	defer stop()
	wait := waiter(m)

	since, err := m.Newest(ctx)
	check(err)
	wait(m.Images.Update(ctx, "android", strings.NewReader("a newer image"), ams.ImageOptions{}))
	for e, err := range m.Events(ctx, since) {
		check(err)
		if e.Kind == "version" {
			fmt.Println("version", e.Action)
		}
		if e.Kind == "version" && e.Action != string(ams.VersionInitializing) {
			break // active, or error
		}
	}
	v, err := m.Applications.Version(ctx, "hello", 1)
	check(err)
	fmt.Println("built on version", v.ImageVersion, "of the image")
	// Output:
	// version initializing
	// version active
	// built on version 1 of the image
}

// How do I find out why a build failed? Versions that were published before go on
// being launched, and Refresh builds again.
func ExampleApplications_OpenLog() {
	ctx := context.Background()
	cluster := fake.New(fake.Options{})
	m, stop := exampleManager(cluster, mem.New(), "examples/apps/hello/package")
	defer stop()
	wait := waiter(m)

	cluster.FailGuest(fake.GuestFault{Phase: ams.PhaseBootstrap, Step: "install app.apk", Tail: "Failure [INSTALL_FAILED_OLDER_SDK]"})
	op, err := m.Applications.Set(ctx, "hello", ams.ApplicationPatch{Features: []string{"enable_wifi"}})
	check(err)
	_, err = m.Operations.Wait(ctx, op.ID)
	fmt.Println(errors.Is(err, ams.ErrFailed))

	v, err := m.Applications.Version(ctx, "hello", 1)
	check(err)
	fmt.Println(v.Status, "-", v.ErrorMessage)
	for _, log := range v.Logs {
		r, err := m.Applications.OpenLog(ctx, "hello", v.Number, log.Name)
		check(err)
		text, err := io.ReadAll(r)
		check(errors.Join(err, r.Close()))
		fmt.Println(log.Name, len(text) > 0)
	}
	app, err := m.Applications.Get(ctx, "hello")
	check(err)
	fmt.Println(app.Status, app.Published)
	wait(m.Instances.Launch(ctx, ams.LaunchRequest{Application: "hello"})) // version 0

	cluster.HealGuest()
	wait(m.Applications.Refresh(ctx, "hello"))
	app, err = m.Applications.Get(ctx, "hello")
	check(err)
	fmt.Println(app.Status)
	// Output:
	// true
	// error - install app.apk: exit 1: Failure [INSTALL_FAILED_OLDER_SDK]
	// system.log true
	// error true
	// ready
}

// How do I take a built application to another cluster?
func ExampleApplications_Export() {
	ctx := context.Background()
	m, stop := exampleManager(fake.New(fake.Options{}), mem.New(), "examples/apps/hello/package")
	defer stop()
	other, stopOther := exampleManager(fake.New(fake.Options{}), mem.New())
	defer stopOther()

	file, err := m.Applications.Export(ctx, "hello", 0)
	check(err)
	defer file.Close()
	op, err := other.Images.Add(ctx, "hello-built", file, ams.ImageOptions{Digest: file.Digest})
	check(err)
	_, err = other.Operations.Wait(ctx, op.ID)
	check(err)
	fmt.Println(file.Name)

	data, digest, err := m.Applications.ManifestYAML(ctx, "hello", 0)
	check(err)
	manifest, err := ams.ParseManifest(data)
	check(err)
	fmt.Println(manifest.Name, manifest.Version, manifest.Image, manifest.ABI, len(digest))
	// Output:
	// hello-0.tar
	// hello 1.0 android x86_64 64
}

// How do I delete a version, and an application? What runs of them goes on.
func ExampleApplications_Delete() {
	ctx := context.Background()
	m, stop := exampleManager(fake.New(fake.Options{}), mem.New(), "examples/apps/hello/package")
	defer stop()
	wait := waiter(m)
	wait(m.Instances.Launch(ctx, ams.LaunchRequest{Application: "hello", Name: "first"}))
	label := "2.0"
	wait(m.Applications.Set(ctx, "hello", ams.ApplicationPatch{Version: &label}))

	wait(m.Applications.DeleteVersion(ctx, "hello", 0))
	_, err := m.Applications.DeleteVersion(ctx, "hello", 1)
	fmt.Println(err)
	wait(m.Applications.Delete(ctx, "hello", false))
	in, err := m.Instances.Get(ctx, "first")
	check(err)
	fmt.Println(in.Name, in.Status)
	// Output:
	// application "hello": version 1 is the only one left; delete the application instead (status: active)
	// first running
}
