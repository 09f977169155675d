package api

// RegistryApplication is an application in the registry.
type RegistryApplication struct {
	Name          string                                `json:"name"`
	Architectures []string                              `json:"architectures"`
	BootPackage   string                                `json:"boot_package"`
	InstanceType  string                                `json:"instance_type"`
	Tags          []string                              `json:"tags"`
	Versions      map[string]RegistryApplicationVersion `json:"versions"` // by number
	VM            bool                                  `json:"vm"`
}

// RegistryApplicationVersion is a version of it.
type RegistryApplicationVersion struct {
	BootActivity string    `json:"boot_activity"`
	Features     []string  `json:"features"`
	Hooks        Hooks     `json:"hooks"`
	Bootstrap    Bootstrap `json:"bootstrap"`
	VideoEncoder string    `json:"video_encoder"`
}
