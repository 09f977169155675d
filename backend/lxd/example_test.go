package lxd_test

import (
	"context"
	"log"
	"os"

	"github.com/openams/ams"
	"github.com/openams/ams/backend/lxd"
)

// A cluster is reached through any of its members.
func ExampleOpen() {
	ctx := context.Background()
	read := func(name string) string {
		text, err := os.ReadFile(name)
		if err != nil {
			log.Fatal(err)
		}
		return string(text)
	}
	b, err := lxd.Open(ctx, lxd.Config{
		URL:        "https://10.0.0.11:8443",
		URLs:       []string{"https://10.0.0.12:8443", "https://10.0.0.13:8443"},
		ClientCert: read("client.crt"),
		ClientKey:  read("client.key"),
		ServerCert: read("cluster.crt"),
	})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = b.Close() }()

	// What a Manager does for Nodes.Add and Nodes.Remove.
	err = b.AddNode(ctx, ams.NodeJoin{Name: "lxd3", Address: "10.0.0.14", TrustToken: read("lxd3.token")})
	if err != nil {
		log.Fatal(err)
	}
	if err := b.RemoveNode(ctx, "lxd3", false); err != nil {
		log.Fatal(err)
	}
}
