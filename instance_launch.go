package ams

import (
	"cmp"
	"context"
	"errors"

	"github.com/openams/ams/internal/xid"
)

// Instances is the service for instances.
type Instances struct{ m *Manager }

// launching describes the operation of a launch.
const launching = "launch instance"

// Launch makes an instance, places it on a node, and starts it. It returns when
// the request is committed; the operation ends when the instance is running (or
// prepared, with NoStart), and fails when it cannot be brought there within
// Config.BootTimeout. A failed instance stays, in status error, until deleted.
// Cancelling the operation deletes the instance.
//
// Launch is not idempotent unless a Name is given: then a second call is
// ErrExists.
//
// Errors: ErrInvalid; ErrNotFound (application, version, image, node; no
// published version); ErrState (version or image not usable); ErrExists (name);
// ErrNoCapacity, which names for each node what it lacks; see also Explain.
//
// One of the application's prewarmed instances is used if the request allows it
// and one was booted with what it asks for; see Applications.SetPrewarm. Where room is
// short, prewarmed instances go first: then the launch waits for that.
func (s *Instances) Launch(ctx context.Context, req LaunchRequest) (Operation, error) {
	m := s.m
	if err := req.check(); err != nil {
		return Operation{}, err
	}
	if _, ok := BackendAs[Copier](m.backend); !ok && req.Source != "" {
		return Operation{}, Errorf(ErrUnsupported, "the backend cannot copy instances")
	}
	opID := xid.UUID(m.now())
	err := m.update(ctx, func(c *change) error {
		in, err := c.resolveLaunch(m, &req)
		if err != nil {
			return err
		}
		in.ID = m.ids.New(c.now)
		in.Name = cmp.Or(req.Name, "ams-"+in.ID)
		in.Want, in.Attempt, in.Operation, in.Prewarm = WantRunning, opID, opID, req.Prewarm
		switch {
		case req.NoStart && req.Source != "":
			in.Want = WantStopped
		case req.NoStart:
			in.Want = WantPrepared
		}
		in.Deadline, in.CreatedAt = c.now.Add(m.cfg.BootTimeout), c.now
		if err := c.launch(m, &in, &req); err != nil {
			return err
		}
		return c.newOperation(opID, launching, true, instanceResources(&in))
	})
	if err != nil {
		return Operation{}, wrapName(err, "instance", req.Name)
	}
	return m.Operations.Get(ctx, opID)
}

// launch gives a new instance what it is made of: a prewarmed instance, or a node.
func (c *change) launch(m *Manager, in *Instance, req *LaunchRequest) error {
	if req.mayClaim() {
		claimed, err := c.claim(in, req.Node)
		if claimed || err != nil {
			return err
		}
	}
	return c.placeLaunch(m, in, req.Node)
}

// placeLaunch chooses the node in the transaction that charges it.
func (c *change) placeLaunch(m *Manager, in *Instance, node string) error {
	if node != "" {
		if _, err := c.node(node); err != nil {
			return err
		}
	}
	if err := c.move(in, InstanceCreated); err != nil {
		return err
	}
	if in.Fingerprint == "" { // the image has to be fetched first; the node is kept until then
		in.GPUEncoder = in.VideoEncoder == EncoderGPU
		d := in.demand()
		d.Node = node
		nodes, err := c.Nodes().List(NodeFilter{}, Page{})
		if err != nil {
			return err
		}
		if err := possible(nodes, &d); err != nil {
			return err
		}
		in.Node, in.StatusMessage = node, "waiting for the image"
		return c.putInstance(*in)
	}
	err := in.withEncoder(func() error {
		d := in.demand()
		d.Node = node
		d.optional = in.GPUEncoder && in.VideoEncoder == EncoderGPUPreferred
		if in.Want == WantPrepared {
			d.Charge = in.Resources.stopped()
		}
		chosen, err := c.place(m, &d)
		if err != nil {
			return err
		}
		in.Node, in.StatusMessage = chosen, ""
		return c.prepared(in)
	})
	if CodeOf(err) != ErrNoCapacity {
		return err
	}
	return c.makeRoom(in, node, err)
}

// makeRoom has a launch that nothing fits wait for prewarmed instances to go, or
// for its turn if that was asked for. Else the error is the one given.
func (c *change) makeRoom(in *Instance, node string, full error) error {
	in.GPUEncoder = in.VideoEncoder == EncoderGPU
	d := in.demand()
	d.Node = node
	reclaimed, err := c.reclaim(&d)
	was := in.StatusMessage
	switch {
	case err != nil:
		return err
	case reclaimed:
		in.StatusMessage = "waiting for prewarmed instances to make room"
	case in.Prewarm == PrewarmWait && in.Rev == 0:
		in.StatusMessage = "waiting for a node"
	default:
		return full
	}
	if in.Rev != 0 && in.StatusMessage == was {
		return nil // nothing new
	}
	in.Node = node
	return c.putInstance(*in)
}

// withEncoder decides what an instance encodes video with, for fn to charge it:
// where a GPU is preferred and fn finds no capacity with one, fn is called again
// without.
func (in *Instance) withEncoder(fn func() error) error {
	in.GPUEncoder = in.VideoEncoder == EncoderGPU || in.VideoEncoder == EncoderGPUPreferred
	err := fn()
	if in.VideoEncoder == EncoderGPUPreferred && errors.Is(err, ErrNoCapacity) {
		in.GPUEncoder = false
		err = fn()
	}
	return err
}

func instanceResources(in *Instance) map[string][]string {
	r := map[string][]string{"instance": {in.ID}}
	if in.ApplicationID != "" {
		r["application"] = []string{in.ApplicationID}
	}
	return r
}

func notFound(kind, id string) error { return &Error{Code: ErrNotFound, Kind: kind, ID: id} }

// wrapName gives an error of the store that names nothing the object it is about.
func wrapName(err error, kind, id string) error {
	var e *Error
	if errors.As(err, &e) && (e.Kind != "" || e.Code != ErrExists && e.Code != ErrNotFound) || isContext(err) {
		return err
	}
	if code := CodeOf(err); code == ErrExists || code == ErrNotFound {
		return &Error{Code: code, Kind: kind, ID: id}
	}
	return err
}
