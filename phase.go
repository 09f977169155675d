package ams

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// guest performs a phase inside the instance and shows its steps as progress.
func (e *engine) guest(ctx context.Context, in *Instance, phase GuestPhase, limit time.Duration) error {
	run, err := e.guestRun(ctx, in, phase)
	if err != nil {
		return commitError{err}
	}
	show := &reporter{save: func(text string) { e.showProgress(ctx, in, text) }}
	defer show.stop()
	run.Report = show.report
	err = e.m.call(ctx, string(phase)+" phase", in, limit, func(ctx context.Context) error {
		if err := e.m.guest.Run(ctx, run); err != nil {
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return Errorf(ErrTimeout, "the %s phase did not end in time; its last step was: %s", phase, show.last())
			}
			return err
		}
		return nil
	})
	return err
}

// guestRun gathers what the guest needs for a phase.
func (e *engine) guestRun(ctx context.Context, in *Instance, phase GuestPhase) (GuestRun, error) {
	m := e.m
	run := GuestRun{
		Phase: phase, Instance: *in, HookTimeout: DefaultHookTimeout,
		Files: map[string][]byte{"session.yaml": sessionYAML(in)},
		Exec: func(context.Context, ExecRequest) (int, error) {
			return 0, Errorf(ErrUnsupported, "the backend cannot run commands in instances")
		},
	}
	if x, ok := BackendAs[Execer](m.backend); ok {
		ref := e.ref(in)
		run.Exec = func(ctx context.Context, req ExecRequest) (int, error) { return x.Exec(ctx, ref, req) }
	}
	if in.UserData != "" {
		run.Files["userdata"] = []byte(in.UserData)
	}
	if in.ApplicationID == "" {
		return run, nil
	}
	err := m.view(ctx, func(tx Tx) error {
		v, err := tx.Versions().Get(versionID(in.ApplicationID, in.Version))
		run.Version = &v
		return err
	})
	if errors.Is(err, ErrNotFound) && phase != PhaseBootstrap {
		run.Version, err = nil, nil // deleted meanwhile; what runs goes on
	}
	if err != nil {
		return run, err
	}
	if run.Version != nil {
		run.HookTimeout = run.Version.Manifest.Hooks.Limit()
	}
	if phase == PhaseBootstrap {
		run.Package = func(ctx context.Context, tw *tar.Writer, prefix string) error {
			return m.writePackage(ctx, run.Version.Package, tw, prefix)
		}
	}
	return run, nil
}

// sessionYAML tells the software inside the instance what it is.
func sessionYAML(in *Instance) []byte {
	kind := "regular"
	if in.Base {
		kind = "base"
	}
	return fmt.Appendf(nil, "log-level: info\nplatform: \"null\"\ndevmode: false\ninstance-type: %s\nresources:\n  cpus: %d\n  memory: %s\n  disk-size: %s\n",
		kind, in.Resources.CPUs, in.Resources.Memory, in.Resources.DiskSize)
}

// showProgress writes the step at hand to the instance and its operation.
func (e *engine) showProgress(ctx context.Context, in *Instance, text string) {
	row := *in // the phase goes on with what is at hand
	err := e.commit(ctx, &row, func(c *change, in *Instance) error {
		in.StatusMessage = text
		return c.progress(in.Operation, text)
	})
	if err != nil && !errors.Is(err, errChanged) && ignoreNotFound(err) != nil {
		e.m.log.Warn("writing progress failed", "instance", in.ID, "error", err)
	}
}

// reporter saves the newest step of a phase, but none that is over within a
// quarter of a second: a launch that takes no longer costs no extra commit.
type reporter struct {
	save func(string)

	mu      sync.Mutex
	text    string
	timer   *time.Timer
	stopped bool
	saving  sync.WaitGroup
}

const reportDelay = 250 * time.Millisecond

func (r *reporter) report(s GuestStep) {
	if s.Ended {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.text = s.Name
	if r.timer == nil && !r.stopped {
		r.saving.Add(1)
		r.timer = time.AfterFunc(reportDelay, r.flush)
	}
}

func (r *reporter) flush() {
	defer r.saving.Done()
	r.mu.Lock()
	text := r.text
	r.timer = nil
	r.mu.Unlock()
	r.save(text)
}

func (r *reporter) last() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text
}

// stop forgets what is unsaved and waits for a save under way.
func (r *reporter) stop() {
	r.mu.Lock()
	r.stopped = true
	if r.timer != nil && r.timer.Stop() {
		r.saving.Done()
	}
	r.timer = nil
	r.mu.Unlock()
	r.saving.Wait()
}
