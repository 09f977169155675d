package api

// The types of an instance.
const (
	TypeContainer = "container"
	TypeVM        = "vm"
)

// Instance is an instance.
type Instance struct {
	ID            string            `json:"id"`
	Name          string            `json:"name"`
	Base          bool              `json:"base"` // a version or an image is made of it
	Type          string            `json:"type"`
	StatusCode    int               `json:"status_code"` // see InstanceCode
	Status        string            `json:"status"`
	Node          string            `json:"node"`
	AppID         string            `json:"app_id"`
	AppName       string            `json:"app_name"`
	AppVersion    int               `json:"app_version"`
	ImageID       string            `json:"image_id"`
	ImageVersion  int               `json:"image_version"`
	ImageName     string            `json:"image_name,omitempty"`
	CreatedAt     int64             `json:"created_at"`
	Address       string            `json:"address"`
	PublicAddress string            `json:"public_address"`
	Services      []InstanceService `json:"services"`
	StoredLogs    []string          `json:"stored_logs"` // names
	ErrorMessage  string            `json:"error_message"`
	StatusMessage string            `json:"status_message"`
	Config        InstanceConfig    `json:"config"`
	Resources     InstanceResources `json:"resources"`
	Architecture  string            `json:"architecture,omitempty"`
	Tags          []string          `json:"tags,omitempty"`
	Entitlements  []string          `json:"entitlements,omitempty"`
	// ExpiresAt is when it is deleted of itself; absent is never.
	ExpiresAt int64 `json:"expires_at,omitempty"`
}

// InstanceService is a service of an instance, and where its node serves it.
type InstanceService struct {
	ServiceSpec
	NodePort    int `json:"node_port,omitempty"`
	NodePortEnd int `json:"node_port_end,omitempty"`
}

// InstanceConfig is how the software inside runs.
type InstanceConfig struct {
	Platform        string   `json:"platform,omitempty"`
	BootPackage     string   `json:"boot_package,omitempty"`
	BootActivity    string   `json:"boot_activity,omitempty"`
	MetricsServer   string   `json:"metrics_server,omitempty"`
	DisableWatchdog bool     `json:"disable_watchdog,omitempty"`
	Features        string   `json:"features,omitempty"` // a comma between each
	Devmode         bool     `json:"devmode,omitempty"`
	EnableStreaming bool     `json:"enable_streaming,omitempty"`
	Display         Display  `json:"display"`
	Security        Security `json:"security"`
}

// Display is the screen; what is 0 is the default.
type Display struct {
	Width   int `json:"width"`
	Height  int `json:"height"`
	FPS     int `json:"fps"`
	Density int `json:"density"`
}

// Security guards an instance.
type Security struct {
	DeleteProtected bool `json:"delete_protected"`
}

// InstanceResources are what an instance has; sizes are bytes. Slots of -1 are not
// set.
type InstanceResources struct {
	CPUs          int    `json:"cpus,omitempty"`
	Memory        int64  `json:"memory,omitempty"`
	DiskSize      int64  `json:"disk-size,omitempty"`
	GPUSlots      int    `json:"gpu-slots,omitempty"`
	GPUType       string `json:"gpu-type,omitempty"`
	VPUSlots      int    `json:"vpu-slots,omitempty"`
	NoDiskReserve bool   `json:"no_disk_reserve,omitempty"`
}

// InstancesPost launches an instance: of an application, of an image, or as a copy.
type InstancesPost struct {
	Name         string                `json:"name,omitempty"`
	Type         string                `json:"type"`
	AppID        string                `json:"app_id"`
	AppVersion   *int                  `json:"app_version"`
	ImageID      string                `json:"image_id"`
	ImageVersion *int                  `json:"image_version"`
	Node         string                `json:"node"`
	UserData     *string               `json:"user_data,omitempty"`
	Addons       []string              `json:"addons,omitempty"`
	Services     []ServiceSpec         `json:"services"`
	Resources    InstanceResourcesPost `json:"resources"`
	Tags         []string              `json:"tags,omitempty"`
	Config       InstanceConfigPost    `json:"config"`
	NoStart      bool                  `json:"no_start,omitempty"`
	Source       InstanceSource        `json:"source"`
	// Prewarm is "", "wait" or "never": whether an instance that stands by is taken.
	Prewarm string `json:"prewarm,omitempty"`
	// MaxRunDuration is a Go duration; after it the instance is deleted.
	MaxRunDuration string `json:"max_run_duration,omitempty"`
}

// InstanceResourcesPost asks for resources; sizes are bytes.
type InstanceResourcesPost struct {
	CPUs          *int    `json:"cpus,omitempty"`
	DiskSize      *int64  `json:"disk_size"`
	Memory        *int64  `json:"memory,omitempty"`
	GPUSlots      *int    `json:"gpu-slots,omitempty"`
	GPUType       *string `json:"gpu-type,omitempty"`
	VPUSlots      *int    `json:"vpu-slots,omitempty"`
	NoDiskReserve *bool   `json:"no_disk_reserve,omitempty"`
}

// InstanceConfigPost asks for how the software inside is to run.
type InstanceConfigPost struct {
	Platform        string       `json:"platform,omitempty"`
	BootPackage     string       `json:"boot_package,omitempty"`
	BootActivity    string       `json:"boot_activity,omitempty"`
	MetricsServer   string       `json:"metrics_server,omitempty"`
	DisableWatchdog bool         `json:"disable_watchdog,omitempty"`
	Features        *string      `json:"features,omitempty"` // a comma between each
	Devmode         bool         `json:"devmode,omitempty"`
	EnableStreaming bool         `json:"enable_streaming,omitempty"`
	Display         Display      `json:"display"`
	Security        SecurityPost `json:"security"`
}

// SecurityPost guards an instance, or stops doing so; nil stays.
type SecurityPost struct {
	DeleteProtected *bool `json:"delete_protected,omitempty"`
}

// InstanceSource is the instance to copy; empty is none.
type InstanceSource struct {
	Type string `json:"type"` // "instance"
	ID   string `json:"id"`
}

// InstancePatch starts or stops an instance, or changes what may be changed.
type InstancePatch struct {
	DesiredStatus *string             `json:"desired_status"` // "running" or "stopped"
	Config        InstancePatchConfig `json:"config"`
	// Restart stops a running instance and starts it again.
	Restart bool `json:"restart,omitempty"`
	// Force stops at once. For an instance in error, it drops the logs and starts.
	Force bool `json:"force,omitempty"`
}

// InstancePatchConfig is what may be changed of the configuration.
type InstancePatchConfig struct {
	Security SecurityPost `json:"security"`
}

// InstanceExec runs a command.
type InstanceExec struct {
	Command     []string          `json:"command"`
	Environment map[string]string `json:"environment"`
	Interactive bool              `json:"interactive"`
	Width       int               `json:"width"`
	Height      int               `json:"height"`
}

// The commands of an ExecControl.
const (
	ControlResize = "window-resize" // Args has "width" and "height"
	ControlSignal = "signal"
)

// ExecControl is a message on the control websocket of a command.
type ExecControl struct {
	Command string            `json:"command"`
	Args    map[string]string `json:"args"`
	Signal  int               `json:"signal"`
}

// Explanation says where a launch would go, and why not elsewhere.
type Explanation struct {
	Node  string        `json:"node"` // empty where none would do
	Text  string        `json:"text"` // for people
	Nodes []NodeVerdict `json:"nodes"`
}

// NodeVerdict is what the scheduler finds of one node.
type NodeVerdict struct {
	Node    string  `json:"node"`
	Refusal string  `json:"refusal,omitempty"`
	Score   float64 `json:"score"`
}
