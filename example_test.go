package ams_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/openams/ams"
	"github.com/openams/ams/backend/fake"
	"github.com/openams/ams/storage/mem"
)

// exampleManager runs a Manager on a cluster in memory until stop is called. It
// has an image; with a package it has that application too.
func exampleManager(cluster *fake.Backend, store ams.Store, packages ...string) (m *ams.Manager, stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	m, err := ams.New(ams.Config{Store: store, Backend: cluster, Logger: slog.New(slog.DiscardHandler)})
	check(err)
	ended := make(chan error, 1)
	go func() { ended <- m.Run(ctx) }()
	check(m.Ready(ctx))
	if _, n, err := m.Images.List(ctx, ams.ImageFilter{}, ams.Page{}); n == 0 {
		check(err)
		op, err := m.Images.Add(ctx, "android", strings.NewReader("an image"), ams.ImageOptions{})
		check(err)
		_, err = m.Operations.Wait(ctx, op.ID)
		check(err)
	}
	for _, dir := range packages {
		pkg, err := ams.OpenPackage(dir)
		check(err)
		op, err := m.Applications.Create(ctx, pkg, ams.CreateOptions{})
		check(err)
		check(pkg.Close())
		_, err = m.Operations.Wait(ctx, op.ID)
		check(err)
	}
	return m, func() {
		cancel()
		check(<-ended)
	}
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

// How do I make an application? From a package: a directory, a zip or a tar.bz2.
func ExampleApplications_Create() {
	ctx := context.Background()
	m, stop := exampleManager(fake.New(fake.Options{}), mem.New())
	defer stop()

	pkg, err := ams.OpenPackage("examples/apps/hello/package")
	check(err)
	defer pkg.Close()
	op, err := m.Applications.Create(ctx, pkg, ams.CreateOptions{})
	check(err)
	_, err = m.Operations.Wait(ctx, op.ID) // the bootstrap
	check(err)

	app, err := m.Applications.Get(ctx, "hello")
	check(err)
	version, err := m.Applications.Version(ctx, "hello", 0)
	check(err)
	fmt.Println(app.Name, app.Status, version.APK.Package, version.Manifest.RequiredPermissions)
	// Output: hello ready org.openams.hello [android.permission.CAMERA]
}

// What if the package is bad? All its problems come in one ErrInvalid.
func ExampleApplications_Create_invalid() {
	m, stop := exampleManager(fake.New(fake.Options{}), mem.New())
	defer stop()
	_, err := m.Applications.Create(context.Background(), pkg("name: my app\nresources: {memory: 3}\n"), ams.CreateOptions{})
	fmt.Println(errors.Is(err, ams.ErrInvalid))
	fmt.Println(err)
	// Output:
	// true
	// 2 problems:
	//   * name "my app" is not allowed: contains a space (line 1)
	//   * resources.memory "3" is invalid: use a whole number with B, kB, MB, GB or TB, e.g. 3GB (line 2)
}

// How do I launch an instance and wait until it runs?
func ExampleInstances_Launch() {
	ctx := context.Background()
	m, stop := exampleManager(fake.New(fake.Options{}), mem.New(), "examples/apps/hello/package")
	defer stop()

	op, err := m.Instances.Launch(ctx, ams.LaunchRequest{Application: "hello", Name: "first"})
	check(err)
	op, err = m.Operations.Wait(ctx, op.ID)
	check(err)
	in, err := m.Instances.Get(ctx, op.Resources["instance"][0])
	check(err)
	fmt.Println(in.Name, in.Status, "on", in.Node)
	// Output: first running on node0
}

// How do I handle a full cluster? Launch says so at once, and why.
func ExampleInstances_Launch_noCapacity() {
	ctx := context.Background()
	m, stop := exampleManager(fake.New(fake.Options{}), mem.New())
	defer stop()

	_, err := m.Instances.Launch(ctx, ams.LaunchRequest{Resources: ams.Resources{CPUs: 1000}})
	if errors.Is(err, ams.ErrNoCapacity) {
		fmt.Println(err)
	}
	// Output: no suitable node to satisfy instance requirement available: 1000 CPUs, 3GB memory, 3GB disk: node0 has 256 CPUs free
}

// How do I run a command in an instance?
func ExampleInstances_Exec() {
	ctx := context.Background()
	m, stop := exampleManager(fake.New(fake.Options{}), mem.New(), "examples/apps/hello/package")
	defer stop()
	op, err := m.Instances.Launch(ctx, ams.LaunchRequest{Application: "hello", Name: "first"})
	check(err)
	_, err = m.Operations.Wait(ctx, op.ID)
	check(err)

	var out bytes.Buffer
	code, err := m.Instances.Exec(ctx, "first", ams.ExecRequest{
		Command: []string{"cat"},
		Stdin:   strings.NewReader("hello from outside"),
		Stdout:  &out,
	})
	check(err)
	fmt.Printf("exit code %d: %s\n", code, out.String())
	// Output: exit code 0: hello from outside
}

// How do I follow what happens? Events reads the log of all changes from any
// place in it, and then waits for more.
func ExampleManager_Events() {
	ctx := context.Background()
	m, stop := exampleManager(fake.New(fake.Options{}), mem.New(), "examples/apps/hello/package")
	defer stop()

	since, err := m.Newest(ctx)
	check(err)
	op, err := m.Instances.Launch(ctx, ams.LaunchRequest{Application: "hello", Name: "first"})
	check(err)
	for e, err := range m.Events(ctx, since) {
		check(err)
		fmt.Println(e.Kind, e.Action)
		if e.ID == op.ID && e.Action == string(ams.OperationSuccess) {
			break
		}
	}
	// Output:
	// instance created
	// instance prepared
	// operation created
	// instance started
	// instance running
	// operation success
}

// How do I cancel something? The operation undoes what it did and ends.
func ExampleOperations_Cancel() {
	ctx := context.Background()
	m, stop := exampleManager(fake.New(fake.Options{BootTime: time.Hour}), mem.New())
	defer stop()

	op, err := m.Instances.Launch(ctx, ams.LaunchRequest{Name: "first"})
	check(err)
	check(m.Operations.Cancel(ctx, op.ID))
	op, err = m.Operations.Wait(ctx, op.ID)
	fmt.Println(op.Status, errors.Is(err, ams.ErrCancelled))
	_, err = m.Instances.Get(ctx, "first")
	fmt.Println(errors.Is(err, ams.ErrNotFound))
	// Output:
	// cancelled true
	// true
}

// What if my program ends in between? A Manager on the same store goes on with
// everything that was asked for. Ids stay good.
func ExampleManager_Run_restart() {
	ctx := context.Background()
	cluster, store := fake.New(fake.Options{}), mem.New()
	m, stop := exampleManager(cluster, store)
	stop() // the first life ends

	op, err := m.Instances.Launch(ctx, ams.LaunchRequest{Name: "first"})
	check(err) // it is committed, but nobody works on it

	m, stop = exampleManager(cluster, store) // the second life
	defer stop()
	op, err = m.Operations.Wait(ctx, op.ID)
	check(err)
	in, err := m.Instances.Get(ctx, "first")
	check(err)
	fmt.Println(op.Status, in.Status)
	// Output: success running
}

// How do I stop an instance, keep its data, and start it again?
func ExampleInstances_Stop() {
	ctx := context.Background()
	m, stop := exampleManager(fake.New(fake.Options{}), mem.New())
	defer stop()
	for _, ask := range []func() (ams.Operation, error){
		func() (ams.Operation, error) { return m.Instances.Launch(ctx, ams.LaunchRequest{Name: "first"}) },
		func() (ams.Operation, error) { return m.Instances.Stop(ctx, "first", false) },
		func() (ams.Operation, error) { return m.Instances.Start(ctx, "first", ams.StartOptions{}) },
		func() (ams.Operation, error) { return m.Instances.Delete(ctx, "first", false) },
	} {
		op, err := ask()
		check(err)
		op, err = m.Operations.Wait(ctx, op.ID)
		check(err)
		fmt.Println(op.Description, op.Status)
	}
	// Output:
	// launch instance success
	// stop instance success
	// start instance success
	// delete instance success
}
