package client

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/openams/ams"
	"github.com/openams/ams/api"
)

// Instances is the service for instances; see ams.Instances.
type Instances struct{ c *Client }

func fromUnix(s int64) time.Time {
	if s == 0 {
		return time.Time{}
	}
	return time.Unix(s, 0).UTC()
}

// instance returns an instance as package ams knows it.
func instance(i *api.Instance) ams.Instance {
	in := ams.Instance{
		ID: i.ID, Name: i.Name, Base: i.Base, VM: i.Type == api.TypeVM, Status: ams.InstanceStatus(i.Status), Node: i.Node,
		ApplicationID: i.AppID, ApplicationName: i.AppName, Version: i.AppVersion, ImageID: i.ImageID, ImageVersion: i.ImageVersion,
		CreatedAt: fromUnix(i.CreatedAt), Address: i.Address, ErrorMessage: i.ErrorMessage, StatusMessage: i.StatusMessage,
		Architecture: i.Architecture, Tags: i.Tags, DeleteProtected: i.Config.Security.DeleteProtected, Expires: fromUnix(i.ExpiresAt),
		Config: ams.InstanceConfig{
			Platform: i.Config.Platform, BootPackage: i.Config.BootPackage, BootActivity: i.Config.BootActivity,
			MetricsServer: i.Config.MetricsServer, DisableWatchdog: i.Config.DisableWatchdog, Devmode: i.Config.Devmode,
			Streaming: i.Config.EnableStreaming,
			Display:   ams.Display{Width: i.Config.Display.Width, Height: i.Config.Display.Height, Density: i.Config.Display.Density, FPS: i.Config.Display.FPS},
		},
		Resources: ams.Resources{
			CPUs: i.Resources.CPUs, Memory: ams.Size(i.Resources.Memory), DiskSize: ams.Size(i.Resources.DiskSize),
			GPUSlots: &i.Resources.GPUSlots, VPUSlots: &i.Resources.VPUSlots, GPUType: i.Resources.GPUType, NoDiskReserve: i.Resources.NoDiskReserve,
		},
	}
	if i.Config.Features != "" {
		in.Features = strings.Split(i.Config.Features, ",")
	}
	for _, s := range i.Services {
		in.Services = append(in.Services, ams.NodeService{Service: service(s.ServiceSpec), NodePort: s.NodePort, NodePortEnd: s.NodePortEnd})
	}
	for _, name := range i.StoredLogs {
		in.Logs = append(in.Logs, ams.LogFile{Name: name})
	}
	return in
}

func service(s api.ServiceSpec) ams.Service {
	return ams.Service{Name: s.Name, Port: s.Port, PortEnd: s.PortEnd, Protocols: s.Protocols, Expose: s.Expose}
}

func specs(services []ams.Service) []api.ServiceSpec {
	list := []api.ServiceSpec{}
	for _, s := range services {
		list = append(list, api.ServiceSpec{Name: s.Name, Port: s.Port, PortEnd: s.PortEnd, Protocols: s.Protocols, Expose: s.Expose})
	}
	return list
}

// given returns a pointer to a value that is not zero.
func given[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}

// launch returns what is sent for a launch.
func launch(req *ams.LaunchRequest) api.InstancesPost {
	post := api.InstancesPost{
		Name: req.Name, AppID: req.Application, ImageID: req.Image, Node: req.Node, UserData: given(req.UserData), Addons: req.Addons,
		Services: specs(req.Services), Tags: req.Tags, NoStart: req.NoStart, Prewarm: string(req.Prewarm),
		Resources: api.InstanceResourcesPost{
			CPUs: given(req.Resources.CPUs), Memory: given(int64(req.Resources.Memory)), DiskSize: given(int64(req.Resources.DiskSize)),
			GPUSlots: req.Resources.GPUSlots, VPUSlots: req.Resources.VPUSlots, GPUType: given(req.Resources.GPUType),
			NoDiskReserve: given(req.Resources.NoDiskReserve),
		},
		Config: api.InstanceConfigPost{
			Platform: req.Config.Platform, BootPackage: req.Config.BootPackage, BootActivity: req.Config.BootActivity,
			MetricsServer: req.Config.MetricsServer, DisableWatchdog: req.Config.DisableWatchdog, Devmode: req.Config.Devmode,
			EnableStreaming: req.Config.Streaming, Features: given(strings.Join(req.Features, ",")),
			Display: api.Display{
				Width: req.Config.Display.Width, Height: req.Config.Display.Height, Density: req.Config.Display.Density, FPS: req.Config.Display.FPS,
			},
			Security: api.SecurityPost{DeleteProtected: given(req.DeleteProtected)},
		},
	}
	if req.VM {
		post.Type = api.TypeVM
	}
	if req.Image != "" {
		post.ImageVersion = req.Version
	} else {
		post.AppVersion = req.Version
	}
	if req.Source != "" {
		post.Source = api.InstanceSource{Type: api.SourceInstance, ID: req.Source}
	}
	if req.MaxRunDuration != 0 {
		post.MaxRunDuration = req.MaxRunDuration.String()
	}
	return post
}

// Launch makes an instance; see ams.Instances.
func (s *Instances) Launch(ctx context.Context, req ams.LaunchRequest) (ams.Operation, error) {
	return s.c.begin(ctx, call{method: http.MethodPost, path: "/instances", query: url.Values{"no_wait": {"false"}}, body: launch(&req)})
}

// Explain says where a launch would go and why not elsewhere; see ams.Instances. Only
// the text of the explanation and the verdicts come back.
func (s *Instances) Explain(ctx context.Context, req ams.LaunchRequest) (api.Explanation, error) {
	var e api.Explanation
	_, err := s.c.do(ctx, call{method: http.MethodPost, path: "/instances/explain", body: launch(&req)}, &e)
	return e, err
}

