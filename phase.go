package ams

import (
	"archive/tar"
	"context"
	"errors"
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
		Exec: func(context.Context, ExecRequest) (int, error) {
			return 0, Errorf(ErrUnsupported, "the backend cannot run commands in instances")
		},
	}
	if x, ok := BackendAs[Execer](m.backend); ok {
		ref := e.ref(in)
		run.Exec = func(ctx context.Context, req ExecRequest) (int, error) { return x.Exec(ctx, ref, req) }
	}
	bootstrap := phase == PhaseBootstrap
	var manifest []byte
	err := m.view(ctx, func(tx Tx) error {
		run.Version = nil
		if in.ApplicationID != "" {
			v, err := tx.Versions().Get(versionID(in.ApplicationID, in.Version))
			switch {
			case err == nil:
				run.Version = &v
			case !errors.Is(err, ErrNotFound) || bootstrap: // what runs goes on when its version is deleted
				return err
			}
		}
		session, err := m.sessionYAML(tx, in, run.Version)
		if err != nil {
			return err
		}
		run.Files = map[string][]byte{"session.yaml": session}
		if !bootstrap {
			return nil
		}
		if manifest, err = run.Version.manifestYAML(tx); err != nil {
			return err
		}
		if run.SecurityUpdates, err = m.Settings.flag(tx, "instance.security_updates"); err != nil {
			return err
		}
		run.AptMirror, err = m.Settings.text(tx, "instance.apt_mirror")
		return err
	})
	if err != nil {
		return run, err
	}
	if in.UserData != "" {
		run.Files["userdata"] = []byte(in.UserData)
	}
	uses := in.Addons
	if v := run.Version; v != nil {
		run.HookTimeout = v.Manifest.Hooks.Limit()
		uses = v.Addons
	}
	run.Addons = m.guestAddons(uses, bootstrap || phase == PhaseStart && in.ApplicationID == "" && !in.HasAddons)
	if bootstrap {
		run.Package = func(ctx context.Context, tw *tar.Writer, prefix string) error {
			return m.writeApplication(ctx, run.Version.Package, manifest, tw, prefix)
		}
	}
	return run, nil
}

// guestAddons are the addons of a phase, with their files if they are to be
// installed.
func (m *Manager) guestAddons(uses []AddonUse, install bool) []GuestAddon {
	var addons []GuestAddon
	for _, use := range uses {
		addon := GuestAddon{Name: use.Name, HookTimeout: Hooks{Timeout: use.HookTimeout}.Limit()}
		if install {
			addon.Write = func(ctx context.Context, tw *tar.Writer, prefix string) error {
				return m.writePackage(ctx, use.Package, tw, prefix, nil)
			}
		}
		addons = append(addons, addon)
	}
	return addons
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
