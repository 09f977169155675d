package ams

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// model plays a backend that does what it is told, and the commits of the engine,
// for one instance.
type model struct {
	in    Instance
	s     sight
	power Power // what there truly is
	gone  bool
	trace []string
}

// apply does what next says; it reports whether the instance is at rest.
func (m *model) apply(t *testing.T, st step, now time.Time) bool {
	m.trace = append(m.trace, fmt.Sprintf("%s(%s) in %s/%s", st.act, st.status, m.in.Status, m.power))
	move := func(to InstanceStatus) {
		require.True(t, m.in.Status == to || slices.Contains(instanceMoves[m.in.Status], to), "%s to %s: %v", m.in.Status, to, m.trace)
		m.in.Status = to
	}
	switch st.act {
	case actNothing:
		return true
	case actLook:
		m.s.power = m.power
	case actCreate:
		require.Equal(t, PowerAbsent, m.power, m.trace)
		m.power, m.s.power, m.s.made = PowerStopped, PowerStopped, true
	case actBegin:
		move(InstanceStarted)
		m.in.HasRun, m.in.Warm, m.s.begun = true, false, true
	case actStart:
		require.Equal(t, PowerStopped, m.power, m.trace)
		m.power, m.s.power, m.s.booting = PowerRunning, PowerRunning, true
	case actBoot:
		require.True(t, m.s.booting && m.power == PowerRunning && !m.in.Base, m.trace)
		m.s.booting = false
		m.settle(move, InstanceRunning, now)
	case actBootstrap:
		require.True(t, m.s.booting && m.power == PowerRunning && m.in.Base, m.trace)
		m.s.booting, m.in.Bootstrapped = false, true
	case actQuiesce:
		require.Equal(t, PowerRunning, m.power, m.trace)
		m.s.quiet = true
	case actStop:
		require.Contains(t, []Power{PowerRunning, PowerFrozen}, m.power, m.trace)
		require.True(t, m.power == PowerRunning || st.force, m.trace)
		m.power, m.s.power, m.s.booting = PowerStopped, PowerStopped, false
	case actPublish:
		require.True(t, m.in.Bootstrapped && m.power == PowerStopped, m.trace)
		move(InstanceStopped)
		m.in.Want, m.in.Force, m.in.Deadline = WantDeleted, true, time.Time{}
	case actCollect:
		m.s.collected = true
	case actDelete:
		require.Contains(t, []Power{PowerStopped, PowerBroken}, m.power, m.trace)
		m.power, m.s.power, m.s.made, m.s.begun = PowerAbsent, PowerAbsent, false, false
	case actSettle:
		if m.in.Base && st.status == InstanceError {
			move(InstanceError)
			m.in.Want, m.in.Force, m.in.Resting = WantDeleted, true, false
			break
		}
		m.settle(move, st.status, now)
	case actForget:
		require.Contains(t, []Power{PowerAbsent, ""}, m.s.power, m.trace)
		move(InstanceDeleted)
		m.gone = true
		return true
	case actFail:
		m.in.Failure, m.in.Restart, m.in.Resting = st.code, false, false
		m.in.Deadline = now.Add(time.Minute)
		if m.in.Standby {
			m.in.Want, m.in.Force = WantDeleted, true
		}
	case actConfigure:
		require.Contains(t, []Power{PowerStopped, PowerRunning, PowerFrozen}, m.power, m.trace)
		m.in.Stale = upToDate
	case actWarm:
		require.True(t, m.s.booting && m.power == PowerRunning && m.in.Standby, m.trace)
		m.s.booting, m.s.warm, m.in.Warm = false, true, true
	case actFreeze:
		require.True(t, m.power == PowerRunning && m.in.Warm && m.in.Standby, m.trace)
		m.power, m.s.power = PowerFrozen, PowerFrozen
	case actUnfreeze:
		require.True(t, m.power == PowerFrozen && !m.in.Standby, m.trace)
		m.power, m.s.power = PowerRunning, PowerRunning
	case actClaim:
		require.True(t, m.power == PowerRunning && m.in.Warm && !m.in.Standby && m.in.Stale != staleDevices, m.trace)
		m.in.Warm = false
		m.settle(move, InstanceRunning, now)
	case actDiscard:
		require.True(t, m.in.Standby, m.trace)
		m.in.Want, m.in.Force, m.in.Resting = WantDeleted, true, false
	case actInquire:
		require.Equal(t, PowerStopped, m.power, m.trace)
		m.s.inquired = true
	case actExpire:
		m.in.Want, m.in.Resting, m.in.Force, m.in.Restart = WantDeleted, false, false, false
	default:
		t.Fatalf("action %s: %v", st.act, m.trace)
	}
	return false
}

func (m *model) settle(move func(InstanceStatus), to InstanceStatus, now time.Time) {
	move(to)
	m.in.Resting, m.in.Force, m.in.Deadline = true, false, time.Time{}
	switch {
	case m.in.Standby:
	case to == InstanceStopped && m.in.Restart:
		m.in.Restart, m.in.Resting, m.in.Want, m.in.Deadline = false, false, WantRunning, now.Add(time.Minute)
	case to == InstanceRunning:
		m.in.Want = WantRunning
	case to == InstanceStopped || to == InstanceError:
		m.in.Want = WantStopped
	}
}

