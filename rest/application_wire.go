package rest

import (
	"github.com/openams/ams"
	"github.com/openams/ams/api"
)

// applicationOf returns an application as clients know it.
func applicationOf(a *ams.Application, versions []ams.Version, variant string) api.Application {
	m := &a.Manifest
	out := api.Application{
		ID: a.ID, Name: a.Name, StatusCode: api.ApplicationCode(string(a.Status)), Status: string(a.Status),
		InstanceType: m.InstanceType, BootPackage: a.BootPackage, ParentImageID: a.Image, Published: a.Published,
		Addons: m.Addons, CreatedAt: unix(a.CreatedAt), Immutable: a.Immutable, Tags: m.Tags, ABI: a.ABI,
		InhibitAutoUpdates: a.InhibitAutoUpdates, NodeSelector: m.NodeSelector, VM: a.VM, ParentImageVariant: variant,
		Resources: api.Resources{
			CPUs: a.Resources.CPUs, Memory: a.Resources.Memory.String(), DiskSize: a.Resources.DiskSize.String(),
			GPUSlots: unsetSlots(a.Resources.GPUSlots), VPUSlots: unsetSlots(a.Resources.VPUSlots),
			GPUType: a.Resources.GPUType, NoDiskReserve: a.Resources.NoDiskReserve,
		},
		Versions: []api.ApplicationVersion{},
	}
	for i := range versions {
		out.Versions = append(out.Versions, versionOf(&versions[i]))
	}
	return out
}

// unsetSlots returns a number of slots; not set is -1.
func unsetSlots(n *int) int {
	if n == nil {
		return -1
	}
	return *n
}

// versionOf returns a version as clients know it.
func versionOf(v *ams.Version) api.ApplicationVersion {
	m := &v.Manifest
	out := api.ApplicationVersion{
		Number: v.Number, ManifestVersion: m.Version, ParentImageID: v.ImageID, ParentImageVersion: v.ImageVersion,
		StatusCode: api.ImageCode(string(v.Status)), Status: string(v.Status), Published: v.Published, CreatedAt: unix(v.CreatedAt),
		BootActivity: m.BootActivity, RequiredPermissions: m.RequiredPermissions, ErrorMessage: v.ErrorMessage,
		VideoEncoder: string(m.VideoEncoder), Watchdog: api.Watchdog{Disabled: m.Watchdog.Disabled, AllowedPackages: m.Watchdog.AllowedPackages},
		Services: []api.ServiceSpec{}, Features: m.Features, Hooks: api.Hooks{Timeout: m.Hooks.Timeout}, Bootstrap: api.Bootstrap{Keep: m.Bootstrap.Keep},
	}
	for _, s := range m.Services {
		out.Services = append(out.Services, serviceSpec(s))
	}
	for _, a := range v.Addons {
		out.Addons = append(out.Addons, api.AddonRef{Name: a.Name, Version: a.Version})
	}
	for name, d := range m.ExtraData {
		if out.ExtraData == nil {
			out.ExtraData = map[string]api.ExtraData{}
		}
		out.ExtraData[name] = api.ExtraData{Target: d.Target, Owner: d.Owner, Permissions: d.Permissions}
	}
	return out
}

// list returns the list a pointer is to, not nil where it is given.
func list(p *[]string) []string {
	if p == nil {
		return nil
	}
	return append([]string{}, *p...)
}

// patchOf returns the change of an application that a client asks for.
func patchOf(p *api.ApplicationPatch) (ams.ApplicationPatch, error) {
	out := ams.ApplicationPatch{
		InstanceType: p.InstanceType, Tags: list(p.Tags), NodeSelector: list(p.NodeSelector), InhibitAutoUpdates: p.InhibitAutoUpdates,
		Image: p.Image, Addons: list(p.Addons), Version: p.ManifestVersion, BootActivity: p.BootActivity,
		RequiredPermissions: list(p.RequiredPermissions), Features: list(p.Features),
	}
	if p.VideoEncoder != nil {
		e := ams.VideoEncoder(*p.VideoEncoder)
		out.VideoEncoder = &e
	}
	if p.Watchdog != nil {
		out.Watchdog = &ams.Watchdog{Disabled: p.Watchdog.Disabled, AllowedPackages: p.Watchdog.AllowedPackages}
	}
	if p.Services != nil {
		out.Services = append([]ams.Service{}, services(*p.Services)...)
	}
	if p.Hooks != nil {
		out.Hooks = &ams.Hooks{Timeout: p.Hooks.Timeout}
	}
	if p.Bootstrap != nil {
		out.Bootstrap = &ams.Bootstrap{Keep: p.Bootstrap.Keep}
	}
	r := p.Resources
	if r == nil {
		return out, nil
	}
	out.Resources = ams.ResourcesPatch{CPUs: r.CPUs, GPUSlots: r.GPUSlots, VPUSlots: r.VPUSlots, GPUType: r.GPUType, NoDiskReserve: r.NoDiskReserve}
	for _, s := range []struct {
		name string
		from *string
		to   **ams.Size
	}{{"resources.memory", r.Memory, &out.Resources.Memory}, {"resources.disk-size", r.DiskSize, &out.Resources.DiskSize}} {
		if s.from == nil {
			continue
		}
		size, err := ams.ParseSize(*s.from)
		if err != nil {
			return out, ams.Errorf(ams.ErrInvalid, "%s: %w", s.name, err)
		}
		*s.to = &size
	}
	return out, nil
}
