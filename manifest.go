package ams

import "time"

// Manifest is what an application says about itself in its manifest.yaml. The
// zero value of every field but Name means that the manifest does not say.
// It is stored as JSON, under the keys of the YAML file.
type Manifest struct {
	// Name is the application's name: 3 to 255 letters, digits, '-', '_' and '.'.
	Name string `json:"name" yaml:"name"`
	// Version is a free label of at most 50 characters.
	Version string `json:"version,omitempty" yaml:"version,omitempty"`
	// InstanceType is a name from InstanceTypes. Resources has precedence over it.
	InstanceType string `json:"instance-type,omitempty" yaml:"instance-type,omitempty"`
	// Resources is what was asked for; Requirements gives what an instance gets.
	Resources Resources `json:"resources,omitzero" yaml:"resources,omitempty"`
	// Image is the name or id of the base image; empty means the default image.
	Image string `json:"image,omitempty" yaml:"image,omitempty"`
	// Addons are the names of the addons to install, in this order.
	Addons []string `json:"addons,omitempty" yaml:"addons,omitempty"`
	// Tags are labels to filter by.
	Tags []string `json:"tags,omitempty" yaml:"tags,omitempty"`
	// BootPackage is the Android package to start; empty means that of app.apk.
	BootPackage string `json:"boot-package,omitempty" yaml:"boot-package,omitempty"`
	// BootActivity is the activity to start; empty means the main activity of app.apk.
	BootActivity string `json:"boot-activity,omitempty" yaml:"boot-activity,omitempty"`
	// RequiredPermissions are the Android permissions to grant. A single "*"
	// grants all that the application requests.
	RequiredPermissions []string `json:"required-permissions,omitempty" yaml:"required-permissions,omitempty"`
	// VideoEncoder is what was asked for; Encoder gives what an instance gets.
	VideoEncoder VideoEncoder `json:"video-encoder,omitempty" yaml:"video-encoder,omitempty"`
	Watchdog     Watchdog     `json:"watchdog,omitzero" yaml:"watchdog,omitempty"`
	Services     []Service    `json:"services,omitempty" yaml:"services,omitempty"`
	// ExtraData says where to put the members of the package's extra-data folder;
	// each key is the name of a file or directory directly inside that folder.
	ExtraData map[string]ExtraData `json:"extra-data,omitempty" yaml:"extra-data,omitempty"`
	Hooks     Hooks                `json:"hooks,omitzero" yaml:"hooks,omitempty"`
	Bootstrap Bootstrap            `json:"bootstrap,omitzero" yaml:"bootstrap,omitempty"`
	// Features are feature flags handed to the instance as they are.
	Features []string `json:"features,omitempty" yaml:"features,omitempty"`
	// NodeSelector are tags that a node must all have.
	NodeSelector []string `json:"node-selector,omitempty" yaml:"node-selector,omitempty"`
	// ABI is the native ABI of app.apk. It is computed, and is in exported
	// manifests; what a package says here has no effect.
	ABI string `json:"abi,omitempty" yaml:"abi,omitempty"`
}

// Resources is what an instance needs of its node.
type Resources struct {
	// CPUs is the number of virtual CPUs, at least 1; 0 is unset.
	CPUs int `json:"cpus,omitempty" yaml:"cpus,omitempty"`
	// Memory is at least 3GB; 0 is unset.
	Memory Size `json:"memory,omitempty" yaml:"memory,omitempty"`
	// DiskSize is at least 3GB; 0 is unset.
	DiskSize Size `json:"disk-size,omitempty" yaml:"disk-size,omitempty"`
	// GPUSlots is 0 or more; nil is unset.
	GPUSlots *int `json:"gpu-slots,omitempty" yaml:"gpu-slots,omitempty"`
	// VPUSlots is 0 or more; nil is unset.
	VPUSlots *int `json:"vpu-slots,omitempty" yaml:"vpu-slots,omitempty"`
	// GPUType is "amd", "intel" or "nvidia"; empty means any.
	GPUType string `json:"gpu-type,omitempty" yaml:"gpu-type,omitempty"`
	// NoDiskReserve leaves DiskSize out of what the node has given away.
	NoDiskReserve bool `json:"no-disk-reserve,omitempty" yaml:"no-disk-reserve,omitempty"`
}

// VideoEncoder says how an instance encodes video.
type VideoEncoder string

