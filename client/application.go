package client

import (
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/openams/ams"
	"github.com/openams/ams/api"
)

// Applications is the service for applications; see ams.Applications.
type Applications struct{ c *Client }

// size reads a size that the service wrote.
func size(s string) ams.Size {
	n, err := ams.ParseSize(s)
	if err != nil {
		return 0
	}
	return n
}

// slots reads a number of slots; -1 is not set.
func slots(n int) *int {
	if n < 0 {
		return nil
	}
	return &n
}

// application returns an application as package ams knows it.
func application(a *api.Application) ams.Application {
	out := ams.Application{
		ID: a.ID, Name: a.Name, Status: ams.ApplicationStatus(a.Status), Published: a.Published, VM: a.VM, BootPackage: a.BootPackage,
		ABI: a.ABI, Image: a.ParentImageID, Immutable: a.Immutable, InhibitAutoUpdates: a.InhibitAutoUpdates, CreatedAt: fromUnix(a.CreatedAt),
		Resources: ams.Resources{
			CPUs: a.Resources.CPUs, Memory: size(a.Resources.Memory), DiskSize: size(a.Resources.DiskSize), GPUSlots: slots(a.Resources.GPUSlots),
			VPUSlots: slots(a.Resources.VPUSlots), GPUType: a.Resources.GPUType, NoDiskReserve: a.Resources.NoDiskReserve,
		},
		Manifest: ams.Manifest{Name: a.Name, InstanceType: a.InstanceType, Addons: a.Addons, Tags: a.Tags, NodeSelector: a.NodeSelector},
	}
	for _, v := range a.Versions {
		out.NextVersion = max(out.NextVersion, v.Number+1)
	}
	return out
}

func version(app string, v *api.ApplicationVersion) ams.Version {
	out := ams.Version{
		ID: app + "-" + strconv.Itoa(v.Number), ApplicationID: app, Number: v.Number, Status: ams.VersionStatus(v.Status), Published: v.Published,
		ErrorMessage: v.ErrorMessage, ImageID: v.ParentImageID, ImageVersion: v.ParentImageVersion, CreatedAt: fromUnix(v.CreatedAt),
		Manifest: ams.Manifest{
			Version: v.ManifestVersion, BootActivity: v.BootActivity, RequiredPermissions: v.RequiredPermissions, VideoEncoder: ams.VideoEncoder(v.VideoEncoder),
			Watchdog: ams.Watchdog{Disabled: v.Watchdog.Disabled, AllowedPackages: v.Watchdog.AllowedPackages}, Features: v.Features,
			Hooks: ams.Hooks{Timeout: v.Hooks.Timeout}, Bootstrap: ams.Bootstrap{Keep: v.Bootstrap.Keep},
		},
	}
	for _, s := range v.Services {
		out.Manifest.Services = append(out.Manifest.Services, service(s))
	}
	for _, a := range v.Addons {
		out.Addons = append(out.Addons, ams.AddonUse{Name: a.Name, Version: a.Version})
	}
	for name, d := range v.ExtraData {
		if out.Manifest.ExtraData == nil {
			out.Manifest.ExtraData = map[string]ams.ExtraData{}
		}
		out.Manifest.ExtraData[name] = ams.ExtraData{Target: d.Target, Owner: d.Owner, Permissions: d.Permissions}
	}
	return out
}

// Create makes an application from a package; see ams.Applications.
func (s *Applications) Create(ctx context.Context, pkg io.Reader, opts ams.CreateOptions) (ams.Operation, error) {
	return s.c.begin(ctx, call{
		method: http.MethodPost, path: "/applications", query: url.Values{"vm": {strconv.FormatBool(opts.VM)}}, file: pkg, digest: opts.Digest,
	})
}

// Update makes a new version from a package; see ams.Applications.
func (s *Applications) Update(ctx context.Context, idOrName string, pkg io.Reader, opts ams.CreateOptions) (ams.Operation, error) {
	return s.c.begin(ctx, call{method: http.MethodPatch, path: path("applications", idOrName), file: pkg, digest: opts.Digest})
}

// Refresh makes a new version if there are newer images or addons; see ams.Applications.
func (s *Applications) Refresh(ctx context.Context, idOrName string) (ams.Operation, error) {
	return s.c.begin(ctx, call{method: http.MethodPatch, path: path("applications", idOrName)})
}

