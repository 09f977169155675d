// Package android is the ams.Guest for instances that run Android.
//
// It performs a phase with one exec: a shell script, which is part of this
// package, that gets the phase's files and a plan on its standard input and tells
// of its steps on its standard output. docs/guides/guest.md is the contract.
package android

import (
	"archive/tar"
	"context"
	_ "embed" // for the scripts
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/openams/ams"
)

//go:embed run.sh
var runner string

//go:embed driver.sh
var driver string

//go:embed bootstrap.sh
var bootstrap string

//go:embed watchdog.sh
var watchdog []byte

//go:embed security.sh
var security string

// Guest performs phases inside instances that run Android. It is safe for
// concurrent use.
type Guest struct {
	opts Options
}

var _ ams.Guest = (*Guest)(nil)

// Options are the times that parts of a phase may take, all rounded up to
// seconds. A field that is zero is the default.
type Options struct {
	// BootTimeout is for Android, from its start to sys.boot_completed. Default
	// 10 minutes.
	BootTimeout time.Duration
	// StepTimeout is for every other step that is not a hook, for instance the
	// installation of the APK. Default 5 minutes.
	StepTimeout time.Duration
	// WatchdogInterval is how often the watchdog of an instance looks. What it finds
	// twice in a row it believes. Default 10 seconds.
	WatchdogInterval time.Duration
}

// New returns a Guest.
func New(opts Options) *Guest {
	if opts.BootTimeout <= 0 {
		opts.BootTimeout = 10 * time.Minute
	}
	if opts.StepTimeout <= 0 {
		opts.StepTimeout = 5 * time.Minute
	}
	if opts.WatchdogInterval <= 0 {
		opts.WatchdogInterval = 10 * time.Second
	}
	return &Guest{opts: opts}
}

// Run performs one phase. Running a phase again, after its answer was lost, is
// allowed: everything in it bears being done twice, as far as the hooks do.
//
// Errors: ErrInvalid if the run contains what cannot be handed over, such as a
// control character in a name; ErrFailed if a step failed, with the step's name,
// its exit code and the end of its output; the error of run.Package, of an addon's
// Write or of run.Exec; the error of ctx.
func (g *Guest) Run(ctx context.Context, run ams.GuestRun) error {
	plan, err := newPlan(run, g.opts)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	in, out := io.Pipe()
	sent := make(chan error, 1)
	go func() {
		err := send(ctx, out, run, plan)
		_ = out.CloseWithError(err) // always nil
		if err != nil && !errors.Is(err, io.ErrClosedPipe) {
			cancel() // no use in waiting for a command that lacks its input
		}
		sent <- err
	}()
	steps := &stepReader{report: run.Report}
	stderr := &tail{}
	exit, err := run.Exec(ctx, ams.ExecRequest{
		Command: []string{"sh", "-c", scriptOf(run), "ams-guest", string(run.Phase)},
		Stdin:   in,
		Stdout:  steps,
		Stderr:  stderr,
	})
	_ = in.Close() // always nil; ends send
	sendErr := <-sent
	if errors.Is(sendErr, io.ErrClosedPipe) {
		sendErr = nil // the command ended without reading everything: it says why
	}
	switch {
	case steps.failed != nil:
		return steps.failed
	case sendErr != nil:
		return sendErr
	case err != nil:
		return err
	case exit != 0:
		return ams.Errorf(ams.ErrFailed, "phase %s exited with code %d%s", run.Phase, exit, colon(stderr.String()))
	}
	return nil
}

// scriptOf returns the driver with the parts that the phase needs.
func scriptOf(run ams.GuestRun) string {
	switch {
	case run.Phase != ams.PhaseBootstrap:
		return runner + driver
	case run.SecurityUpdates:
		return security + bootstrap + runner + driver
	}
	return bootstrap + runner + driver
}

// send writes the archive with the phase's files. The plan comes last and so
// vouches for the rest.
func send(ctx context.Context, w io.Writer, run ams.GuestRun, plan []byte) error {
	tw := tar.NewWriter(w)
	for _, name := range slices.Sorted(maps.Keys(run.Files)) {
		if err := writeFile(tw, name, run.Files[name]); err != nil {
			return err
		}
	}
	for _, addon := range run.Addons {
		if addon.Write == nil {
			continue
		}
		// Not into its place yet: what an older version left there goes first.
		if err := addon.Write(ctx, tw, ".ams/addons/"+addon.Name+"/"); err != nil {
			return fmt.Errorf("sending addon %s: %w", addon.Name, err)
		}
	}
	if run.Package != nil {
		if err := run.Package(ctx, tw, "app/"); err != nil {
			return fmt.Errorf("sending the package: %w", err)
		}
	}
	if watched(run) {
		if err := writeFile(tw, ".ams/watchdog.sh", watchdog); err != nil {
			return err
		}
	}
	if err := writeFile(tw, ".ams/plan", plan); err != nil {
		return err
	}
	return tw.Close()
}

// writeFile writes a member that only root may read.
func writeFile(tw *tar.Writer, name string, content []byte) error {
	err := tw.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o600, Size: int64(len(content))})
	if err == nil {
		_, err = tw.Write(content)
	}
	return err
}
