package ams

import (
	"context"
	"reflect"
	"slices"
	"strings"
	"time"
)

// A prewarmed instance stands by: it is booted up to just before its app starts,
// and frozen. It is a row like any other, but nobody's: no list shows it and no
// name finds it, until a launch claims it, in the one transaction that any launch
// takes. It is charged in full meanwhile, and given back first when room is short.

const (
	// MaxPrewarm bounds how many instances of an application stand by.
	MaxPrewarm = 1000
	// prewarming bounds how many of an application boot at a time.
	prewarming = 4
	// refillDelay is how long after a claim another one begins to boot: a burst of
	// claims is not slowed down by that.
	refillDelay = time.Second
)

// staleness is how much of an instance the backend does not know yet.
type staleness int

const (
	upToDate     staleness = iota
	staleLabels            // only what people see; made up for when it runs
	staleDevices           // ports, cards or limits: before it runs
)

// SetPrewarm says how many instances of the application stand by, booted and
// frozen, for launches to claim: 0 to MaxPrewarm. They are of the version that a
// launch without a version takes. It returns when that is committed; they are
// made, and replaced when they are claimed, as long as there is room that nobody
// else wants.
//
// Errors: ErrNotFound; ErrInvalid; ErrUnsupported if the backend is no Freezer.
func (s *Applications) SetPrewarm(ctx context.Context, idOrName string, n int) error {
	if n < 0 || n > MaxPrewarm {
		return Errorf(ErrInvalid, "prewarm %d is out of range (0-%d)", n, MaxPrewarm)
	}
	if _, ok := BackendAs[Freezer](s.m.backend); !ok && n > 0 {
		return Errorf(ErrUnsupported, "the backend cannot freeze instances")
	}
	return s.m.update(ctx, func(c *change) error {
		app, err := c.application(idOrName)
		if err != nil || app.Prewarm == n {
			return err
		}
		app.Prewarm, app.UpdatedAt = n, c.now
		c.lifecycle("application", app.ID, "updated", "")
		c.wake = append(c.wake, wakePool(app.ID))
		return c.Applications().Put(app)
	})
}

// Prewarmed is how many instances of an application stand by.
type Prewarmed struct {
	Want  int // what was asked for
	Ready int // can be claimed now
	Begun int // are being made
}

// Prewarmed counts the instances of the application that stand by.
//
// Errors: ErrNotFound.
func (s *Applications) Prewarmed(ctx context.Context, idOrName string) (Prewarmed, error) {
	var p Prewarmed
	err := s.m.view(ctx, func(tx Tx) error {
		app, err := findApplication(tx, idOrName)
		if err != nil {
			return err
		}
		standing, err := standingBy(tx, app.ID)
		p = Prewarmed{Want: app.Prewarm}
		for i := range standing {
			switch in := &standing[i]; {
			case in.Want == WantDeleted:
			case in.Resting:
				p.Ready++
			default:
				p.Begun++
			}
		}
		return err
	})
	return p, err
}

func standingBy(tx Tx, application string) ([]Instance, error) {
	yes := true
	return tx.Instances().List(InstanceFilter{ApplicationID: application, Standby: &yes}, Page{})
}

func wakePool(application string) wake {
	return wake{key: "pool/" + application, lane: "pool"}
}

// passPool brings the number of instances that stand by to what it should be.
func (e *engine) passPool(ctx context.Context, id string) {
	for !e.draining() {
		more, err := e.fillPool(ctx, id)
		if more {
			continue
		}
		if err != nil && ctx.Err() == nil {
			if CodeOf(err) != ErrNoCapacity {
				e.m.log.Warn("prewarming instances failed and will be tried again", "application", id, "error", err)
			}
			w := wakePool(id)
			e.queue.AddAfter(w.key, w.lane, e.m.cfg.CompareInterval)
		}
		return
	}
}

