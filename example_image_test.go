package ams_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/openams/ams"
	"github.com/openams/ams/backend/fake"
	"github.com/openams/ams/simplestreams"
	"github.com/openams/ams/storage/mem"
)

// How do I add an image from a file, or from two?
func ExampleImages_Add() {
	ctx := context.Background()
	m, stop := exampleManager(fake.New(fake.Options{}), mem.New())
	defer stop()
	wait := waiter(m)

	unified, metadata, rootfs := strings.NewReader("image"), strings.NewReader("metadata"), strings.NewReader("files")
	wait(m.Images.Add(ctx, "jammy:android15:amd64", unified, ams.ImageOptions{Default: true}))
	wait(m.Images.Add(ctx, "noble:android16:amd64", metadata, ams.ImageOptions{Rootfs: rootfs}))

	images, _, err := m.Images.List(ctx, ams.ImageFilter{}, ams.Page{})
	check(err)
	for _, image := range images {
		fmt.Println(image.Name, image.Status, image.Architecture, image.Default)
	}
	// Output:
	// android active x86_64 false
	// jammy:android15:amd64 active x86_64 true
	// noble:android16:amd64 active x86_64 false
}

// How do I add a version to an image? It has its number for ever.
func ExampleImages_Update() {
	ctx := context.Background()
	m, stop := exampleManager(fake.New(fake.Options{}), mem.New())
	defer stop()
	wait := waiter(m)

	wait(m.Images.Update(ctx, "android", strings.NewReader("better"), ams.ImageOptions{}))
	wait(m.Images.Update(ctx, "android", strings.NewReader("better"), ams.ImageOptions{})) // it is that already
	wait(m.Images.Update(ctx, "android", strings.NewReader("best"), ams.ImageOptions{}))
	wait(m.Images.DeleteVersion(ctx, "android", 1))

	image, err := m.Images.Get(ctx, "android")
	check(err)
	for _, v := range image.Versions {
		fmt.Println(v.Number, v.Status, v.Size, "bytes")
	}
	// Output:
	// 0 active 8 bytes
	// 2 active 4 bytes
}

// serveImages serves a directory as an image server, and returns a Manager that
// reads it.
func serveImages(dir string) (m *ams.Manager, stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	handler, err := simplestreams.NewHandler(dir, simplestreams.HandlerOptions{Token: "secret"})
	check(err)
	server := httptest.NewServer(handler) // in your network: http.ListenAndServeTLS

	client := simplestreams.New()
	m, err = ams.New(ams.Config{
		Store: mem.New(), Backend: fake.New(fake.Options{}), Logger: slog.New(slog.DiscardHandler),
		ImageServer: client,
	})
	check(err)
	check(m.Settings.Set(ctx, "images.url", server.URL))
	check(m.Settings.Set(ctx, "images.auth", "bearer:secret"))
	ended := make(chan error, 1)
	go func() { ended <- m.Run(ctx) }()
	return m, func() {
		cancel()
		check(<-ended)
		client.Close()
		server.Close()
		check(handler.Close())
	}
}

// putImage puts a version of an image into a directory that is served.
func putImage(dir, name, version, content string) {
	path, err := simplestreams.Path(name, version)
	check(err)
	check(os.MkdirAll(filepath.Join(dir, path), 0o750))
	check(os.WriteFile(filepath.Join(dir, path, "image.tar.part"), []byte(content), 0o600)) // not listed yet
	check(os.Rename(filepath.Join(dir, path, "image.tar.part"), filepath.Join(dir, path, "image.tar")))
}

// How do I use an image server, and make one of a directory? An image is listed
// once the server was read, and fetched when it is first used.
func ExampleImages_AddRemote() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "images-")
	check(err)
	defer os.RemoveAll(dir)
	putImage(dir, "jammy:android15:amd64", "1.30.0-1", "one")
	putImage(dir, "jammy:android15:amd64", "1.30.1-1", "two")
	putImage(dir, "jammy:android15:amd64", "1.31.0-1", "for a later release")
	m, stop := serveImages(dir)
	defer stop()
	wait := waiter(m)
	for e, err := range m.Events(ctx, 0) {
		check(err)
		if e.Kind == "image" {
			break // the list was read
		}
	}
	show := func(name string) {
		image, err := m.Images.Get(ctx, name)
		check(err)
		v := image.Versions[len(image.Versions)-1]
		fmt.Println(image.Name, v.Status, v.RemoteID)
	}

	show("jammy:android15:amd64")
	wait(m.Instances.Launch(ctx, ams.LaunchRequest{Image: "jammy:android15:amd64"})) // fetches it
	show("jammy:android15:amd64")
	wait(m.Images.AddRemote(ctx, "tested", "jammy:android15:amd64@1.30.0", ams.ImageOptions{}))
	show("tested")
	// Output:
	// jammy:android15:amd64 available 1.30.1-1
	// jammy:android15:amd64 active 1.30.1-1
	// tested active 1.30.0-1
}

// How do I make an image of an instance that was set up by hand?
func ExampleImages_Publish() {
	ctx := context.Background()
	m, stop := exampleManager(fake.New(fake.Options{}), mem.New())
	defer stop()
	wait := waiter(m)

	wait(m.Instances.Launch(ctx, ams.LaunchRequest{Name: "first"}))
	wait(m.Images.Publish(ctx, "first", ams.PublishOptions{Name: "prepared", Force: true})) // stops it
	wait(m.Instances.Launch(ctx, ams.LaunchRequest{Image: "prepared", Name: "second"}))
	for _, name := range []string{"first", "second"} {
		in, err := m.Instances.Get(ctx, name)
		check(err)
		fmt.Println(in.Name, in.Status)
	}
	// Output:
	// first stopped
	// second running
}

// What stops an image from being deleted? Applications have a copy and go on
// without it, but cannot be built again.
func ExampleImages_Delete() {
	ctx := context.Background()
	m, stop := exampleManager(fake.New(fake.Options{}), mem.New(), "examples/apps/hello/package")
	defer stop()
	wait := waiter(m)
	wait(m.Images.Add(ctx, "other", strings.NewReader("other"), ams.ImageOptions{}))

	_, err := m.Images.Delete(ctx, "android", true)
	fmt.Println(err)
	check(m.Images.SetDefault(ctx, "other"))
	_, err = m.Images.Delete(ctx, "android", false)
	fmt.Println(err)
	wait(m.Images.Delete(ctx, "android", true))
	wait(m.Instances.Launch(ctx, ams.LaunchRequest{Application: "hello"}))
	_, err = m.Applications.Refresh(ctx, "hello")
	fmt.Println(ams.CodeOf(err))

	other := "other"
	wait(m.Applications.Set(ctx, "hello", ams.ApplicationPatch{Image: &other}))
	// Output:
	// image "android": is the default image
	// image "android": application "hello" is built on it; use force
	// not found
}

// What occupies the disk?
func ExampleStorage_Usage() {
	ctx := context.Background()
	m, stop := exampleManager(fake.New(fake.Options{}), mem.New(), "examples/apps/hello/package")
	defer stop()

	usage, err := m.Storage.Usage(ctx)
	check(err)
	for _, item := range slices.Concat(usage.Blobs, usage.Images) {
		if item.Kind != "unused" {
			fmt.Println(item.Kind, "of", item.Owner)
		}
	}
	fmt.Println(usage.BlobBytes > 0, usage.ImageBytes > 0)
	// Unordered output:
	// package of application hello
	// image of image android, version 0
	// application of application hello, version 0
	// true true
}
