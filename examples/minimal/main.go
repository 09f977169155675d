package main

import (
	"context"
	"log"

	"github.com/openams/ams"
	"github.com/openams/ams/backend/lxd"
	"github.com/openams/ams/guest/android"
	"github.com/openams/ams/storage/sqlite"
)

func main() {
	ctx := context.Background()
	store := must(sqlite.Open("ams.db", nil))
	backend := must(lxd.Open(ctx, lxd.Config{}))
	m := must(ams.New(ams.Config{Store: store, Backend: backend, Guest: android.New(android.Options{})}))
	go m.Run(ctx) // works on what was asked for, also before a restart

	op := must(m.Instances.Launch(ctx, ams.LaunchRequest{Application: "hello", Name: "first"}))
	op = must(m.Operations.Wait(ctx, op.ID)) // or follow m.Events
	in := must(m.Instances.Get(ctx, op.Resources["instance"][0]))
	log.Println(in.Name, "is", in.Status, "on", in.Node)
}

func must[T any](v T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return v
}
