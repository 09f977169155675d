package ams

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
)

// resolveLaunch finds what is to be launched.
func (c *change) resolveLaunch(m *Manager, req *LaunchRequest) (Instance, error) {
	in := Instance{
		Version: -1, ImageVersion: -1, VM: req.VM,
		Tags: req.Tags, UserData: req.UserData, Features: req.Features,
		Config: req.Config, DeleteProtected: req.DeleteProtected, Lifetime: req.MaxRunDuration,
	}
	if err := in.Config.resolve(m, c); err != nil {
		return in, err
	}
	if req.Source != "" {
		return in, c.resolveCopy(&in, req)
	}
	if req.Application == "" {
		in.Services = servicesOf(nil, req.Services)
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
	in.Services = servicesOf(v.Manifest.Services, req.Services)
	return in, checkJoined(in.Services)
}

// resolveCopy finds what a copy has of its source.
func (c *change) resolveCopy(in *Instance, req *LaunchRequest) error {
	source, err := findInstance(c, req.Source)
	switch {
	case err != nil:
		return err
	case source.Base:
		return instanceState(&source, "is a base instance")
	case source.Status != InstanceStopped && source.Status != InstanceError || !source.Resting || !source.Made:
		return instanceState(&source, "must be stopped to be copied")
	}
	in.Source = source.ID
	in.ApplicationID, in.ApplicationName, in.Version = source.ApplicationID, source.ApplicationName, source.Version
	in.ImageID, in.ImageVersion, in.Fingerprint = source.ImageID, source.ImageVersion, source.Fingerprint
	in.Architecture, in.VM, in.NodeTags = source.Architecture, source.VM, source.NodeTags
	in.Addons, in.HasAddons = source.Addons, source.HasAddons
	preset := (&Manifest{}).Requirements(in.VM)
	var services []Service
	in.VideoEncoder = (&Manifest{}).Encoder(in.VM)
	if in.ApplicationID != "" {
		v, err := c.Versions().Get(versionID(in.ApplicationID, in.Version))
		if err != nil || v.Status == VersionDeleted {
			return cmp.Or(ignoreNotFound(err), instanceState(&source, "cannot be copied: its version was deleted"))
		}
		app, err := c.Applications().Get(in.ApplicationID)
		if err != nil {
			return err
		}
		preset, services = app.Resources, v.Manifest.Services
		in.VideoEncoder, in.Features = v.Manifest.Encoder(in.VM), union(v.Manifest.Features, req.Features)
	}
	in.Resources = overlay(preset, req.Resources)
	in.Resources.DiskSize = max(source.Resources.DiskSize, req.Resources.DiskSize)
	in.Services = servicesOf(services, req.Services)
	return checkJoined(in.Services)
}

// resolve gives what is not set the value it has from now on.
func (c *InstanceConfig) resolve(m *Manager, tx Tx) error {
	if c.Platform == "" {
		var err error
		if c.Platform, err = m.Settings.text(tx, "instance.default_platform"); err != nil {
			return err
		}
	}
	if c.Platform == "swrast" {
		c.Platform = "webrtc"
	}
	c.Display = c.Display.with(c.Platform)
	return nil
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
