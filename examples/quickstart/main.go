// Quickstart takes an Android app from its package to running instances and
// back to nothing, and shows each step as it happens.
//
// It runs on the machine's LXD where there is one, in an LXD project of its own
// that it removes at the end; as root also on an LXD that it starts for the
// occasion; and else on a cluster in memory. From the top of the repository:
//
//	go run ./examples/quickstart
//	go run ./examples/quickstart -backend fake
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/openams/ams"
	"github.com/openams/ams/storage/mem"
	"github.com/openams/ams/storage/sqlite"
)

func main() {
	// A reader of the output that goes away is no reason to leave things behind.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGPIPE)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "quickstart:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) (err error) {
	flags := flag.NewFlagSet("quickstart", flag.ContinueOnError)
	backend := flags.String("backend", "auto", "lxd, fake, or auto for LXD where it can be used")
	socket := flags.String("socket", "", "LXD's unix socket; default is where LXD has it")
	pkg := flags.String("package", "examples/apps/hello/package", "the application package: a directory, zip or tar.bz2")
	if err := flags.Parse(args); err != nil {
		return err
	}
	show := newShow(out)

	// Where instances run.
	place, err := findPlace(ctx, *backend, *socket)
	if err != nil {
		return err
	}
	show.head(place.about)
	defer func() {
		// Also after Ctrl-C nothing is to be left behind.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		if err = errors.Join(err, place.close(ctx)); err == nil {
			show.head("Done; nothing is left behind.")
		}
	}()

	// Where the Manager remembers what it does.
	store, closeStore, err := openStore(place)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeStore()) }()

	m, err := ams.New(ams.Config{
		Store:   store,
		Backend: place.backend,
		Guest:   place.guest,
		Logger:  slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	if err != nil {
		return err
	}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 1)
	go func() { ended <- m.Run(running) }()
	defer func() {
		stop()
		err = errors.Join(err, <-ended)
	}()

	t := &tour{Manager: m, show: show, place: place, pkg: *pkg}
	return t.walk(ctx)
}

// openStore opens a database in a temporary directory. The fake cluster, which
// is in memory, comes with a store in memory.
func openStore(p *place) (ams.Store, func() error, error) {
	if p.fake {
		return mem.New(), func() error { return nil }, nil
	}
	dir, err := os.MkdirTemp("", "ams-quickstart-")
	if err != nil {
		return nil, nil, err
	}
	store, err := sqlite.Open(filepath.Join(dir, "ams.db"), nil)
	if err != nil {
		return nil, nil, errors.Join(err, os.RemoveAll(dir))
	}
	return store, func() error { return errors.Join(store.Close(), os.RemoveAll(dir)) }, nil
}
