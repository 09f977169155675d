package simplestreams_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"

	"github.com/openams/ams"
	"github.com/openams/ams/simplestreams"
)

// A directory is served, and read as an image server.
func Example() {
	dir, err := os.MkdirTemp("", "images-")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	version := filepath.Join(dir, "jammy/android15/amd64/1.30.1-1")
	if err := os.MkdirAll(version, 0o750); err != nil {
		fmt.Println(err)
		return
	}
	if err := os.WriteFile(filepath.Join(version, "image.tar"), []byte("an image"), 0o600); err != nil {
		fmt.Println(err)
		return
	}
	handler, err := simplestreams.NewHandler(dir, simplestreams.HandlerOptions{Token: "secret"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer handler.Close()
	server := httptest.NewServer(handler)
	defer server.Close()

	client := simplestreams.New() // for ams.Config.ImageServer
	defer client.Close()
	list, err := client.Images(context.Background(), ams.ImageSource{URL: server.URL, Auth: "bearer:secret"})
	for _, image := range list {
		fmt.Println(image.Name, image.Architecture, image.Variant, image.Versions[0].ID, image.Versions[0].Size(), "bytes")
	}
	fmt.Println(err)
	// Output:
	// jammy:android15:amd64 x86_64 android 1.30.1-1 8 bytes
	// <nil>
}
