package api

// Addon is an addon with its versions.
type Addon struct {
	Name         string         `json:"name"`
	Versions     []AddonVersion `json:"versions"`
	UsedBy       []string       `json:"used_by"` // names of applications
	Entitlements []string       `json:"entitlements,omitempty"`
}

// AddonVersion is one version of an addon.
type AddonVersion struct {
	Version     int    `json:"version"`
	Fingerprint string `json:"fingerprint"`
	Size        int64  `json:"size"`
	CreatedAt   int64  `json:"created_at"`
}

// AddonsPost comes with the upload of an addon.
type AddonsPost struct {
	Name string `json:"name"`
}
