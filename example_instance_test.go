package ams_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/openams/ams"
	"github.com/openams/ams/backend/fake"
	"github.com/openams/ams/storage/mem"
)

// exampleCluster runs a Manager on a fake cluster of two nodes, with an image and
// the application "candy"; end ends it.
func exampleCluster() (m *ams.Manager, wait func(ams.Operation, error) ams.Operation, end func()) {
	m, err := ams.New(ams.Config{Store: mem.New(), Backend: fake.New(fake.Options{NodeCount: 2}), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		panic(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- m.Run(ctx) }()
	wait = func(op ams.Operation, err error) ams.Operation {
		if err == nil {
			op, err = m.Operations.Wait(ctx, op.ID)
		}
		if err != nil {
			panic(err)
		}
		return op
	}
	if err := m.Ready(ctx); err != nil {
		panic(err)
	}
	wait(m.Images.Add(ctx, "android", strings.NewReader("an image"), ams.ImageOptions{Default: true}))
	wait(m.Applications.Create(ctx, pkg("name: candy"), ams.CreateOptions{}))
	return m, wait, func() { cancel(); <-ended }
}

func ExampleInstances_Launch_options() {
	m, wait, end := exampleCluster()
	defer end()
	ctx := context.Background()
	web, err := ams.ParseService("+web:tcp:80")
	if err != nil {
		panic(err)
	}
	wait(m.Instances.Launch(ctx, ams.LaunchRequest{
		Name: "mine", Application: "candy",
		Resources:      ams.Resources{CPUs: 4},
		Services:       []ams.Service{web},
		Config:         ams.InstanceConfig{Platform: "webrtc", Display: ams.Display{Width: 1919, Height: 1080}},
		MaxRunDuration: 12 * time.Hour,
	}))
	in, err := m.Instances.Get(ctx, "mine")
	if err != nil {
		panic(err)
	}
	fmt.Println(in.Status, in.Resources.CPUs, in.Services[0].NodePort, in.Config.Display)
	// Output: running 4 10000 {1920 1080 240 60}
}

func ExampleInstances_Explain() {
	m, _, end := exampleCluster()
	defer end()
	e, err := m.Instances.Explain(context.Background(), ams.LaunchRequest{Application: "candy", Resources: ams.Resources{Memory: 2000 * ams.Gigabyte}})
	if err != nil {
		panic(err)
	}
	fmt.Print(e)
	// Output:
	// no node can take 2 CPUs, 2000GB memory, 3GB disk
	// limited by memory
	//   memory           2 of 2 nodes  at most 512GB, on node0
}

func ExampleApplications_SetPrewarm() {
	m, wait, end := exampleCluster()
	defer end()
	ctx := context.Background()
	if err := m.Applications.SetPrewarm(ctx, "candy", 2); err != nil {
		panic(err)
	}
	for {
		p, err := m.Applications.Prewarmed(ctx, "candy")
		if err != nil {
			panic(err)
		}
		if p.Ready == 2 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	_, users, err := m.Instances.List(ctx, ams.InstanceFilter{}, ams.Page{})
	if err != nil {
		panic(err)
	}
	op := wait(m.Instances.Launch(ctx, ams.LaunchRequest{Application: "candy", UserData: "hello"}))
	in, err := m.Instances.Get(ctx, op.Resources["instance"][0])
	if err != nil {
		panic(err)
	}
	fmt.Println(users, in.Status, in.UserData)
	// Output: 0 running hello
}

func ExampleNodes_Drain() {
	m, wait, end := exampleCluster()
	defer end()
	ctx := context.Background()
	wait(m.Instances.Launch(ctx, ams.LaunchRequest{Name: "mine", Application: "candy", Node: "node0"}))
	wait(m.Nodes.Drain(ctx, "node0", true)) // what runs there is deleted
	n, err := m.Nodes.Get(ctx, "node0")
	if err != nil {
		panic(err)
	}
	fmt.Println(n.Instances, n.Unschedulable)
	// Output: 0 true
}
