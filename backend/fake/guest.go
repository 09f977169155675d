package fake

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/openams/ams"
)

// GuestFault makes a phase fail inside instances. Of the fields that choose,
// those that are set must match.
type GuestFault struct {
	Phase       ams.GuestPhase
	Application string // its name
	Instance    string // its name or id

	Step  string        // the step that fails; default is the phase's last
	Exit  int           // its exit code; default 1
	Tail  string        // the end of its output
	Err   error         // returned as it is, instead of an ErrFailed
	Hang  bool          // instead of failing, the step never ends
	Times int           // how often it happens; zero is always
	After time.Duration // how long the step takes, beyond its share of BootTime
}

// FailGuest adds a fault; the oldest that matches happens.
func (b *Backend) FailGuest(f GuestFault) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.guest = append(b.guest, &f)
}

// HealGuest removes all faults of the guest.
func (b *Backend) HealGuest() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.guest = nil
}

func (f *GuestFault) matches(run ams.GuestRun) bool {
	return f.Times >= 0 &&
		(f.Phase == "" || f.Phase == run.Phase) &&
		(f.Application == "" || f.Application == run.Instance.ApplicationName) &&
		(f.Instance == "" || f.Instance == run.Instance.Name || f.Instance == run.Instance.ID)
}

// takeGuestFault returns the fault that befalls a phase, or nil.
func (b *Backend) takeGuestFault(run ams.GuestRun) *GuestFault {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, f := range b.guest {
		if !f.matches(run) {
			continue
		}
		taken := *f
		if f.Times == 1 {
			f.Times = -1
		} else if f.Times > 1 {
			f.Times--
		}
		return &taken
	}
	return nil
}

// Steps returns the steps that the fake guest performs in a phase.
func Steps(phase ams.GuestPhase) []string {
	switch phase {
	case ams.PhaseBootstrap:
		return []string{"pre-start hooks", "boot android", "install app.apk", "post-start hooks"}
	case ams.PhaseStart:
		return []string{"pre-start hooks", "boot android", "start app", "post-start hooks"}
	case ams.PhaseStandby:
		return []string{"pre-start hooks", "boot android"}
	case ams.PhaseClaim:
		return []string{"start app", "post-start hooks"}
	}
	return []string{"post-stop hooks"}
}

// Run implements ams.Guest. A phase takes BootTime, or HookTime for stop and ClaimTime for a claim, reports
// its steps, reads the package if there is one and writes a line per step to the
// instance's system.log. Of the run it needs Phase, Instance and Report; Exec is
// not called. The instance must run all the while, or it is ErrFailed.
func (b *Backend) Run(ctx context.Context, run ams.GuestRun) error {
	return b.call(ctx, VerbRun, run.Instance.ID, func() error {
		fault := b.takeGuestFault(run)
		steps := Steps(run.Phase)
		took := b.opts.BootTime
		switch run.Phase {
		case ams.PhaseStop:
			took = b.opts.HookTime
		case ams.PhaseClaim:
			took = b.opts.ClaimTime
		}
		b.mu.Lock()
		epoch := b.epoch
		var stopped chan struct{}
		i := b.instances[instanceName(run.Instance.ID)]
		frozen := i != nil && i.Power == ams.PowerFrozen
		if i != nil && i.Power == ams.PowerRunning {
			stopped = i.stopped
			if run.Phase != ams.PhaseStop {
				delete(i.Logs, ams.TripLog)
			}
		}
		b.mu.Unlock()
		if frozen {
			return ams.Errorf(ams.ErrState, "%s: the instance is frozen", run.Phase)
		}
		if stopped == nil {
			return ams.Errorf(ams.ErrFailed, "%s: the instance is not running", run.Phase)
		}
		ctx, cancel := whileRunning(ctx, stopped)
		defer cancel(nil)
		for n, step := range steps {
			run.Report(ams.GuestStep{Name: step})
			err := sleep(ctx, epoch, took/time.Duration(len(steps)))
			if err == nil && step == "install app.apk" && run.Package != nil {
				err = run.Package(ctx, tar.NewWriter(io.Discard), "app/")
			}
			var failed bool
			if err == nil && fault != nil && (fault.Step == step || fault.Step == "" && n == len(steps)-1) {
				failed, err = true, fault.happen(ctx, epoch, step)
			}
			switch {
			case errors.Is(context.Cause(ctx), errStopped):
				return ams.Errorf(ams.ErrFailed, "%s: the instance stopped", step)
			case ctx.Err() != nil:
				return ctx.Err()
			}
			end := ams.GuestStep{Name: step, Ended: true}
			if failed {
				end.Exit, end.Tail = max(fault.Exit, 1), fault.Tail
			}
			run.Report(end)
			b.WriteLog(run.Instance.ID, "system.log", fmt.Appendf(nil, "%s: %s: exit %d\n", run.Phase, step, end.Exit))
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// happen is what a fault does at its step.
func (f *GuestFault) happen(ctx context.Context, epoch <-chan struct{}, step string) error {
	if f.Hang {
		return await(ctx, epoch, nil)
	}
	if err := sleep(ctx, epoch, f.After); err != nil {
		return err
	}
	if f.Err != nil {
		return f.Err
	}
	text := fmt.Sprintf("%s: exit %d", step, max(f.Exit, 1))
	if f.Tail != "" {
		text += ": " + f.Tail
	}
	return ams.Errorf(ams.ErrFailed, "%s", text)
}

var errStopped = errors.New("the instance stopped")

// whileRunning returns a context that also ends when the instance stops.
func whileRunning(ctx context.Context, stopped <-chan struct{}) (context.Context, context.CancelCauseFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		select {
		case <-stopped:
			cancel(errStopped)
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}