// Set changes an application; see ams.Applications.
func (s *Applications) Set(ctx context.Context, idOrName string, p ams.ApplicationPatch) (ams.Operation, error) {
	patch := api.ApplicationPatch{
		Image: p.Image, InstanceType: p.InstanceType, Tags: listPointer(p.Tags), Addons: listPointer(p.Addons), InhibitAutoUpdates: p.InhibitAutoUpdates,
		BootActivity: p.BootActivity, RequiredPermissions: listPointer(p.RequiredPermissions), ManifestVersion: p.Version, Features: listPointer(p.Features),
		NodeSelector: listPointer(p.NodeSelector),
	}
	if p.VideoEncoder != nil {
		patch.VideoEncoder = given(string(*p.VideoEncoder))
	}
	if p.Watchdog != nil {
		patch.Watchdog = &api.Watchdog{Disabled: p.Watchdog.Disabled, AllowedPackages: p.Watchdog.AllowedPackages}
	}
	if p.Services != nil {
		list := specs(p.Services)
		patch.Services = &list
	}
	if p.Hooks != nil {
		patch.Hooks = &api.Hooks{Timeout: p.Hooks.Timeout}
	}
	if p.Bootstrap != nil {
		patch.Bootstrap = &api.Bootstrap{Keep: p.Bootstrap.Keep}
	}
	r := p.Resources
	if r != (ams.ResourcesPatch{}) {
		patch.Resources = &api.ResourcesPatch{CPUs: r.CPUs, GPUSlots: r.GPUSlots, VPUSlots: r.VPUSlots, GPUType: r.GPUType, NoDiskReserve: r.NoDiskReserve}
		if r.Memory != nil {
			patch.Resources.Memory = given(r.Memory.String())
		}
		if r.DiskSize != nil {
			patch.Resources.DiskSize = given(r.DiskSize.String())
		}
	}
	return s.c.begin(ctx, call{method: http.MethodPatch, path: path("applications", idOrName), body: patch})
}

// listPointer returns a list as a change of it is sent: nil is no change.
func listPointer(list []string) *[]string {
	if list == nil {
		return nil
	}
	return &list
}

// show reads an application with its versions.
func (s *Applications) show(ctx context.Context, idOrName string) (api.Application, error) {
	var a api.Application
	_, err := s.c.get(ctx, path("applications", idOrName), nil, &a)
	return a, err
}

// Get returns an application, by id or name, or ErrNotFound.
func (s *Applications) Get(ctx context.Context, idOrName string) (ams.Application, error) {
	a, err := s.show(ctx, idOrName)
	if err != nil {
		return ams.Application{}, err
	}
	return application(&a), nil
}

// List returns the applications that match the filter in order of id, cut to the page,
// and how many match in all.
func (s *Applications) List(ctx context.Context, filter ams.ApplicationFilter, page ams.Page) ([]ams.Application, int, error) {
	v := listQuery(page)
	for name, text := range map[string]string{
		"id": filter.ID, "name": filter.Name, "instance_type": filter.InstanceType, "boot_package": filter.BootPackage, "abi": filter.ABI,
		"tags": strings.Join(filter.Tags, ","), "addons": strings.Join(filter.Addons, ","),
	} {
		setText(v, name, text)
	}
	var statuses []string
	for _, status := range filter.Status {
		statuses = append(statuses, string(status))
	}
	setText(v, "status", strings.Join(statuses, ","))
	setFlag(v, "published", filter.Published)
	setFlag(v, "immutable", filter.Immutable)
	setFlag(v, "vm", filter.VM)
	var shown []api.Application
	total, err := s.c.get(ctx, "/applications", v, &shown)
	list := []ams.Application{}
	for i := range shown {
		if filter.Image == "" || shown[i].ParentImageID == filter.Image {
			list = append(list, application(&shown[i]))
		}
	}
	if filter.Image != "" {
		total = len(list)
	}
	return list, total, err
}

// Versions returns the versions of an application in order of number.
func (s *Applications) Versions(ctx context.Context, idOrName string) ([]ams.Version, error) {
	a, err := s.show(ctx, idOrName)
	list := []ams.Version{}
	for i := range a.Versions {
		list = append(list, version(a.ID, &a.Versions[i]))
	}
	return list, err
}

