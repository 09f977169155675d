// Embed is a control plane in one file. It keeps its state in ./ams.db, runs
// instances on the local LXD, and takes commands from its standard input:
//
//	image NAME FILE | app PACKAGE | launch APP NAME | stop NAME | start NAME | delete NAME | list
//
// Kill it at any time: what it was told goes on when it is started again.
package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"strings"

	"github.com/openams/ams"
	"github.com/openams/ams/backend/lxd"
	"github.com/openams/ams/guest/android"
	"github.com/openams/ams/storage/sqlite"
)

func main() {
	ctx := context.Background()
	backend, err := lxd.Open(ctx, lxd.Config{})
	if err == nil {
		err = run(ctx, backend, android.New(android.Options{}), os.Stdin, os.Stdout)
	}
	if err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, backend ams.Backend, guest ams.Guest, in io.Reader, out io.Writer) error {
	store, err := sqlite.Open("ams.db", nil)
	if err != nil {
		return err
	}
	defer store.Close()
	m, err := ams.New(ams.Config{Store: store, Backend: backend, Guest: guest})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() {
		defer cancel() // a Manager that gives up ends the command that waits for it
		ended <- m.Run(ctx)
	}()
	for lines := bufio.NewScanner(in); ctx.Err() == nil && lines.Scan(); {
		op, err := command(ctx, m, append(strings.Fields(lines.Text()), "", "", ""), out)
		if err == nil && op.ID != "" {
			op, err = m.Operations.Wait(ctx, op.ID)
		}
		if err != nil {
			fmt.Fprintln(out, "error:", err)
		} else if op.ID != "" {
			fmt.Fprintf(out, "%s: %s\n", op.Description, op.Status)
		}
	}
	cancel()
	return <-ended
}

// command asks for one thing. Words that were not given are empty.
func command(ctx context.Context, m *ams.Manager, args []string, out io.Writer) (op ams.Operation, err error) {
	switch args[0] {
	case "image":
		f, err := os.Open(args[2])
		if err != nil {
			return op, err
		}
		defer f.Close()
		return m.Images.Add(ctx, args[1], f, ams.ImageOptions{})
	case "app":
		pkg, err := ams.OpenPackage(args[1])
		if err != nil {
			return op, err
		}
		defer pkg.Close()
		return m.Applications.Create(ctx, pkg, ams.CreateOptions{})
	case "launch":
		return m.Instances.Launch(ctx, ams.LaunchRequest{Application: args[1], Name: args[2]})
	case "stop":
		return m.Instances.Stop(ctx, args[1], false)
	case "start":
		return m.Instances.Start(ctx, args[1], ams.StartOptions{})
	case "delete":
		return m.Instances.Delete(ctx, args[1], false)
	case "list":
		all, _, err := m.Instances.List(ctx, ams.InstanceFilter{}, ams.Page{})
		for _, in := range all {
			fmt.Fprintln(out, in.Name, in.ApplicationName, in.Status, in.Node)
		}
		return op, err
	}
	return op, fmt.Errorf("unknown command %q", args[0])
}
