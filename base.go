package ams

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// A version is built in a base instance: placed in order, bootstrapped,
// published, deleted.

func versionID(application string, number int) string {
	return fmt.Sprintf("%s-%d", application, number)
}

// imageAlias is the backend's alias of a version of an application or image.
func imageAlias(id string, number int) string { return fmt.Sprintf("ams-%s-%d", id, number) }

// newBase makes the base instance that builds v, to be placed when there is room.
// The application's node selector does not bind it: that is for instances that run.
func (c *change) newBase(m *Manager, app *Application, v *Version, parent *ImageVersion, operation string) error {
	id := m.ids.New(c.now)
	v.BaseInstance = id
	in := Instance{
		ID: id, Name: "ams-" + id, Base: true, VM: app.VM,
		ApplicationID: app.ID, ApplicationName: app.Name, Version: v.Number,
		ImageID: v.ImageID, ImageVersion: v.ImageVersion,
		Fingerprint: parent.Fingerprint, Architecture: v.Architecture,
		Resources: app.Resources, Features: v.Manifest.Features, VideoEncoder: EncoderSoftware,
		StatusMessage: "waiting for a node", Want: WantRunning, Attempt: operation, Operation: operation,
		CreatedAt: c.now,
	}
	if err := c.move(&in, InstanceCreated); err != nil {
		return err
	}
	return c.putInstance(in)
}

// demand is what an instance asks of a node for its whole life.
func (in *Instance) demand() Demand {
	return Demand{Charge: in.running(), Architecture: in.Architecture, VM: in.VM, GPUType: in.Resources.GPUType, Tags: in.NodeTags}
}

// passPlace looks at the instances that wait for an image or a node, in the order
// they came in. Of the base instances the first that does not fit makes the others
// of its architecture wait too.
func (e *engine) passPlace(ctx context.Context) {
	var waiting []Instance
	err := e.m.view(ctx, func(tx Tx) (err error) {
		no := false
		waiting, err = tx.Instances().List(InstanceFilter{Status: []InstanceStatus{InstanceCreated}, Resting: &no}, Page{})
		return err
	})
	full := map[string]bool{} // by what a node must be like
	var deadline time.Time
	for i := 0; i < len(waiting) && err == nil && !e.draining(); i++ {
		in := &waiting[i]
		kind := fmt.Sprint(in.Architecture, " ", in.VM)
		queues := in.Base || in.Prewarm == PrewarmWait
		if queues && full[kind] && in.Fingerprint != "" {
			continue
		}
		err = e.placeWaiting(ctx, in.ID)
		if queues && errors.Is(err, ErrNoCapacity) {
			full[kind], err = true, nil
		}
		if d := in.Deadline; !d.IsZero() && (deadline.IsZero() || d.Before(deadline)) {
			deadline = d
		}
	}
	switch {
	case ctx.Err() != nil:
	case err != nil:
		e.m.log.Error("placing instances failed", "error", err)
		e.queue.AddAfter(wakePlace.key, wakePlace.lane, time.Second)
	case !deadline.IsZero():
		e.queue.AddAfter(wakePlace.key, wakePlace.lane, deadline.Sub(e.m.now()))
	}
}

// placeWaiting gives a waiting instance its image, and then a node. For a base
// instance there may be no room yet: ErrNoCapacity.
func (e *engine) placeWaiting(ctx context.Context, id string) error {
	return e.m.update(ctx, func(c *change) error {
		in, err := c.Instances().Get(id)
		if err != nil || in.Status != InstanceCreated || in.Want == WantDeleted || in.Failure != "" {
			return ignoreNotFound(err)
		}
		if !in.Deadline.IsZero() && !c.now.Before(in.Deadline) {
			return c.failWaiting(&in, Errorf(ErrTimeout, "the time for it ran out: %s", in.StatusMessage))
		}
		if in.Fingerprint == "" {
			ready, err := c.takeImage(&in)
			if err != nil {
				return c.failWaiting(&in, err)
			}
			if !ready {
				return nil
			}
		}
		if in.Base {
			return c.placeBase(e.m, &in)
		}
		err = c.placeLaunch(e.m, &in, in.Node)
		if err == nil || in.Prewarm == PrewarmWait && CodeOf(err) == ErrNoCapacity {
			return err
		}
		return c.failWaiting(&in, err)
	})
}

