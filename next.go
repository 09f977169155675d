package ams

import "time"

// action is one thing to do for an instance.
type action int

const (
	actNothing   action = iota // at rest, or waiting for something else to happen
	actWait                    // look again at step.until
	actLook                    // ask the backend what there is
	actCreate                  //
	actBegin                   // commit the status started: the software may run from here on
	actStart                   //
	actBoot                    // the guest's start phase
	actBootstrap               // the guest's bootstrap phase
	actQuiesce                 // the guest's stop phase
	actStop                    // forced if step.force
	actPublish                 // base instance to image
	actCollect                 // keep the logs
	actDelete                  // in the backend
	actSettle                  // commit step.status; at rest
	actForget                  // delete the row
	actFail                    // commit a failure: step.code and step.text
	actConfigure               // give it the devices and labels it is to have
	actWarm                    // the guest's standby phase
	actFreeze                  //
	actUnfreeze                //
	actClaim                   // the guest's claim phase
	actDiscard                 // commit that what stood by is to be deleted
	actInquire                 // ask why it has stopped
	actExpire                  // its time is over
)

// step is an action with its arguments.
type step struct {
	act    action
	until  time.Time
	status InstanceStatus
	force  bool
	code   Code
	text   string
}

// sight is what is known of an instance besides its row: what the backend
// showed, and what this pass has done about it.
type sight struct {
	power     Power // empty: not looked at yet
	made      bool  // this pass created it
	begun     bool  // this pass committed the status started
	booting   bool  // this pass started it, and nothing has run in it yet
	quiet     bool  // this pass ran the guest's stop phase
	collected bool  // this pass kept the logs
	warm      bool  // this pass ran the guest's standby phase
	inquired  bool  // this pass found no reason why it has stopped
}

// next decides what to do for an instance: a pure, total function of its row,
// of what is seen, and of the time. Doing what it says and asking again leads to
// rest, from every row and every sight.
func next(in *Instance, s sight, now time.Time) step {
	switch {
	case in.RetryAt.After(now):
		return step{act: actWait, until: in.RetryAt}
	case !in.Made && in.Want == WantDeleted:
		return step{act: actForget}
	case !in.Made && in.Failure != "" && !in.Resting:
		return step{act: actSettle, status: InstanceError}
	case !in.Made:
		return step{act: actNothing} // placement will wake it
	case s.power == "":
		return step{act: actLook}
	}
	switch {
	case in.Want == WantDeleted:
		return nextDeleted(in, s)
	case in.Failure != "" && !in.Resting:
		return nextFailed(in, s)
	case s.power == PowerUnknown && !(in.Standby && in.Resting):
		return nextUnknown(in, now)
	case in.Standby && in.Resting:
		return nextStanding(in, s)
	case in.Resting:
		return nextResting(in, s, now)
	case !in.Deadline.IsZero() && !now.Before(in.Deadline):
		return step{act: actFail, code: ErrTimeout, text: "the time for it ran out"}
	case in.Base:
		return nextBase(in, s)
	case in.Standby:
		return nextStandby(in, s)
	}
	switch in.Want {
	case WantPrepared:
		return nextPrepared(s)
	case WantStopped:
		return nextStopped(in, s)
	default:
		return nextRunning(in, s)
	}
}

// labelDelay is how long a change of labels alone may wait: a burst of claims is not
// slowed down by that.
const labelDelay = 5 * time.Second

func nextPrepared(s sight) step {
	switch s.power {
	case PowerAbsent:
		return step{act: actCreate}
	case PowerBroken:
		return step{act: actDelete}
	case PowerRunning, PowerFrozen:
		return step{act: actStop, force: true}
	default:
		return step{act: actSettle, status: InstancePrepared}
	}
}

func nextRunning(in *Instance, s sight) step {
	switch s.power {
	case PowerAbsent:
		if !in.HasRun {
			return step{act: actCreate}
		}
		return step{act: actFail, code: ErrNotFound, text: "it was deleted outside AMS"}
	case PowerBroken:
		if in.HasRun {
			return step{act: actFail, code: ErrFailed, text: "the backend reports it as broken"}
		}
		return step{act: actDelete}
	case PowerStopped:
		switch {
		case in.Stale == staleDevices:
			return step{act: actConfigure}
		case !s.begun:
			return step{act: actBegin}
		}
		return step{act: actStart}
	case PowerFrozen:
		switch {
		case !in.Warm:
			return step{act: actStop, force: true}
		case in.Stale == staleDevices:
			return step{act: actConfigure}
		}
		return step{act: actUnfreeze}
	default: // it runs
		switch {
		case in.Warm && in.Stale == staleDevices:
			return step{act: actConfigure}
		case in.Warm || s.warm:
			return step{act: actClaim}
		case s.booting:
			return step{act: actBoot}
		}
		// Started by an earlier life of ours, or by somebody else: how far the
		// software inside got cannot be known, so it starts over.
		return step{act: actStop, force: true}
	}
}

func nextStopped(in *Instance, s sight) step {
	switch s.power {
	case PowerAbsent:
		if !in.HasRun { // its launch was broken off
			return step{act: actCreate}
		}
		return step{act: actForget}
	case PowerRunning:
		if !in.Force && !s.quiet && in.Status == InstanceRunning {
			return step{act: actQuiesce}
		}
		return step{act: actStop, force: in.Force}
	case PowerFrozen:
		return step{act: actStop, force: true}
	case PowerBroken:
		if !in.HasRun {
			return step{act: actDelete}
		}
		return step{act: actFail, code: ErrFailed, text: "the backend reports it as broken"}
	default:
		return step{act: actSettle, status: InstanceStopped}
	}
}

