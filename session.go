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
	Display      sessionDisplay  `yaml:"display"`
	Streaming    bool            `yaml:"enable-streaming,omitempty"`
	Metrics      string          `yaml:"metrics-server,omitempty"`
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

type sessionDisplay struct {
	Width   int `yaml:"width"`
	Height  int `yaml:"height"`
	Density int `yaml:"density"`
	FPS     int `yaml:"fps"`
}

// sessionYAML is the session.yaml of an instance; its version may be gone.
func (m *Manager) sessionYAML(tx Tx, in *Instance, v *Version) ([]byte, error) {
	s := session{
		LogLevel: "info", Name: in.Name, InstanceType: "regular",
		Application: in.ApplicationName, VideoEncoder: EncoderSoftware,
		Tags: in.Tags, Resources: in.Resources, Features: in.Features,
		Platform: in.Config.Platform, Devmode: in.Config.Devmode, Streaming: in.Config.Streaming,
		Metrics: in.Config.MetricsServer, Display: sessionDisplay(in.Config.Display.with(in.Config.Platform)),
	}
	for _, service := range in.Services {
		s.Services = append(s.Services, service.Service)
	}
	if in.Base {
		s.InstanceType = "base"
	}
	if in.GPUEncoder {
		s.VideoEncoder = EncoderGPU
	}
	var err error
	if s.Platform == "" { // a base instance, or one of an older release
		if s.Platform, err = m.Settings.text(tx, "instance.default_platform"); err != nil {
			return nil, err
		}
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
		s.Version, s.ManifestVer, s.ABI = &v.Number, mf.Version, v.ABI
		if in.Base {
			s.Services = mf.Services
		}
		s.Watchdog = sessionWatchdog{mf.Watchdog.Disabled || in.Config.DisableWatchdog, mf.Watchdog.AllowedPackages}
		s.BootPackage, s.BootActivity = in.Boot(v)
	}
	return encodeYAML(&s)
}

// Boot is the Android package and activity that are started in the instance: what
// its request said, or else the manifest of its version, or else what the APK says
// of itself. The activity may be empty: then the package knows its own.
func (in *Instance) Boot(v *Version) (pkg, activity string) {
	mf := &v.Manifest
	pkg = cmp.Or(in.Config.BootPackage, mf.BootPackage, v.APK.Package)
	activity = in.Config.BootActivity
	if activity == "" && pkg == cmp.Or(mf.BootPackage, v.APK.Package) {
		activity = mf.BootActivity
	}
	if activity == "" && pkg == v.APK.Package {
		activity = v.APK.MainActivity
	}
	return pkg, activity
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
