package api

// Container is an instance as older clients know it.
type Container struct {
	ID            string            `json:"id"`
	Name          string            `json:"name"`
	Type          string            `json:"type"`        // "regular" or "base"
	StatusCode    int               `json:"status_code"` // see InstanceCode
	Status        string            `json:"status"`
	Node          string            `json:"node"`
	AppID         string            `json:"app_id"`
	AppName       string            `json:"app_name"`
	AppVersion    int               `json:"app_version"`
	ImageID       string            `json:"image_id"`
	ImageVersion  int               `json:"image_version"`
	CreatedAt     int64             `json:"created_at"`
	Address       string            `json:"address"`
	PublicAddress string            `json:"public_address"`
	Services      []InstanceService `json:"services"`
	StoredLogs    []string          `json:"stored_logs"`
	ErrorMessage  string            `json:"error_message"`
	Config        ContainerConfig   `json:"config"`
	Resources     Resources         `json:"resources"`
	Architecture  string            `json:"architecture,omitempty"`
	Tags          []string          `json:"tags,omitempty"`
	Entitlements  []string          `json:"entitlements,omitempty"`
}

// ContainerConfig is how the software inside runs.
type ContainerConfig struct {
	Platform        string `json:"platform,omitempty"`
	BootPackage     string `json:"boot_package,omitempty"`
	BootActivity    string `json:"boot_activity,omitempty"`
	MetricsServer   string `json:"metrics_server,omitempty"`
	DisableWatchdog bool   `json:"disable_watchdog,omitempty"`
	Features        string `json:"features,omitempty"`
	Devmode         bool   `json:"devmode,omitempty"`
}

// ContainersPost launches a container. Sizes are bytes.
type ContainersPost struct {
	AppID        string          `json:"app_id"`
	AppVersion   *int            `json:"app_version"`
	ImageID      string          `json:"image_id"`
	ImageVersion *int            `json:"image_version"`
	InstanceType string          `json:"instance_type"`
	Node         string          `json:"node"`
	UserData     *string         `json:"user_data,omitempty"`
	Addons       []string        `json:"addons,omitempty"`
	Services     []ServiceSpec   `json:"services"`
	DiskSize     *int64          `json:"disk_size"`
	CPUs         *int            `json:"cpus,omitempty"`
	Memory       *int64          `json:"memory,omitempty"`
	GPUSlots     *int            `json:"gpu-slots,omitempty"`
	VPUSlots     *int            `json:"vpu-slots,omitempty"`
	Tags         []string        `json:"tags,omitempty"`
	Config       ContainerConfig `json:"config"`
	NoStart      bool            `json:"no_start,omitempty"`
}

// ContainerPatch starts or stops a container.
type ContainerPatch struct {
	DesiredStatus *string `json:"desired_status"`
}