func nextDeleted(in *Instance, s sight) step {
	switch s.power {
	case PowerAbsent:
		return step{act: actForget}
	case PowerRunning:
		if !in.Force && !s.quiet && in.Status == InstanceRunning {
			return step{act: actQuiesce}
		}
		return step{act: actStop, force: true}
	case PowerFrozen:
		return step{act: actStop, force: true}
	case PowerUnknown:
		return step{act: actLook}
	default:
		return step{act: actDelete}
	}
}

// nextStandby brings an instance to standing by.
func nextStandby(in *Instance, s sight) step {
	switch s.power {
	case PowerAbsent:
		if in.Warm {
			return step{act: actDiscard}
		}
		return step{act: actCreate}
	case PowerStopped:
		switch {
		case in.Warm:
			return step{act: actDiscard}
		case !s.begun:
			return step{act: actBegin}
		}
		return step{act: actStart}
	case PowerRunning:
		switch {
		case in.Warm:
			return step{act: actFreeze}
		case s.booting:
			return step{act: actWarm}
		}
		return step{act: actStop, force: true}
	case PowerFrozen:
		if in.Warm {
			return step{act: actSettle, status: InstanceStarted}
		}
		return step{act: actStop, force: true}
	default:
		return step{act: actDelete}
	}
}

// nextStanding is for an instance that stands by. One that does not any more, or
// cannot be seen to, is of no use.
func nextStanding(_ *Instance, s sight) step {
	if s.power == PowerFrozen {
		return step{act: actNothing}
	}
	return step{act: actDiscard}
}

// nextBase builds a version. A build that was broken off starts over on a fresh
// instance: half an installation is not built upon.
func nextBase(in *Instance, s sight) step {
	switch s.power {
	case PowerAbsent:
		if in.Bootstrapped {
			return step{act: actFail, code: ErrNotFound, text: "the base instance was deleted outside AMS"}
		}
		return step{act: actCreate}
	case PowerBroken:
		return step{act: actDelete}
	case PowerStopped:
		switch {
		case in.Bootstrapped:
			return step{act: actPublish}
		case s.begun:
			return step{act: actStart}
		case in.Status == InstanceStarted && !s.made:
			return step{act: actDelete}
		default:
			return step{act: actBegin}
		}
	case PowerFrozen: // somebody else did that
		return step{act: actStop, force: true}
	default: // it runs
		switch {
		case in.Bootstrapped:
			return step{act: actStop}
		case s.booting:
			return step{act: actBootstrap}
		default:
			return step{act: actStop, force: true}
		}
	}
}

// nextFailed cleans up after a failure: logs first, then stop, then rest.
func nextFailed(in *Instance, s sight) step {
	switch s.power {
	case PowerRunning:
		if !s.collected {
			return step{act: actCollect}
		}
		return step{act: actStop, force: true}
	case PowerFrozen:
		return step{act: actStop, force: true}
	case PowerStopped:
		if !s.collected {
			return step{act: actCollect}
		}
		return step{act: actSettle, status: InstanceError}
	case PowerBroken:
		if in.HasRun && !in.Base {
			return step{act: actSettle, status: InstanceError} // there may be data to rescue
		}
		return step{act: actDelete}
	case PowerUnknown:
		return step{act: actLook}
	default:
		return step{act: actSettle, status: InstanceError}
	}
}

// nextUnknown is for an instance whose node does not answer.
func nextUnknown(in *Instance, now time.Time) step {
	switch {
	case in.Resting && in.Status == InstanceUnknown:
		return step{act: actNothing}
	case in.Resting:
		return step{act: actSettle, status: InstanceUnknown}
	case !in.Deadline.IsZero() && !now.Before(in.Deadline):
		return step{act: actFail, code: ErrTimeout, text: "its node does not answer"}
	default:
		return step{act: actLook}
	}
}

// nextResting corrects a row at rest by what is seen.
func nextResting(in *Instance, s sight, now time.Time) step {
	if !in.Expires.IsZero() && !now.Before(in.Expires) && !(in.DeleteProtected && in.Status != InstanceRunning) {
		return step{act: actExpire}
	}
	if in.Failure != "" {
		switch {
		case s.power == PowerRunning || s.power == PowerFrozen:
			return step{act: actStop, force: true}
		case in.Status != InstanceError:
			return step{act: actSettle, status: InstanceError}
		}
		return step{act: actNothing} // a record of the failure; it may never have existed
	}
	switch s.power {
	case PowerAbsent:
		return step{act: actForget}
	case PowerBroken:
		return step{act: actFail, code: ErrFailed, text: "the backend reports it as broken"}
	case PowerRunning:
		switch {
		case in.Status != InstanceRunning:
			return step{act: actSettle, status: InstanceRunning}
		case in.Stale != upToDate && now.Before(in.UpdatedAt.Add(labelDelay)):
			return step{act: actWait, until: in.UpdatedAt.Add(labelDelay)}
		case in.Stale != upToDate:
			return step{act: actConfigure}
		}
	case PowerFrozen: // somebody else did that
		if in.Status == InstanceRunning {
			return step{act: actUnfreeze}
		}
		return step{act: actStop, force: true}
	case PowerStopped:
		switch {
		case (in.Status == InstanceRunning || in.Status == InstanceUnknown && in.Want == WantRunning) && !s.inquired:
			return step{act: actInquire}
		case in.Status == InstanceRunning:
			return step{act: actSettle, status: InstanceStopped}
		case in.Status == InstanceUnknown && in.Want == WantPrepared:
			return step{act: actSettle, status: InstancePrepared}
		case in.Status == InstanceUnknown:
			return step{act: actSettle, status: InstanceStopped}
		}
	}
	if in.Expires.IsZero() || in.DeleteProtected && in.Status != InstanceRunning {
		return step{act: actNothing}
	}
	return step{act: actWait, until: in.Expires}
}