// failWaiting fails an instance that was never made. A fault of the store is not
// its own.
func (c *change) failWaiting(in *Instance, reason error) error {
	switch CodeOf(reason) {
	case ErrNotFound, ErrState, ErrFailed, ErrTimeout, ErrNoCapacity:
	default:
		return reason
	}
	if err := c.failInstance(in, CodeOf(reason), reason.Error()); err != nil {
		return err
	}
	return c.putInstance(*in)
}

// placeBase gives a base instance a node. Builds take as many places of a node at
// a time as it has workers: more would only be in the way of launches.
func (c *change) placeBase(m *Manager, in *Instance) error {
	nodes, err := c.Nodes().List(NodeFilter{}, Page{})
	if err != nil {
		return err
	}
	yes := true
	bases, err := c.Instances().List(InstanceFilter{Base: &yes}, Page{})
	if err != nil {
		return err
	}
	builds := map[string]int{}
	for i := range bases {
		builds[bases[i].Node]++
	}
	most := int(m.engine.workers.Load())
	nodes = slices.DeleteFunc(nodes, func(n Node) bool { return builds[n.Name] >= most })
	strategy, err := m.Settings.text(c, "scheduler.strategy")
	if err != nil {
		return err
	}
	d := in.demand()
	if in.Node, err = choose(nodes, &d, Strategy(strategy), m.cfg.Scheduler); err != nil {
		return err
	}
	in.StatusMessage = ""
	in.Deadline = c.now.Add(m.cfg.BootstrapTimeout)
	return c.prepared(in)
}

// prepared commits an instance to its node: the ledger is charged, and the
// backend will be asked.
func (c *change) prepared(in *Instance) error {
	holds := holdsAll
	if in.Want == WantPrepared {
		holds = holdsDisk
	}
	if err := c.hold(in, holds, false); err != nil {
		return err
	}
	if err := c.move(in, InstancePrepared); err != nil {
		return err
	}
	in.Made = true
	c.fresh = append(c.fresh, fresh{in.ID, in.Rev + 1, PowerAbsent})
	return c.putInstance(*in)
}

// publish turns the bootstrapped base instance into the version's image, and
// commits the version as active.
func (e *engine) publish(ctx context.Context, in *Instance) error {
	publisher, ok := BackendAs[Publisher](e.m.backend)
	if !ok {
		return Errorf(ErrUnsupported, "the backend cannot publish instances as images")
	}
	err := e.commit(ctx, in, func(c *change, in *Instance) error {
		in.StatusMessage = "publishing the image"
		if err := c.move(in, InstanceStopped); err != nil {
			return err
		}
		return c.progress(in.Operation, in.StatusMessage)
	})
	if err != nil {
		return err
	}
	var image BackendImage
	err = e.m.call(ctx, "publish", in, time.Until(in.Deadline), func(ctx context.Context) (err error) {
		image, err = publisher.Publish(ctx, e.ref(in), imageAlias(in.ApplicationID, in.Version))
		return err
	})
	if err != nil {
		return err
	}
	return e.commit(ctx, in, func(c *change, in *Instance) error {
		v, err := c.Versions().Get(versionID(in.ApplicationID, in.Version))
		if err != nil {
			return err
		}
		v.Fingerprint, v.ImageSize = image.Fingerprint, image.Size
		if v.Published, err = e.m.Settings.flag(c, "application.auto_publish"); err != nil {
			return err
		}
		if err := c.moveVersion(&v, VersionActive, ""); err != nil {
			return err
		}
		if err := c.trimPublished(e.m, v.ApplicationID, v.Number); err != nil {
			return err
		}
		in.Want, in.Force, in.StatusMessage, in.Deadline = WantDeleted, true, "", time.Time{}
		return c.seal(in.Operation)
	})
}

// unpublish removes the image of a version that did not become active: its
// publication may have gone further than we were told.
func (e *engine) unpublish(ctx context.Context, in *Instance) error {
	var v Version
	err := e.m.view(ctx, func(tx Tx) (err error) {
		v, err = tx.Versions().Get(versionID(in.ApplicationID, in.Version))
		return ignoreNotFound(err)
	})
	if err != nil {
		return commitError{err}
	}
	if v.Status == VersionActive {
		return nil
	}
	return e.dropImage(ctx, imageAlias(in.ApplicationID, in.Version))
}