// TestNextLeadsToRest takes every row the engine can leave behind, with every
// thing the backend can show, and does what next says until the instance is at
// rest: soon, with legal moves, and in the state that was wanted.
func TestNextLeadsToRest(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	bools := []bool{false, true}
	n := 0
	for _, status := range []InstanceStatus{InstanceCreated, InstancePrepared, InstanceStarted, InstanceRunning, InstanceStopped, InstanceError, InstanceUnknown} {
		for _, want := range []Want{WantPrepared, WantRunning, WantStopped, WantDeleted} {
			for _, power := range []Power{PowerAbsent, PowerStopped, PowerRunning, PowerFrozen, PowerBroken} {
				for bits := range 1 << 12 {
					bit := func(i int) bool { return bools[bits>>i&1] }
					in := Instance{Status: status, Want: want, Node: "n", Made: true, Base: bit(0), Force: bit(1), Restart: bit(2), Bootstrapped: bit(3), HasRun: bit(4), Resting: bit(5), Deadline: now.Add(time.Minute)}
					if bit(6) {
						in.Failure = ErrFailed
					}
					if bit(7) {
						in.Deadline = now.Add(-time.Minute)
					}
					in.Standby, in.Warm = bit(8), bit(9)
					if bit(10) {
						in.Stale = staleDevices
					}
					if bit(11) {
						in.Expires = now.Add(-time.Minute)
					}
					if !possibleRow(&in) {
						continue
					}
					n++
					checkRest(t, in, power, now)
				}
			}
		}
	}
	require.Greater(t, n, 1000, "too few rows were tried")
}

// possibleRow leaves out rows that no commit makes.
func possibleRow(in *Instance) bool {
	ran := in.Status == InstanceStarted || in.Status == InstanceRunning || in.Status == InstanceStopped
	switch {
	case in.Status == InstanceCreated: // has no node yet
		return false
	case ran && !in.HasRun, in.Status == InstancePrepared && in.HasRun, in.Status == InstanceError && in.Failure == "":
		return false
	case in.Bootstrapped && !(in.Base && in.HasRun), in.Base && (in.Restart || in.Want == WantPrepared || in.Want == WantStopped || in.Status == InstanceRunning):
		return false
	case in.Base && in.Resting, in.Restart && in.Want != WantStopped, in.Restart && in.Resting:
		return false
	case in.Base && in.Status == InstanceStopped && !in.Bootstrapped:
		return false
	case in.Want == WantPrepared && in.Status != InstancePrepared && in.Status != InstanceUnknown:
		return false
	case in.Want == WantPrepared && in.HasRun:
		return false
	case in.Status == InstanceUnknown && !in.Resting && in.Want != WantDeleted && in.Failure == "":
		return false
	case in.Resting && in.Want == WantDeleted:
		return false
	case in.Standby && (in.Base || in.Restart || in.Want == WantStopped || in.Want == WantPrepared || in.Failure != "" && in.Want != WantDeleted ||
		in.Status != InstancePrepared && in.Status != InstanceStarted || in.Resting && !in.Warm || !in.Expires.IsZero()):
		return false
	case in.Warm && (in.Status != InstanceStarted || !in.HasRun || in.Base), in.Base && !in.Expires.IsZero():
		return false
	}
	return true
}

func checkRest(t *testing.T, in Instance, power Power, now time.Time) {
	m := &model{in: in, power: power}
	for range 30 {
		if m.apply(t, next(&m.in, m.s, now), now) {
			switch {
			case m.gone:
				require.Equal(t, PowerAbsent, m.power, "%+v: %v", in, m.trace)
			case m.in.Standby:
				require.Equal(t, PowerFrozen, m.power, "%+v: %v", in, m.trace)
				require.True(t, m.in.Warm)
			case m.in.Status == InstanceRunning:
				require.Equal(t, PowerRunning, m.power, "%+v: %v", in, m.trace)
			default:
				require.NotContains(t, []Power{PowerRunning, PowerFrozen}, m.power, "%+v: %v", in, m.trace)
			}
			if !m.gone {
				require.True(t, m.in.Resting, "%+v: %v", in, m.trace)
				require.False(t, m.in.Base, "a base instance never rests: %+v: %v", in, m.trace)
			}
			if in.Want == WantDeleted {
				require.True(t, m.gone, "%+v: %v", in, m.trace)
			}
			return
		}
	}
	t.Fatalf("no rest from %+v: %v", in, m.trace)
}

func TestNextWaits(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	in := Instance{Status: InstancePrepared, Want: WantRunning, Node: "n", Made: true, RetryAt: now.Add(time.Second)}
	require.Equal(t, step{act: actWait, until: in.RetryAt}, next(&in, sight{}, now))
	require.Equal(t, actLook, next(&in, sight{}, in.RetryAt).act)
	require.Equal(t, actNothing, next(&Instance{Status: InstanceCreated, Want: WantRunning, Base: true}, sight{}, now).act)
	require.Equal(t, actForget, next(&Instance{Status: InstanceCreated, Want: WantDeleted, Base: true}, sight{}, now).act)
}

func TestNextDeadline(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	in := Instance{Status: InstanceStarted, Want: WantRunning, Node: "n", Made: true, HasRun: true, Deadline: now}
	st := next(&in, sight{power: PowerRunning, booting: true}, now)
	require.Equal(t, actFail, st.act)
	require.Equal(t, ErrTimeout, st.code)
	require.Equal(t, actBoot, next(&in, sight{power: PowerRunning, booting: true}, now.Add(-1)).act)
}

// TestMovesEndInDeleted says that every status can be reached, and left for good.
func TestMovesEndInDeleted(t *testing.T) {
	reached := map[InstanceStatus]bool{}
	for from, tos := range instanceMoves {
		if from != "" {
			require.Contains(t, tos, InstanceDeleted, from)
		}
		for _, to := range tos {
			reached[to] = true
			require.NotEqual(t, from, to)
		}
	}
	for _, s := range []InstanceStatus{InstanceCreated, InstancePrepared, InstanceStarted, InstanceRunning, InstanceStopped, InstanceError, InstanceDeleted, InstanceUnknown} {
		require.True(t, reached[s], s)
	}
	require.Empty(t, instanceMoves[InstanceDeleted])
}
