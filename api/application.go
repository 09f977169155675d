package api

// Application is an application with its versions.
type Application struct {
	ID                 string               `json:"id"`
	Name               string               `json:"name"`
	StatusCode         int                  `json:"status_code"` // see ApplicationCode
	Status             string               `json:"status"`
	InstanceType       string               `json:"instance_type"`
	BootPackage        string               `json:"boot_package"`
	ParentImageID      string               `json:"parent_image_id"`
	Published          bool                 `json:"published"`
	Versions           []ApplicationVersion `json:"versions"`
	Addons             []string             `json:"addons,omitempty"`
	CreatedAt          int64                `json:"created_at"`
	Immutable          bool                 `json:"immutable"`
	Tags               []string             `json:"tags,omitempty"`
	Resources          Resources            `json:"resources"`
	ABI                string               `json:"abi,omitempty"`
	InhibitAutoUpdates bool                 `json:"inhibit_auto_updates"`
	NodeSelector       []string             `json:"node_selector,omitempty"`
	VM                 bool                 `json:"vm"`
	ParentImageVariant string               `json:"parent_image_variant"`
	Entitlements       []string             `json:"entitlements,omitempty"`
}

// ApplicationVersion is one version of an application.
type ApplicationVersion struct {
	Number              int                  `json:"number"`
	ManifestVersion     string               `json:"manifest_version"`
	ParentImageID       string               `json:"parent_image_id"`
	ParentImageVersion  int                  `json:"parent_image_version"`
	StatusCode          int                  `json:"status_code"` // see ImageCode
	Status              string               `json:"status"`
	Published           bool                 `json:"published"`
	CreatedAt           int64                `json:"created_at"`
	BootActivity        string               `json:"boot_activity,omitempty"`
	RequiredPermissions []string             `json:"required_permissions,omitempty"`
	Addons              []AddonRef           `json:"addons,omitempty"`
	ExtraData           map[string]ExtraData `json:"extra_data,omitempty"`
	ErrorMessage        string               `json:"error_message,omitempty"`
	VideoEncoder        string               `json:"video_encoder,omitempty"`
	Watchdog            Watchdog             `json:"watchdog"`
	Services            []ServiceSpec        `json:"services"`
	Features            []string             `json:"features,omitempty"`
	Hooks               Hooks                `json:"hooks"`
	Bootstrap           Bootstrap            `json:"bootstrap"`
}

// AddonRef is a version of an addon that a version was built with.
type AddonRef struct {
	Name    string `json:"name"`
	Version int    `json:"version"`
}

// ExtraData is where a file of the package goes.
type ExtraData struct {
	Target      string `json:"target"`
	Owner       string `json:"owner"`
	Permissions string `json:"permissions"`
}

// Watchdog says what the watchdog minds.
type Watchdog struct {
	Disabled        bool     `json:"disabled"`
	AllowedPackages []string `json:"allowed-packages,omitempty"`
}

// Hooks bounds the hooks.
type Hooks struct {
	Timeout string `json:"timeout,omitempty"` // "5m"
}

// Bootstrap says what of the package an instance keeps.
type Bootstrap struct {
	Keep []string `json:"keep,omitempty"`
}

// ServiceSpec is a service inside an instance.
type ServiceSpec struct {
	Port      int      `json:"port,omitempty"`
	PortEnd   int      `json:"port_end,omitempty"`
	Protocols []string `json:"protocols"`
	Expose    bool     `json:"expose"`
	Name      string   `json:"name"`
}

// Resources are what instances of an application get. Slots of -1 are not set.
type Resources struct {
	CPUs          int    `json:"cpus,omitempty"`
	Memory        string `json:"memory,omitempty"`
	DiskSize      string `json:"disk-size,omitempty"`
	GPUSlots      int    `json:"gpu-slots,omitempty"`
	GPUType       string `json:"gpu-type,omitempty"`
	VPUSlots      int    `json:"vpu-slots,omitempty"`
	NoDiskReserve bool   `json:"no_disk_reserve,omitempty"`
}

// ResourcesPatch changes resources; what is nil stays.
type ResourcesPatch struct {
	CPUs          *int    `json:"cpus,omitempty"`
	Memory        *string `json:"memory,omitempty"`
	DiskSize      *string `json:"disk-size,omitempty"`
	GPUSlots      *int    `json:"gpu-slots,omitempty"`
	GPUType       *string `json:"gpu-type,omitempty"`
	VPUSlots      *int    `json:"vpu-slots,omitempty"`
	NoDiskReserve *bool   `json:"no_disk_reserve,omitempty"`
}

// ApplicationPatch changes an application; what is nil stays, an empty list clears.
type ApplicationPatch struct {
	Image               *string         `json:"image"`
	InstanceType        *string         `json:"instance-type"`
	Tags                *[]string       `json:"tags"`
	Addons              *[]string       `json:"addons"`
	Resources           *ResourcesPatch `json:"resources,omitempty"`
	InhibitAutoUpdates  *bool           `json:"inhibit_auto_updates"`
	Services            *[]ServiceSpec  `json:"services,omitempty"`
	Watchdog            *Watchdog       `json:"watchdog"`
	BootActivity        *string         `json:"boot_activity"`
	RequiredPermissions *[]string       `json:"required_permissions"`
	VideoEncoder        *string         `json:"video_encoder,omitempty"`
	ManifestVersion     *string         `json:"manifest_version"`
	Features            *[]string       `json:"features"`
	Hooks               *Hooks          `json:"hooks,omitempty"`
	Bootstrap           *Bootstrap      `json:"bootstrap,omitempty"`
	NodeSelector        *[]string       `json:"node_selector,omitempty"`
}

// ApplicationVersionPatch publishes a version, or revokes it.
type ApplicationVersionPatch struct {
	Published *bool `json:"published"`
}

// Prewarm says how many instances of an application stand by.
type Prewarm struct {
	Wanted int `json:"wanted"`
	Ready  int `json:"ready"`
	Making int `json:"making"`
}

// PrewarmPut sets how many there are to be.
type PrewarmPut struct {
	Wanted int `json:"wanted"`
}
