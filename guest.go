package ams

import (
	"archive/tar"
	"context"
	"time"
)

// Guest is what AMS asks of the software inside an instance. The contract is a
// page in docs/guides/guest.md; guest/android implements it, and backend/fake
// brings a pretended one of its own.
type Guest interface {
	// Run performs one phase and returns once it has ended. Work that failed
	// inside the instance is an ErrFailed whose text names the step, its exit
	// code and the tail of its output. Run ends when ctx does.
	Run(ctx context.Context, run GuestRun) error
}

// GuestPhase is a part of an instance's life in which its software has work to do.
type GuestPhase string

// The phases.
const (
	PhaseBootstrap GuestPhase = "bootstrap" // base instance: install the package, run all hooks
	PhaseStart     GuestPhase = "start"     // regular instance: hooks, Android, the app
	PhaseStop      GuestPhase = "stop"      // before a graceful stop: Android, post-stop hooks

	// A start in two halves, for prewarmed instances: PhaseStandby is a start up
	// to just before the app is started, PhaseClaim is the rest, with session.yaml
	// and user data anew. PhaseClaim may be performed twice.
	PhaseStandby GuestPhase = "standby"
	PhaseClaim   GuestPhase = "claim"
)

// TripLog is the log in which the software inside an instance says why it has
// ended the instance: a line of text, of which 4 KiB count. An instance that stops
// by itself and has none, or an empty one, was shut down, which is no failure. A
// start takes away what an earlier life has left.
const TripLog = "watchdog.trip"

// GuestRun is one phase to perform, and what may be used for it.
type GuestRun struct {
	Phase    GuestPhase
	Instance Instance
	Version  *Version // the application's version; nil for a raw instance
	// Exec runs a command inside the instance, as Execer does.
	Exec func(ctx context.Context, req ExecRequest) (exit int, err error)
	// Package writes the files of the application package to tw, each name
	// preceded by prefix. It is set for PhaseBootstrap of an application.
	Package func(ctx context.Context, tw *tar.Writer, prefix string) error
	// Addons are the addons of the instance, in their order.
	Addons []GuestAddon
	// SecurityUpdates has the distribution's pending security updates installed
	// first, from AptMirror if that is set. For PhaseBootstrap.
	SecurityUpdates bool
	AptMirror       string
	// Report tells of a step; it does not block and is never nil.
	Report func(GuestStep)
	// HookTimeout is for hooks whose manifest sets none.
	HookTimeout time.Duration
	// Files are the bytes of small files to be written into the instance's
	// /var/lib/anbox before anything else: "session.yaml", "userdata".
	Files map[string][]byte
}

// GuestAddon is an addon in a phase.
type GuestAddon struct {
	Name        string
	HookTimeout time.Duration
	// Write writes the addon's files to tw, each name preceded by prefix. It is
	// nil for an addon that is installed already.
	Write func(ctx context.Context, tw *tar.Writer, prefix string) error
}

// GuestStep is a step of a phase that begins or ended.
type GuestStep struct {
	Name  string // "install app.apk", "application hook pre-start", …
	Ended bool
	Exit  int    // of a step that ended
	Tail  string // the end of its output, when it failed; 4 KiB at most
}
