package ams

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/openams/ams/internal/xid"
)

// MaxUserData bounds the user data of an instance, in bytes.
const MaxUserData = 10 * 1024

// LaunchRequest describes an instance to be made. Set Application, or Image, or
// neither for the default image.
type LaunchRequest struct {
	// Name is 3 to 63 letters, digits or hyphens, not beginning or ending with a
	// hyphen, and unique. Empty means "ams-" and the id.
	Name string
	// Application is the id or name of the application to launch.
	Application string
	// Image is the id or name of the image to launch a raw instance from.
	Image string
	// Version is of the application or image. Nil means the latest published
	// version of the application, or the newest of the image.
	Version *int
	// VM chooses the default virtual machine image where nothing is named, and
	// must fit what is named otherwise.
	VM bool
	// Resources override, field by field, those of the application, or 2 CPUs,
	// 3GB of memory and 3GB of disk for a raw instance.
	Resources Resources
	// Node is the only node it may be placed on. Empty is any.
	Node string
	// Tags are labels to filter by.
	Tags []string
	// UserData is at most 10 KiB of text, found in /var/lib/anbox/userdata.
	UserData string
	// Addons are the names of addons to install in a raw instance, in this order.
	Addons []string
	// Features are feature flags beside those of the application.
	Features []string
	// NoStart makes the instance but does not start it: it becomes prepared.
	NoStart bool
}

// Instances is the service for instances.
type Instances struct{ m *Manager }

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
// ErrNoCapacity, which names for each node what it lacks.
func (s *Instances) Launch(ctx context.Context, req LaunchRequest) (Operation, error) {
	m := s.m
	if err := req.check(); err != nil {
		return Operation{}, err
	}
	opID := xid.UUID(m.now())
	err := m.update(ctx, func(c *change) error {
		in, err := c.resolveLaunch(&req)
		if err != nil {
			return err
		}
		in.ID = m.ids.New(c.now)
		in.Name = req.Name
		if in.Name == "" {
			in.Name = "ams-" + in.ID
		}
		in.Want, in.Attempt, in.Operation = WantRunning, opID, opID
		if req.NoStart {
			in.Want = WantPrepared
		}
		in.Deadline, in.CreatedAt = c.now.Add(m.cfg.BootTimeout), c.now
		if err := c.placeLaunch(m, &in, req.Node); err != nil {
			return err
		}
		return c.newOperation(opID, "launch instance", true, instanceResources(&in))
	})
	if err != nil {
		return Operation{}, wrapName(err, "instance", req.Name)
	}
	return m.Operations.Get(ctx, opID)
}

