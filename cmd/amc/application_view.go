package main

import (
	"fmt"

	"github.com/openams/ams"
)

// applicationView is an application as show prints it.
type applicationView struct {
	ID                 string              `json:"id" yaml:"id"`
	Name               string              `json:"name" yaml:"name"`
	CreatedAt          string              `json:"created-at" yaml:"created-at"`
	Status             string              `json:"status" yaml:"status"`
	Published          bool                `json:"published" yaml:"published"`
	Immutable          bool                `json:"immutable" yaml:"immutable"`
	InhibitAutoUpdates bool                `json:"inhibit-auto-updates" yaml:"inhibit-auto-updates"`
	Tags               []string            `json:"tags" yaml:"tags"`
	Addons             []string            `json:"addons" yaml:"addons"`
	NodeSelector       []string            `json:"node-selector" yaml:"node-selector"`
	ParentImage        string              `json:"parent-image" yaml:"parent-image"`
	ParentImageVariant string              `json:"parent-image-variant,omitempty" yaml:"parent-image-variant,omitempty"`
	ABI                string              `json:"abi,omitempty" yaml:"abi,omitempty"`
	VM                 bool                `json:"vm" yaml:"vm"`
	Config             map[string]string   `json:"config" yaml:"config"`
	Versions           map[int]versionView `json:"versions" yaml:"versions"`
	Resources          resourcesView       `json:"resources" yaml:"resources"`
}

type resourcesView struct {
	CPUs          int    `json:"cpus" yaml:"cpus"`
	Memory        string `json:"memory" yaml:"memory"`
	DiskSize      string `json:"disk-size" yaml:"disk-size"`
	GPUSlots      *int   `json:"gpu-slots,omitempty" yaml:"gpu-slots,omitempty"`
	VPUSlots      *int   `json:"vpu-slots,omitempty" yaml:"vpu-slots,omitempty"`
	NoDiskReserve bool   `json:"no-disk-reserve,omitempty" yaml:"no-disk-reserve,omitempty"`
}

type versionView struct {
	Image               string                   `json:"image" yaml:"image"`
	ManifestVersion     string                   `json:"manifest-version,omitempty" yaml:"manifest-version,omitempty"`
	Published           bool                     `json:"published" yaml:"published"`
	Status              string                   `json:"status" yaml:"status"`
	ErrorMessage        string                   `json:"error-message,omitempty" yaml:"error-message,omitempty"`
	Addons              []string                 `json:"addons" yaml:"addons"`
	BootActivity        string                   `json:"boot-activity,omitempty" yaml:"boot-activity,omitempty"`
	RequiredPermissions []string                 `json:"required-permissions,omitempty" yaml:"required-permissions,omitempty"`
	ExtraData           map[string]ams.ExtraData `json:"extra-data,omitempty" yaml:"extra-data,omitempty"`
	VideoEncoder        string                   `json:"video-encoder,omitempty" yaml:"video-encoder,omitempty"`
	Watchdog            ams.Watchdog             `json:"watchdog" yaml:"watchdog"`
	Services            []serviceView            `json:"services" yaml:"services"`
	Features            []string                 `json:"features,omitempty" yaml:"features,omitempty"`
}

func viewApplication(a *ams.Application, versions []ams.Version, images []ams.Image) applicationView {
	named := func(id string) string {
		for _, i := range images {
			if i.ID == id {
				return i.Name
			}
		}
		return id
	}
	v := applicationView{
		ID: a.ID, Name: a.Name, CreatedAt: when(a.CreatedAt), Status: string(a.Status), Published: a.Published, Immutable: a.Immutable,
		InhibitAutoUpdates: a.InhibitAutoUpdates, Tags: notNil(a.Manifest.Tags), Addons: notNil(a.Manifest.Addons), NodeSelector: notNil(a.Manifest.NodeSelector),
		ParentImage: named(a.Image), ABI: a.ABI, VM: a.VM,
		Config:   map[string]string{"instance-type": a.Manifest.InstanceType, "boot-package": a.BootPackage},
		Versions: map[int]versionView{},
		Resources: resourcesView{
			a.Resources.CPUs, a.Resources.Memory.String(), a.Resources.DiskSize.String(), a.Resources.GPUSlots, a.Resources.VPUSlots, a.Resources.NoDiskReserve,
		},
	}
	for _, i := range images {
		if i.ID == a.Image {
			v.ParentImageVariant = i.Variant
		}
	}
	for _, n := range versions {
		w := versionView{
			Image: fmt.Sprintf("%s (version %d)", named(n.ImageID), n.ImageVersion), ManifestVersion: n.Manifest.Version, Published: n.Published,
			Status: string(n.Status), ErrorMessage: n.ErrorMessage, Addons: []string{}, BootActivity: n.Manifest.BootActivity,
			RequiredPermissions: n.Manifest.RequiredPermissions, ExtraData: n.Manifest.ExtraData, VideoEncoder: string(n.Manifest.VideoEncoder),
			Watchdog: n.Manifest.Watchdog, Services: []serviceView{}, Features: n.Manifest.Features,
		}
		for _, use := range n.Addons {
			w.Addons = append(w.Addons, fmt.Sprintf("%s (version %d)", use.Name, use.Version))
		}
		for _, s := range n.Manifest.Services {
			w.Services = append(w.Services, serviceView{Name: s.Name, Port: s.Port, PortEnd: s.PortEnd, Protocols: s.Protocols, Expose: s.Expose})
		}
		v.Versions[n.Number] = w
	}
	return v
}