// fillPool discards what is not wanted any more, or makes one more. It reports
// whether there may be more to do.
func (e *engine) fillPool(ctx context.Context, id string) (more bool, err error) {
	m := e.m
	err = m.update(ctx, func(c *change) error {
		more = false
		app, err := c.Applications().Get(id)
		if ignoreNotFound(err) != nil {
			return err
		}
		standing, err := standingBy(c, id)
		if err != nil {
			return err
		}
		want, newest := 0, -1
		if app.Prewarm > 0 && app.Status != ApplicationDeleted {
			v, err := c.resolveVersion(&app, nil)
			if ignoreNotFound(err) != nil {
				return err
			}
			if err == nil {
				want, newest = app.Prewarm, v.Number
			}
		}
		have, begun := 0, 0
		for i := range standing {
			in := &standing[i]
			switch {
			case in.Want == WantDeleted:
			case in.Version != newest || have == want:
				if err := c.discard(in); err != nil {
					return err
				}
			default:
				have++
				if !in.Resting {
					begun++
				}
			}
		}
		if have >= want || begun >= prewarming {
			return nil
		}
		if wait := e.poolWait(id); wait > 0 {
			c.wake = append(c.wake, wake{key: wakePool(id).key, lane: "pool", after: wait})
			return nil
		}
		waiting, err := c.Instances().Count(InstanceFilter{Status: []InstanceStatus{InstanceCreated}})
		if err != nil {
			return err
		}
		if waiting > 0 {
			return Errorf(ErrNoCapacity, "others wait for room")
		}
		more = true
		return c.standby(m, &app)
	})
	return more && err == nil, err
}

// standby makes one more instance that stands by.
func (c *change) standby(m *Manager, app *Application) error {
	in, err := c.resolveLaunch(m, &LaunchRequest{Application: app.ID})
	if err != nil {
		return err
	}
	in.ID = m.ids.New(c.now)
	in.Name, in.Attempt = "ams-"+in.ID, in.ID
	in.Standby, in.Want, in.CreatedAt = true, WantRunning, c.now
	in.Deadline = c.now.Add(m.cfg.BootTimeout)
	if err := c.move(&in, InstanceCreated); err != nil {
		return err
	}
	return in.withEncoder(func() error {
		d := in.demand()
		d.optional = in.GPUEncoder && in.VideoEncoder == EncoderGPUPreferred
		chosen, err := c.place(m, &d)
		if err != nil {
			return err
		}
		in.Node = chosen
		return c.prepared(&in)
	})
}

// discard has an instance that stands by deleted.
func (c *change) discard(in *Instance) error {
	in.Want, in.Force, in.Resting, in.Deadline = WantDeleted, true, false, time.Time{}
	in.Attempts, in.RetryAt = 0, time.Time{}
	c.stop = append(c.stop, instanceKey(in.ID))
	return c.putInstance(*in)
}

// mayClaim reports whether the launch can use a prewarmed instance.
func (r *LaunchRequest) mayClaim() bool { return r.Prewarm != PrewarmNever && r.whyOrdinary() == "" }

// whyOrdinary says why the launch cannot use a prewarmed instance, or "".
func (r *LaunchRequest) whyOrdinary() string {
	switch {
	case r.Application == "":
		return "it is not of an application"
	case r.NoStart:
		return "it is not to be started"
	case r.Config.Devmode:
		return "it is in devmode"
	}
	return ""
}

// claim takes an instance that stands by for the launch, in place of in. It
// reports whether there was one: ready, or with PrewarmWait also one that boots.
func (c *change) claim(in *Instance, node string) (bool, error) {
	yes := true
	for _, ready := range []bool{true, false} {
		if !ready && in.Prewarm != PrewarmWait {
			break
		}
		filter := InstanceFilter{ApplicationID: in.ApplicationID, Version: &in.Version, Standby: &yes, Resting: &ready, Node: node}
		list, err := c.Instances().List(filter, Page{Limit: 2 * prewarming})
		if err != nil {
			return false, err
		}
		for i := range list {
			if s := &list[i]; s.Want == WantRunning && s.Failure == "" && s.Warm == ready && s.serves(in) {
				return true, c.take(s, in)
			}
		}
	}
	return false, nil
}

// serves reports whether an instance that stands by was booted as the launch asks.
func (in *Instance) serves(launch *Instance) bool {
	booted := func(c InstanceConfig) InstanceConfig { // what cannot be changed any more
		c.BootPackage, c.BootActivity, c.MetricsServer, c.DisableWatchdog, c.Streaming = "", "", "", false, false
		return c
	}
	return reflect.DeepEqual(in.Resources, launch.Resources) && slices.Equal(in.Features, launch.Features) &&
		booted(in.Config) == booted(launch.Config) && in.VideoEncoder == launch.VideoEncoder
}

