package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/openams/ams"
	"github.com/openams/ams/backend/fake"
	"github.com/openams/ams/internal/lxdrun"
)

// place is where instances run.
type place struct {
	about   string // one line for the reader
	fake    bool
	backend ams.Backend
	guest   ams.Guest // nil where the backend is one
	image   func() (io.ReadCloser, error)
	command []string // worth running in an instance
	log     string   // worth reading
	seenBy  string
	list    func(context.Context, *ams.Manager) ([]string, error)
	close   func(context.Context) error
}

// findPlace returns the place asked for. "auto" is the machine's LXD, or one of
// our own, or else the fake.
func findPlace(ctx context.Context, backend, socket string) (*place, error) {
	switch backend {
	case "fake":
		return newFake("On a cluster in memory, as asked"), nil
	case "lxd", "auto":
	default:
		return nil, fmt.Errorf("-backend %q: must be auto, lxd or fake", backend)
	}
	p, err := machineLXD(ctx, socket)
	if errors.Is(err, errNoLXD) && socket == "" {
		machine := err
		if missing := lxdrun.Missing(); missing != "" {
			err = fmt.Errorf("%w, and to start one this misses %s", machine, missing)
		} else {
			p, err = privateLXD(ctx)
		}
	}
	if errors.Is(err, errNoLXD) && backend == "auto" {
		return newFake("On a cluster in memory: " + err.Error()), nil
	}
	return p, err
}

// errNoLXD is the part of an error that says that LXD cannot be used here.
var errNoLXD = errors.New("there is no LXD to use")

func newFake(about string) *place {
	b := fake.New(fake.Options{
		NodeCount: 3, CreateTime: 200 * time.Millisecond, StartTime: 300 * time.Millisecond,
		BootTime: 4 * time.Second, PublishTime: time.Second, StopTime: 300 * time.Millisecond,
	})
	return &place{
		about: about, fake: true, backend: b,
		image:   func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("an image")), nil },
		command: []string{"echo", "hello from inside"},
		log:     "system.log",
		seenBy:  "What the Manager says",
		list: func(ctx context.Context, m *ams.Manager) ([]string, error) {
			all, _, err := m.Instances.List(ctx, ams.InstanceFilter{}, ams.Page{})
			lines := []string{fmt.Sprintf("%-10s %-9s %s", "NAME", "STATUS", "NODE")}
			for _, in := range all {
				lines = append(lines, fmt.Sprintf("%-10s %-9s %s", in.Name, in.Status, in.Node))
			}
			return lines, err
		},
		close: func(context.Context) error { return b.Close() },
	}
}

// standIn builds the image with the stand-in for Android.
func standIn() (io.ReadCloser, error) {
	f, err := os.CreateTemp("", "ams-quickstart-image-")
	if err != nil {
		return nil, err
	}
	err = errors.Join(os.Remove(f.Name()), lxdrun.BuildImage(f))
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
