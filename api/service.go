package api

// ServiceStatus is the answer to GET /1.0.
type ServiceStatus struct {
	APIExtensions   []string                       `json:"api_extensions"`
	APIStatus       string                         `json:"api_status"`
	APIVersion      string                         `json:"api_version"`
	Auth            string                         `json:"auth"` // "trusted" or "untrusted"
	AuthPermissions map[string][]map[string]string `json:"auth_permissions"`
	AuthMethods     []string                       `json:"auth_methods"`
	ClusterID       string                         `json:"cluster_id"`
	ClusterName     string                         `json:"cluster_name"`
}

// VersionInfo is the answer to GET /1.0/version.
type VersionInfo struct {
	Version string `json:"version"`
}

// Config is the answer to GET /1.0/config.
type Config struct {
	Config map[string]any `json:"config"`
}

// ConfigPost sets one key.
type ConfigPost struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}
