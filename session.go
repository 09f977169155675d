package ams

import (
	"cmp"
	"strings"
)

// session is what session.yaml tells the software inside an instance.
type session struct {
	LogLevel     string          `yaml:"log-level"`
	Name         string          `yaml:"name"`
	InstanceType string          `yaml:"instance-type"`
	Platform     string          `yaml:"platform"`
	Devmode      bool            `yaml:"devmode"`
	Application  string          `yaml:"application,omitempty"`
	Version      *int            `yaml:"version,omitempty"`
	ManifestVer  string          `yaml:"manifest-version,omitempty"`
	BootPackage  string          `yaml:"boot-package,omitempty"`
	BootActivity string          `yaml:"boot-activity,omitempty"`
	ABI          string          `yaml:"abi,omitempty"`
	VideoEncoder VideoEncoder    `yaml:"video-encoder,omitempty"`
	Watchdog     sessionWatchdog `yaml:"watchdog"`
	Services     []Service       `yaml:"services,omitempty"`
	Features     []string        `yaml:"features,omitempty"`
	Tags         []string        `yaml:"tags,omitempty"`
	NetworkProxy string          `yaml:"network-proxy,omitempty"`
	Resources    Resources       `yaml:"resources"`
}

type sessionWatchdog struct {
	Disabled        bool     `yaml:"disabled"`
	AllowedPackages []string `yaml:"allowed-packages,omitempty"`
}

// sessionYAML is the session.yaml of an instance; its version may be gone.
func (m *Manager) sessionYAML(tx Tx, in *Instance, v *Version) ([]byte, error) {
	s := session{
		LogLevel: "info", Name: in.Name, InstanceType: "regular",
		Application: in.ApplicationName, VideoEncoder: EncoderSoftware,
		Tags: in.Tags, Resources: in.Resources,
	}
	if in.Base {
		s.InstanceType = "base"
	}
	if in.GPUEncoder {
		s.VideoEncoder = EncoderGPU
	}
	var err error
	if s.Platform, err = m.Settings.text(tx, "instance.default_platform"); err != nil {
		return nil, err
	}
	if s.NetworkProxy, err = m.Settings.text(tx, "instance.network_proxy"); err != nil {
		return nil, err
	}
	global, err := m.Settings.list(tx, "instance.features")
	if err != nil {
		return nil, err
	}
	s.Features = union(global, in.Features)
	if v != nil {
		mf := &v.Manifest
		s.Version, s.ManifestVer, s.ABI, s.Services = &v.Number, mf.Version, v.ABI, mf.Services
		s.Watchdog = sessionWatchdog{mf.Watchdog.Disabled, mf.Watchdog.AllowedPackages}
		s.BootPackage = cmp.Or(mf.BootPackage, v.APK.Package)
		s.BootActivity = mf.BootActivity
		if s.BootActivity == "" && s.BootPackage == v.APK.Package {
			s.BootActivity = v.APK.MainActivity
		}
	}
	return encodeYAML(&s)
}

// labels tell people who look at the backend what an instance is.
func (in *Instance) labels() map[string]string {
	l := map[string]string{"name": in.Name, "type": "regular"}
	if in.Base {
		l["type"] = "base"
	}
	if in.ApplicationID != "" {
		l["application"] = in.ApplicationName
		l["version"] = versionID(in.ApplicationID, in.Version)
	} else {
		l["image"] = versionID(in.ImageID, in.ImageVersion)
	}
	if tags := strings.Join(in.Tags, ","); tags != "" && len(tags) <= maxLabel {
		l["tags"] = tags
	}
	return l
}

const maxLabel = 1024 // bytes