// placeLaunch chooses the node in the transaction that charges it.
func (c *change) placeLaunch(m *Manager, in *Instance, node string) error {
	nodes, err := c.Nodes().List(NodeFilter{}, Page{})
	if err != nil {
		return err
	}
	if node != "" && !slices.ContainsFunc(nodes, func(n Node) bool { return n.Name == node }) {
		return notFound("node", node)
	}
	strategy, err := m.Settings.text(c, "scheduler.strategy")
	if err != nil {
		return err
	}
	if err := c.move(in, InstanceCreated); err != nil {
		return err
	}
	if in.Fingerprint == "" { // the image has to be fetched first; the node is kept until then
		in.GPUEncoder = in.VideoEncoder == EncoderGPU
		d := in.demand()
		d.Node = node
		if err := possible(nodes, &d); err != nil {
			return err
		}
		in.Node, in.StatusMessage = node, "waiting for the image"
		return c.putInstance(*in)
	}
	return in.withEncoder(func() error {
		d := in.demand()
		d.Node = node
		if in.Want == WantPrepared {
			d.Charge = in.Resources.stopped()
		}
		chosen, err := place(nodes, &d, Strategy(strategy))
		if err != nil {
			return err
		}
		in.Node = chosen
		return c.prepared(in)
	})
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

// resolveLaunch finds what is to be launched.
func (c *change) resolveLaunch(req *LaunchRequest) (Instance, error) {
	in := Instance{
		Version: -1, ImageVersion: -1, VM: req.VM,
		Tags: req.Tags, UserData: req.UserData, Features: req.Features,
	}
	if req.Application == "" {
		image, v, err := c.resolveImage(req.Image, req.Version, req.VM)
		if err != nil {
			return in, err
		}
		in.ImageID, in.ImageVersion, in.VM = image.ID, v.Number, image.VM
		in.Fingerprint, in.Architecture = v.Fingerprint, image.Architecture
		in.VideoEncoder = (&Manifest{}).Encoder(in.VM)
		if in.Addons, err = c.addonsOf(req.Addons); err != nil {
			return in, err
		}
		preset := Manifest{Resources: req.Resources}
		in.Resources = preset.Requirements(image.VM)
		in.Resources.hold(v, image.VM)
		return in, nil
	}
	app, err := c.application(req.Application)
	if err != nil {
		return in, err
	}
	v, err := c.resolveVersion(&app, req.Version)
	if err != nil {
		return in, err
	}
	in.ApplicationID, in.ApplicationName, in.Version, in.VM = app.ID, app.Name, v.Number, app.VM
	in.Fingerprint, in.Architecture = v.Fingerprint, v.Architecture
	in.NodeTags = app.Manifest.NodeSelector
	in.Features = union(v.Manifest.Features, req.Features)
	in.Resources = overlay(app.Resources, req.Resources)
	in.VideoEncoder = v.Manifest.Encoder(in.VM)
	return in, nil
}

// resolveVersion finds the version to launch: the one named, or else the latest
// published one.
func (c *change) resolveVersion(app *Application, number *int) (Version, error) {
	if number != nil {
		v, err := c.Versions().Get(versionID(app.ID, *number))
		switch {
		case errors.Is(err, ErrNotFound) || err == nil && v.Status == VersionDeleted:
			return v, wrongNumber(app, *number)
		case err == nil && v.Status != VersionActive:
			return v, &Error{Code: ErrState, Kind: "application", ID: app.Name, Err: fmt.Errorf("version %d is not ready (status: %s)", *number, v.Status)}
		}
		return v, err
	}
	yes := true
	published, err := c.Versions().List(VersionFilter{ApplicationID: app.ID, Published: &yes, Status: []VersionStatus{VersionActive}}, Page{})
	if err != nil {
		return Version{}, err
	}
	if len(published) == 0 {
		return Version{}, &Error{Code: ErrNotFound, Kind: "application", ID: app.Name, Err: errors.New("published application version not found")}
	}
	return slices.MaxFunc(published, func(a, b Version) int { return a.Number - b.Number }), nil
}

// overlay is base with every field that is set in over taken from there.
func overlay(base, over Resources) Resources {
	if over.CPUs != 0 {
		base.CPUs = over.CPUs
	}
	if over.Memory != 0 {
		base.Memory = over.Memory
	}
	if over.DiskSize != 0 {
		base.DiskSize = over.DiskSize
	}
	if over.GPUSlots != nil {
		base.GPUSlots = over.GPUSlots
	}
	if over.VPUSlots != nil {
		base.VPUSlots = over.VPUSlots
	}
	if over.GPUType != "" {
		base.GPUType = over.GPUType
	}
	base.NoDiskReserve = base.NoDiskReserve || over.NoDiskReserve
	return base
}

// union is a and those of b that are not in it, in order.
func union(a, b []string) []string {
	out := slices.Clone(a)
	for _, s := range b {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// check finds what is wrong with the request by itself.
func (r *LaunchRequest) check() error {
	switch {
	case r.Name != "" && !validHostname(r.Name):
		return Errorf(ErrInvalid, "name %s is not allowed: must be 3-63 letters, digits or hyphens, without a hyphen at either end", quote(r.Name))
	case r.Application != "" && r.Image != "":
		return Errorf(ErrInvalid, "set either application or image, not both")
	case r.Application != "" && len(r.Addons) > 0:
		return Errorf(ErrInvalid, "addons are for raw instances; those of an application are in its versions")
	case len(r.UserData) > MaxUserData:
		return Errorf(ErrInvalid, "user data is %d bytes (maximum %d)", len(r.UserData), MaxUserData)
	case !utf8.ValidString(r.UserData):
		return Errorf(ErrInvalid, "user data is not text: encode binary data as base64")
	case r.Version != nil && *r.Version < 0:
		return Errorf(ErrInvalid, "version %d is invalid: must be 0 or more", *r.Version)
	}
	faults := newManifestFaults()
	faults.each("tags", "tag", r.Tags, func(at, tag string) { faults.tag(at, "tag", tag) })
	faults.each("features", "feature", r.Features, faults.feature)
	r.Resources.check(faults)
	return faults.err()
}

// validHostname reports whether s can be an instance's name.
func validHostname(s string) bool {
	if len(s) < 3 || len(s) > 63 || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for _, c := range []byte(s) {
		if c != '-' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return false
		}
	}
	return true
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
