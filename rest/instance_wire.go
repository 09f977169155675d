package rest

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/openams/ams"
	"github.com/openams/ams/api"
)

// unix returns a time as clients know it; 0 is none.
func unix(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

// typeOf returns the type of an instance, an application or an image.
func typeOf(vm bool) string {
	if vm {
		return api.TypeVM
	}
	return api.TypeContainer
}

// publicAddresses returns where the services of each node are reached.
func (q *request) publicAddresses(ctx context.Context) (map[string]string, error) {
	nodes, _, err := q.h.m.Nodes.List(ctx, ams.NodeFilter{}, ams.Page{})
	if err != nil {
		return nil, err
	}
	at := map[string]string{}
	for _, n := range nodes {
		at[n.Name] = cmp.Or(n.PublicAddress, n.Address)
	}
	return at, nil
}

// slots returns a number of slots; not set is 0.
func slots(n *int) int {
	if n == nil {
		return 0
	}
	return *n
}

func logNames(logs []ams.LogFile) []string {
	names := []string{}
	for _, l := range logs {
		names = append(names, l.Name)
	}
	return names
}

func servicesOf(in *ams.Instance) []api.InstanceService {
	services := []api.InstanceService{}
	for _, s := range in.Services {
		services = append(services, api.InstanceService{ServiceSpec: serviceSpec(s.Service), NodePort: s.NodePort, NodePortEnd: s.NodePortEnd})
	}
	return services
}

func serviceSpec(s ams.Service) api.ServiceSpec {
	return api.ServiceSpec{Name: s.Name, Port: s.Port, PortEnd: s.PortEnd, Protocols: s.Protocols, Expose: s.Expose}
}

func services(specs []api.ServiceSpec) []ams.Service {
	var list []ams.Service
	for _, s := range specs {
		list = append(list, ams.Service{Name: s.Name, Port: s.Port, PortEnd: s.PortEnd, Protocols: s.Protocols, Expose: s.Expose})
	}
	return list
}

// instanceOf returns an instance as clients know it; at is where its node is reached.
func instanceOf(in *ams.Instance, at string) api.Instance {
	i := api.Instance{
		ID: in.ID, Name: in.Name, Base: in.Base, Type: typeOf(in.VM),
		StatusCode: api.InstanceCode(string(in.Status)), Status: string(in.Status), Node: in.Node,
		AppID: in.ApplicationID, AppName: in.ApplicationName, AppVersion: max(0, in.Version), ImageID: in.ImageID, ImageVersion: in.ImageVersion,
		CreatedAt: unix(in.CreatedAt), Address: in.Address, Services: servicesOf(in), StoredLogs: logNames(in.Logs),
		ErrorMessage: in.ErrorMessage, StatusMessage: in.StatusMessage,
		Config: api.InstanceConfig{
			Platform: in.Config.Platform, BootPackage: in.Config.BootPackage, BootActivity: in.Config.BootActivity,
			MetricsServer: in.Config.MetricsServer, DisableWatchdog: in.Config.DisableWatchdog, Features: strings.Join(in.Features, ","),
			Devmode: in.Config.Devmode, EnableStreaming: in.Config.Streaming,
			Display:  api.Display{Width: in.Config.Display.Width, Height: in.Config.Display.Height, Density: in.Config.Display.Density, FPS: in.Config.Display.FPS},
			Security: api.Security{DeleteProtected: in.DeleteProtected},
		},
		Resources: api.InstanceResources{
			CPUs: in.Resources.CPUs, Memory: int64(in.Resources.Memory), DiskSize: int64(in.Resources.DiskSize),
			GPUSlots: slots(in.Resources.GPUSlots), VPUSlots: slots(in.Resources.VPUSlots),
			GPUType: in.Resources.GPUType, NoDiskReserve: in.Resources.NoDiskReserve,
		},
		Architecture: in.Architecture, Tags: in.Tags, ExpiresAt: unix(in.Expires),
	}
	if in.Node != "" {
		i.PublicAddress = at
	}
	return i
}

// containerOf returns an instance as older clients know it.
func containerOf(in *ams.Instance, at string) api.Container {
	i := instanceOf(in, at)
	kind := "regular"
	if in.Base {
		kind = "base"
	}
	return api.Container{
		ID: i.ID, Name: i.Name, Type: kind, StatusCode: i.StatusCode, Status: i.Status, Node: i.Node,
		AppID: i.AppID, AppName: i.AppName, AppVersion: i.AppVersion, ImageID: i.ImageID, ImageVersion: i.ImageVersion,
		CreatedAt: i.CreatedAt, Address: i.Address, PublicAddress: i.PublicAddress, Services: i.Services,
		StoredLogs: i.StoredLogs, ErrorMessage: i.ErrorMessage, Architecture: i.Architecture, Tags: i.Tags,
		Config: api.ContainerConfig{
			Platform: i.Config.Platform, BootPackage: i.Config.BootPackage, BootActivity: i.Config.BootActivity,
			MetricsServer: i.Config.MetricsServer, DisableWatchdog: i.Config.DisableWatchdog, Features: i.Config.Features, Devmode: i.Config.Devmode,
		},
		Resources: api.Resources{
			CPUs: i.Resources.CPUs, Memory: in.Resources.Memory.String(), DiskSize: in.Resources.DiskSize.String(),
			GPUSlots: i.Resources.GPUSlots, VPUSlots: i.Resources.VPUSlots,
		},
	}
}

// instanceStatuses reads the filter status.
func instanceStatuses(names []string) ([]ams.InstanceStatus, error) {
	var list []ams.InstanceStatus
	for _, name := range names {
		if name != "unknown" && api.InstanceCode(name) == 0 {
			return nil, ams.Errorf(ams.ErrInvalid, "status is %.40q; it must be created, prepared, started, running, stopped, deleted, error or unknown", name)
		}
		list = append(list, ams.InstanceStatus(name))
	}
	return list, nil
}

// nonEmpty returns the pointer unless it is to an empty list.
func nonEmpty(list []string) []string {
	return slices.DeleteFunc(list, func(s string) bool { return s == "" })
}

// slotsPost returns slots asked for; -1 is not asked.
func slotsPost(n *int) *int {
	if n == nil || *n == -1 {
		return nil
	}
	return n
}

// value returns what a pointer is to, or the zero value.
func value[T any](p *T) T {
	var zero T
	if p == nil {
		return zero
	}
	return *p
}

// launchOf returns the launch that a client asks for.
func launchOf(post *api.InstancesPost) (ams.LaunchRequest, error) {
	req := ams.LaunchRequest{
		Name: post.Name, Application: post.AppID, Image: post.ImageID, Version: post.AppVersion, VM: post.Type == api.TypeVM,
		Resources: ams.Resources{
			CPUs: value(post.Resources.CPUs), Memory: ams.Size(value(post.Resources.Memory)), DiskSize: ams.Size(value(post.Resources.DiskSize)),
			GPUSlots: slotsPost(post.Resources.GPUSlots), VPUSlots: slotsPost(post.Resources.VPUSlots),
			GPUType: value(post.Resources.GPUType), NoDiskReserve: value(post.Resources.NoDiskReserve),
		},
		Node: post.Node, Tags: post.Tags, UserData: value(post.UserData), Addons: post.Addons, Services: services(post.Services),
		NoStart: post.NoStart, DeleteProtected: value(post.Config.Security.DeleteProtected), Prewarm: ams.Prewarm(post.Prewarm),
		Config: ams.InstanceConfig{
			Platform: post.Config.Platform, BootPackage: post.Config.BootPackage, BootActivity: post.Config.BootActivity,
			MetricsServer: post.Config.MetricsServer, DisableWatchdog: post.Config.DisableWatchdog, Devmode: post.Config.Devmode,
			Streaming: post.Config.EnableStreaming,
			Display: ams.Display{
				Width: post.Config.Display.Width, Height: post.Config.Display.Height, Density: post.Config.Display.Density, FPS: post.Config.Display.FPS,
			},
		},
	}
	if features := value(post.Config.Features); features != "" {
		req.Features = strings.Split(features, ",")
	}
	switch post.Type {
	case "", api.TypeContainer, api.TypeVM:
	default:
		return req, ams.Errorf(ams.ErrInvalid, "type is %.40q; it must be container or vm", post.Type)
	}
	if req.Image != "" {
		req.Version = post.ImageVersion
	}
	switch post.Source.Type {
	case "":
		if post.Source.ID != "" {
			return req, ams.Errorf(ams.ErrInvalid, "source.type is empty; it must be instance")
		}
	case api.SourceInstance:
		if post.Source.ID == "" {
			return req, ams.Errorf(ams.ErrInvalid, "source.id is empty")
		}
		req.Source, req.Version = post.Source.ID, nil
	default:
		return req, ams.Errorf(ams.ErrInvalid, "source.type is %.40q; it must be instance", post.Source.Type)
	}
	if post.MaxRunDuration != "" {
		d, err := time.ParseDuration(post.MaxRunDuration)
		if err != nil {
			return req, ams.Errorf(ams.ErrInvalid, "max_run_duration is %.40q; it must be a duration such as 2h30m", post.MaxRunDuration)
		}
		req.MaxRunDuration = d
	}
	return req, nil
}