// take makes a standby instance that of the launch.
func (c *change) take(s, in *Instance) error {
	if in.Name == "ams-"+in.ID {
		in.Name = s.Name
	}
	s.Name, s.Tags, s.UserData, s.Config = in.Name, in.Tags, in.UserData, in.Config
	s.DeleteProtected, s.Lifetime, s.Prewarm = in.DeleteProtected, in.Lifetime, in.Prewarm
	s.Want, s.Operation, s.Deadline, s.CreatedAt = WantRunning, in.Operation, in.Deadline, c.now
	was := s.Resting
	s.Standby, s.Resting, s.Attempts, s.RetryAt, s.StatusMessage = false, false, 0, time.Time{}, ""
	s.Stale = max(s.Stale, staleLabels)
	if err := c.changeServices(s, in.Services); err != nil {
		return err
	}
	for _, status := range []InstanceStatus{InstanceCreated, InstancePrepared, InstanceStarted} {
		c.lifecycle("instance", s.ID, string(status), "")
		if status == s.Status {
			break
		}
	}
	if was {
		c.fresh = append(c.fresh, fresh{s.ID, s.Rev + 1, PowerFrozen})
	} else {
		c.stop = append(c.stop, instanceKey(s.ID))
	}
	refill := wakePool(s.ApplicationID)
	refill.after = refillDelay
	c.wake = append(c.wake, refill)
	*in = *s
	return c.putInstance(*s)
}

// changeServices gives an instance other services; those that stay keep their ports.
func (c *change) changeServices(in *Instance, services []NodeService) error {
	services = slices.Clone(services)
	var gone []NodeService
	for _, old := range in.Services {
		i := slices.IndexFunc(services, func(s NodeService) bool { return s.NodePort == 0 && reflect.DeepEqual(s.Service, old.Service) })
		if i < 0 {
			gone = append(gone, old)
			continue
		}
		services[i] = old
	}
	if len(gone) == 0 && len(services) == len(in.Services) {
		in.Services = services
		return nil
	}
	n, err := c.Nodes().Get(in.Node)
	if err != nil {
		return err
	}
	n.givePorts(gone)
	if err := n.takePorts(services); err != nil {
		return err
	}
	in.Services, in.Stale = services, staleDevices
	return c.storeNode(n)
}

// reclaim gives instances that stand by back, the fewest that make room for the
// demand on one node, and reports whether that helps. Those that are being deleted
// already count too.
func (c *change) reclaim(d *Demand) (bool, error) {
	yes := true
	standing, err := c.Instances().List(InstanceFilter{Standby: &yes, Node: d.Node}, Page{})
	if err != nil || len(standing) == 0 {
		return false, err
	}
	on := map[string][]*Instance{}
	for i := range standing {
		on[standing[i].Node] = append(on[standing[i].Node], &standing[i])
	}
	var best []*Instance
	found := false
	for name, list := range on {
		n, err := c.Nodes().Get(name)
		if err != nil {
			return false, err
		}
		slices.SortStableFunc(list, func(a, b *Instance) int { // "deleted" sorts before "running"
			return strings.Compare(string(a.Want), string(b.Want))
		})
		for i, in := range list {
			n.releaseCards(in)
			n.givePorts(slices.Clone(in.Services))
			n.Used = n.Used.minus(in.Charged)
			n.Instances--
			if n.refuses(d).why == fits {
				if take := list[:i+1]; !found || len(take) < len(best) {
					best, found = take, true
				}
				break
			}
		}
	}
	for _, in := range best {
		if in.Want == WantDeleted {
			continue
		}
		again, err := c.Instances().Get(in.ID)
		if err != nil {
			return false, err
		}
		if err := c.discard(&again); err != nil {
			return false, err
		}
	}
	return found, nil
}

// poolWait is how long to wait before another instance is prewarmed, after so
// many in a row have failed.
func (e *engine) poolWait(application string) time.Duration {
	e.poolMu.Lock()
	defer e.poolMu.Unlock()
	return max(0, time.Until(e.pools[application].until))
}

// poolFailed notes that an instance that was to stand by failed, poolReady that
// one came up.
func (e *engine) poolFailed(application string) {
	e.poolMu.Lock()
	defer e.poolMu.Unlock()
	p := e.pools[application]
	p.failed++
	p.until = time.Now().Add(min(time.Second<<min(p.failed, 12), time.Hour))
	e.pools[application] = p
}

func (e *engine) poolReady(application string) {
	e.poolMu.Lock()
	defer e.poolMu.Unlock()
	delete(e.pools, application)
}

// poolFaults is how prewarming an application fares in this life of the program.
type poolFaults struct {
	failed int
	until  time.Time
}