// The video encoders.
const (
	EncoderGPU          VideoEncoder = "gpu"           // a GPU encoder slot, or no instance
	EncoderGPUPreferred VideoEncoder = "gpu-preferred" // a GPU encoder slot if one is free
	EncoderSoftware     VideoEncoder = "software"      // no encoder slot
)

// Encoder returns the encoder that an instance uses: software in a virtual
// machine, else the one in the manifest, else gpu-preferred.
func (m *Manifest) Encoder(vm bool) VideoEncoder {
	switch {
	case vm:
		return EncoderSoftware
	case m.VideoEncoder == "":
		return EncoderGPUPreferred
	}
	return m.VideoEncoder
}

// Watchdog says when an instance is stopped because another application came to
// the foreground. It is on unless disabled.
type Watchdog struct {
	Disabled bool `json:"disabled,omitempty" yaml:"disabled,omitempty"`
	// AllowedPackages may come to the foreground beside the boot package; a
	// single "*" allows all.
	AllowedPackages []string `json:"allowed-packages,omitempty" yaml:"allowed-packages,omitempty"`
}

// Service is a port, or a range of ports, that an instance offers.
type Service struct {
	// Name is optional: up to 63 letters, digits, '-', '_' and '.'.
	Name string `json:"name,omitempty" yaml:"name,omitempty"`
	// Port is from 1 to 65535.
	Port int `json:"port" yaml:"port"`
	// PortEnd is the last port of a range, not below Port; 0 means one port.
	PortEnd int `json:"port-end,omitempty" yaml:"port-end,omitempty"`
	// Protocols is "tcp", "udp" or both.
	Protocols []string `json:"protocols" yaml:"protocols"`
	// Expose offers the service on the node's public address.
	Expose bool `json:"expose,omitempty" yaml:"expose,omitempty"`
}

// ExtraData says where in Android a file or directory goes.
type ExtraData struct {
	// Target is an absolute path inside a directory of the application's package.
	Target string `json:"target" yaml:"target"`
	// Owner is "user:group", each a number or a name; empty means a default.
	Owner string `json:"owner,omitempty" yaml:"owner,omitempty"`
	// Permissions is octal, such as "0660"; empty means a default.
	Permissions string `json:"permissions,omitempty" yaml:"permissions,omitempty"`
}

// Hooks configures the hooks of an application.
type Hooks struct {
	// Timeout is how long one hook may run, such as "90s" or "5m"; at most 15m.
	// Limit gives it as a time.Duration.
	Timeout string `json:"timeout,omitempty" yaml:"timeout,omitempty"`
}

// The time that one hook may run.
const (
	DefaultHookTimeout = 5 * time.Minute
	MaxHookTimeout     = 15 * time.Minute
)

// Limit returns the time that one hook may run: DefaultHookTimeout when Timeout
// is empty, zero or not valid.
func (h Hooks) Limit() time.Duration {
	limit, fault := parseHookTimeout(h.Timeout)
	if fault != "" || limit == 0 {
		return DefaultHookTimeout
	}
	return limit
}

// Bootstrap configures what remains of a package after the bootstrap.
type Bootstrap struct {
	// Keep are patterns in the syntax of path.Match, relative to the package.
	Keep []string `json:"keep,omitempty" yaml:"keep,omitempty"`
}

// ParseManifest reads a manifest.yaml. It reports every problem at once: the
// error is ErrInvalid and its chain holds a *multierror.Error of *FieldError,
// ordered by line.
//
// A manifest is one YAML document of at most 64 KiB without aliases, anchors,
// merge keys and tags. Unknown keys, keys set twice and values of a wrong type are
// problems. What depends on the package's app.apk is left to CheckPackage.
func ParseManifest(data []byte) (*Manifest, error) {
	root, faults := decodeYAML(data)
	if err := faults.err(); err != nil {
		return nil, err
	}
	d := &manifestDecoder{faults: faults}
	m := d.manifest(root)
	m.check(faults)
	if err := faults.err(); err != nil {
		return nil, err
	}
	return m, nil
}

// Validate checks a manifest that was not read by ParseManifest, for instance
// after a change of one field. It reports all problems like ParseManifest.
func (m *Manifest) Validate() error {
	faults := newManifestFaults()
	m.check(faults)
	return faults.err()
}
