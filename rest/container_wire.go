package rest

import (
	"github.com/openams/ams"
	"github.com/openams/ams/api"
)

// launchOfContainer returns the launch that an older client asks for.
func launchOfContainer(post *api.ContainersPost) (ams.LaunchRequest, error) {
	features := post.Config.Features
	next := api.InstancesPost{
		AppID: post.AppID, AppVersion: post.AppVersion, ImageID: post.ImageID, ImageVersion: post.ImageVersion,
		Node: post.Node, UserData: post.UserData, Addons: post.Addons, Services: post.Services, Tags: post.Tags, NoStart: post.NoStart,
		Resources: api.InstanceResourcesPost{CPUs: post.CPUs, Memory: post.Memory, DiskSize: post.DiskSize, GPUSlots: post.GPUSlots, VPUSlots: post.VPUSlots},
		Config: api.InstanceConfigPost{
			Platform: post.Config.Platform, BootPackage: post.Config.BootPackage, BootActivity: post.Config.BootActivity,
			MetricsServer: post.Config.MetricsServer, DisableWatchdog: post.Config.DisableWatchdog, Devmode: post.Config.Devmode, Features: &features,
		},
	}
	if post.InstanceType == "" {
		return launchOf(&next)
	}
	kind, ok := ams.LookupInstanceType(post.InstanceType)
	if !ok {
		return ams.LaunchRequest{}, ams.Errorf(ams.ErrInvalid, "instance_type is %.40q; there is none of that name", post.InstanceType)
	}
	req, err := launchOf(&next)
	if err != nil {
		return req, err
	}
	if post.AppID != "" {
		return req, ams.Errorf(ams.ErrInvalid, "instance_type is for images; the resources of an application are its own")
	}
	if req.Resources.CPUs == 0 {
		req.Resources.CPUs = kind.CPUs
	}
	if req.Resources.Memory == 0 {
		req.Resources.Memory = kind.Memory
	}
	if req.Resources.DiskSize == 0 {
		req.Resources.DiskSize = kind.DiskSize
	}
	if req.Resources.GPUSlots == nil {
		req.Resources.GPUSlots = &kind.GPUSlots
	}
	return req, nil
}