// Get returns an instance, by id or name, or ErrNotFound.
func (s *Instances) Get(ctx context.Context, idOrName string) (ams.Instance, error) {
	var i api.Instance
	if _, err := s.c.get(ctx, path("instances", idOrName), nil, &i); err != nil {
		return ams.Instance{}, err
	}
	return instance(&i), nil
}

// List returns the instances that match the filter, ordered by id and so by age, cut to
// the page, and how many match in all. The fields Standby, Resting and After of the
// filter are not known to the service.
func (s *Instances) List(ctx context.Context, filter ams.InstanceFilter, page ams.Page) ([]ams.Instance, int, error) {
	v := listQuery(page)
	for name, text := range map[string]string{
		"id": filter.ID, "name": filter.Name, "app_id": filter.ApplicationID, "app_name": filter.ApplicationName,
		"image_id": filter.ImageID, "node": filter.Node, "tags": strings.Join(filter.Tags, ","),
	} {
		setText(v, name, text)
	}
	for name, n := range map[string]*int{"app_version": filter.Version, "image_version": filter.ImageVersion} {
		if n != nil {
			v.Set(name, strconv.Itoa(*n))
		}
	}
	setFlag(v, "base", filter.Base)
	setFlag(v, "vm", filter.VM)
	var statuses []string
	for _, status := range filter.Status {
		statuses = append(statuses, string(status))
	}
	setText(v, "status", strings.Join(statuses, ","))
	var shown []api.Instance
	total, err := s.c.get(ctx, "/instances", v, &shown)
	list := []ams.Instance{}
	for i := range shown {
		list = append(list, instance(&shown[i]))
	}
	return list, total, err
}

// patch changes an instance.
func (s *Instances) patch(ctx context.Context, idOrName string, p api.InstancePatch) (ams.Operation, error) {
	return s.c.begin(ctx, call{method: http.MethodPatch, path: path("instances", idOrName), query: url.Values{"no_wait": {"false"}}, body: p})
}

// Start starts an instance; see ams.Instances.
func (s *Instances) Start(ctx context.Context, idOrName string, opts ams.StartOptions) (ams.Operation, error) {
	return s.patch(ctx, idOrName, api.InstancePatch{DesiredStatus: given("running"), Force: opts.DropLogs})
}

// Stop stops an instance; see ams.Instances.
func (s *Instances) Stop(ctx context.Context, idOrName string, force bool) (ams.Operation, error) {
	return s.patch(ctx, idOrName, api.InstancePatch{DesiredStatus: given("stopped"), Force: force})
}

// Restart stops an instance and starts it again; see ams.Instances.
func (s *Instances) Restart(ctx context.Context, idOrName string, force bool) (ams.Operation, error) {
	return s.patch(ctx, idOrName, api.InstancePatch{Restart: true, Force: force})
}

// Set changes an instance; see ams.Instances. Its tags cannot be changed from here.
func (s *Instances) Set(ctx context.Context, idOrName string, p ams.InstancePatch) error {
	if p.Tags != nil {
		return ams.Errorf(ams.ErrUnsupported, "tags of an instance are set when it is launched")
	}
	return s.c.finish(ctx, call{
		method: http.MethodPatch, path: path("instances", idOrName), query: url.Values{"no_wait": {"false"}},
		body: api.InstancePatch{Config: api.InstancePatchConfig{Security: api.SecurityPost{DeleteProtected: p.DeleteProtected}}},
	})
}

// Delete deletes an instance; see ams.Instances.
func (s *Instances) Delete(ctx context.Context, idOrName string, force bool) (ams.Operation, error) {
	return s.c.begin(ctx, call{method: http.MethodDelete, path: path("instances", idOrName), body: api.Delete{Force: force}})
}

// DeleteAll deletes several instances under one operation; see ams.Instances.
func (s *Instances) DeleteAll(ctx context.Context, idsOrNames []string, force bool) ([]ams.Operation, error) {
	if len(idsOrNames) == 0 {
		return nil, nil
	}
	op, err := s.c.begin(ctx, call{method: http.MethodDelete, path: "/instances", body: api.DeleteMany{IDs: idsOrNames, Force: force}})
	if err != nil {
		return nil, err
	}
	return []ams.Operation{op}, nil
}

// Logs lists the logs of an instance, by name.
func (s *Instances) Logs(ctx context.Context, idOrName string) ([]ams.LogFile, error) {
	var paths []string
	if _, err := s.c.get(ctx, path("instances", idOrName, "logs"), nil, &paths); err != nil {
		return nil, err
	}
	list := []ams.LogFile{}
	for _, p := range paths {
		list = append(list, ams.LogFile{Name: lastElement(p)})
	}
	return list, nil
}

// OpenLog reads a log that was kept. The caller closes it.
func (s *Instances) OpenLog(ctx context.Context, idOrName, name string) (io.ReadCloser, error) {
	return s.c.open(ctx, path("instances", idOrName, "logs", name), nil)
}

// FollowLog writes what is in a log of a running instance, and then what is added, until
// ctx ends or the instance does. How much of its end comes first is up to the service.
func (s *Instances) FollowLog(ctx context.Context, idOrName, name string, _ int64, w io.Writer) error {
	log, err := s.c.open(ctx, path("instances", idOrName, "logs", name), url.Values{"follow": {"true"}})
	if err != nil {
		return err
	}
	defer log.Close() //nolint:errcheck // it is only read
	_, err = io.Copy(w, log)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// open reads a file.
func (c *Client) open(ctx context.Context, path string, query url.Values) (io.ReadCloser, error) {
	res, err := c.send(ctx, call{method: http.MethodGet, path: path, query: query})
	if err != nil {
		return nil, err
	}
	return res.Body, nil
}