// dropImage removes an image from the backend.
func (e *engine) dropImage(ctx context.Context, alias string) error {
	keeper, ok := BackendAs[ImageKeeper](e.m.backend)
	if !ok {
		return nil
	}
	return e.m.call(ctx, "delete image", &Instance{}, e.m.cfg.CallTimeout, func(ctx context.Context) error {
		return keeper.DeleteImage(ctx, e.mark, alias)
	})
}

// baseFailed ends a build that failed: the version keeps the reason and the
// logs, the instance goes.
func (c *change) baseFailed(in *Instance) error {
	if err := c.move(in, InstanceError); err != nil {
		return err
	}
	in.Want, in.Force, in.Resting = WantDeleted, true, false
	v, err := c.Versions().Get(versionID(in.ApplicationID, in.Version))
	if err != nil || v.Status != VersionInitializing {
		return ignoreNotFound(err)
	}
	v.Logs = in.Logs
	return c.moveVersion(&v, VersionError, in.ErrorMessage)
}

// baseGone is the last of a base instance: its build's operation ends.
func (c *change) baseGone(in *Instance) error {
	v, err := c.Versions().Get(versionID(in.ApplicationID, in.Version))
	if CodeOf(err) == ErrNotFound {
		return c.finish(in.Operation, nil)
	}
	if err != nil {
		return err
	}
	v.BaseInstance = ""
	c.wake = append(c.wake, wakeApplication(in.ApplicationID), wakeUpdate(in.ApplicationID), wakePlace)
	var outcome error
	switch v.Status {
	case VersionError:
		outcome = Errorf(in.Failure, "%s", v.ErrorMessage)
	case VersionInitializing:
		outcome = Errorf(ErrCancelled, "the base instance was deleted")
	case VersionDeleted:
		outcome = Errorf(ErrCancelled, "the version was deleted")
	}
	if in.Operation != in.Attempt { // not the build's, but that of a request to delete it
		outcome = nil
	}
	if err := c.finish(in.Operation, outcome); err != nil {
		return err
	}
	if v.Status == VersionInitializing {
		return c.moveVersion(&v, VersionError, "cancelled")
	}
	v.UpdatedAt = c.now
	return c.Versions().Put(v)
}

// moveVersion gives a version a status, and its application the status that
// follows from it.
func (c *change) moveVersion(v *Version, to VersionStatus, reason string) error {
	v.Status, v.ErrorMessage, v.UpdatedAt = to, reason, c.now
	if to == VersionDeleted || to == VersionError {
		v.Published = false
	}
	c.lifecycle("version", v.ID, string(to), reason)
	if err := c.Versions().Put(*v); err != nil {
		return err
	}
	return c.followVersions(v.ApplicationID)
}

// followVersions gives an application the status and the published mark that
// follow from its versions.
func (c *change) followVersions(id string) error {
	app, err := c.Applications().Get(id)
	if err == nil && app.Prewarm > 0 {
		c.wake = append(c.wake, wakePool(id)) // another version may be the one to stand by
	}
	if err != nil || app.Status == ApplicationDeleted {
		return ignoreNotFound(err)
	}
	versions, err := c.Versions().List(VersionFilter{ApplicationID: id}, Page{})
	if err != nil {
		return err
	}
	status, published, newest := app.Status, false, -1
	for _, v := range versions {
		if v.Status == VersionDeleted {
			continue
		}
		published = published || v.Published
		if v.Number > newest {
			newest = v.Number
			status = applicationFollows[v.Status]
		}
	}
	if status == app.Status && published == app.Published {
		return nil
	}
	if status != app.Status {
		c.lifecycle("application", id, string(status), "")
	} else {
		c.lifecycle("application", id, "updated", "")
	}
	app.Status, app.Published, app.UpdatedAt = status, published, c.now
	return c.Applications().Put(app)
}

var applicationFollows = map[VersionStatus]ApplicationStatus{
	VersionInitializing: ApplicationInitializing,
	VersionActive:       ApplicationReady,
	VersionError:        ApplicationError,
}