// Version returns a version of an application, or ErrNotFound.
func (s *Applications) Version(ctx context.Context, idOrName string, number int) (ams.Version, error) {
	versions, err := s.Versions(ctx, idOrName)
	if err != nil {
		return ams.Version{}, err
	}
	for _, v := range versions {
		if v.Number == number {
			return v, nil
		}
	}
	return ams.Version{}, &ams.Error{Code: ams.ErrNotFound, Kind: "application", ID: idOrName, Err: errors.New("has no version " + strconv.Itoa(number))}
}

func (s *Applications) publish(ctx context.Context, idOrName string, number int, published bool) error {
	return s.c.finish(ctx, call{
		method: http.MethodPatch, path: path("applications", idOrName, strconv.Itoa(number)), body: api.ApplicationVersionPatch{Published: &published},
	})
}

// Publish has a version launched where none is named; see ams.Applications.
func (s *Applications) Publish(ctx context.Context, idOrName string, number int) error {
	return s.publish(ctx, idOrName, number, true)
}

// Revoke undoes Publish; see ams.Applications.
func (s *Applications) Revoke(ctx context.Context, idOrName string, number int) error {
	return s.publish(ctx, idOrName, number, false)
}

// Delete deletes an application; see ams.Applications.
func (s *Applications) Delete(ctx context.Context, idOrName string, force bool) (ams.Operation, error) {
	return s.c.begin(ctx, call{method: http.MethodDelete, path: path("applications", idOrName), body: api.Delete{Force: force}})
}

// DeleteAll deletes several applications under one operation; see ams.Applications.
func (s *Applications) DeleteAll(ctx context.Context, idsOrNames []string, force bool) ([]ams.Operation, error) {
	if len(idsOrNames) == 0 {
		return nil, nil
	}
	op, err := s.c.begin(ctx, call{method: http.MethodDelete, path: "/applications", body: api.DeleteMany{IDs: idsOrNames, Force: force}})
	if err != nil {
		return nil, err
	}
	return []ams.Operation{op}, nil
}

// DeleteVersion deletes a version; see ams.Applications.
func (s *Applications) DeleteVersion(ctx context.Context, idOrName string, number int) (ams.Operation, error) {
	return s.c.begin(ctx, call{method: http.MethodDelete, path: path("applications", idOrName, strconv.Itoa(number)), body: api.Delete{}})
}

// Export reads the image of a version. The caller closes it.
func (s *Applications) Export(ctx context.Context, idOrName string, number int) (*ams.ImageExport, error) {
	res, err := s.c.send(ctx, call{method: http.MethodGet, path: path("applications", idOrName, strconv.Itoa(number))}) //nolint:bodyclose // the caller closes it
	if err != nil {
		return nil, err
	}
	_, params, err := mime.ParseMediaType(res.Header.Get("Content-Disposition"))
	if err != nil {
		params = map[string]string{"filename": idOrName + ".tar"}
	}
	return &ams.ImageExport{ReadCloser: res.Body, Name: params["filename"], Size: res.ContentLength, Digest: res.Header.Get("X-AMS-Fingerprint")}, nil
}

// ManifestYAML returns the manifest of a version, and its SHA-256.
func (s *Applications) ManifestYAML(ctx context.Context, idOrName string, number int) (data []byte, digest string, err error) {
	res, err := s.c.send(ctx, call{method: http.MethodGet, path: path("applications", idOrName, strconv.Itoa(number), "manifest")})
	if err != nil {
		return nil, "", err
	}
	defer res.Body.Close() //nolint:errcheck // it is only read
	data, err = io.ReadAll(io.LimitReader(res.Body, 16<<20))
	return data, res.Header.Get("X-AMS-ManifestSha256"), err
}

// Prewarmed counts the instances that stand by; see ams.Applications.
func (s *Applications) Prewarmed(ctx context.Context, idOrName string) (ams.Prewarmed, error) {
	var p api.Prewarm
	_, err := s.c.get(ctx, path("applications", idOrName, "prewarm"), nil, &p)
	return ams.Prewarmed{Want: p.Wanted, Ready: p.Ready, Begun: p.Making}, err
}

// SetPrewarm has so many instances stand by; see ams.Applications.
func (s *Applications) SetPrewarm(ctx context.Context, idOrName string, n int) error {
	return s.c.finish(ctx, call{method: http.MethodPut, path: path("applications", idOrName, "prewarm"), body: api.PrewarmPut{Wanted: n}})
}
