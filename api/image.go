package api

// Image is a base image with its versions.
type Image struct {
	ID           string         `json:"id"`
	Name         string         `json:"name"`
	Versions     []ImageVersion `json:"versions"`
	StatusCode   int            `json:"status_code"` // see ImageCode
	Status       string         `json:"status"`
	UsedBy       []string       `json:"used_by"` // names of applications
	Immutable    bool           `json:"immutable"`
	Default      bool           `json:"default"`
	Architecture string         `json:"architecture,omitempty"` // "x86_64", "aarch64"
	Type         string         `json:"type"`                   // "container" or "vm"
	Variant      string         `json:"variant"`
	Entitlements []string       `json:"entitlements,omitempty"`
}

// ImageVersion is one version of an image.
type ImageVersion struct {
	Version      int    `json:"version"`
	Fingerprint  string `json:"fingerprint"`
	Size         int64  `json:"size"`
	CreatedAt    int64  `json:"created_at"`
	StatusCode   int    `json:"status_code"`
	Status       string `json:"status"`
	RemoteID     string `json:"remote_id"`
	ErrorMessage string `json:"error_message,omitempty"`
}

// ImagesPost adds an image: one that is uploaded, one of the image server, or one
// made of a stopped instance.
type ImagesPost struct {
	Name    string       `json:"name"`
	Path    string       `json:"path"` // the name on the image server
	Default bool         `json:"default"`
	Type    string       `json:"type"`
	Source  *ImageSource `json:"source,omitempty"`
}

// The types of an ImageSource.
const (
	SourceInstance = "instance"
	SourceImport   = "import"
	SourceUpload   = "upload"
)

// ImageSource is what an image is made of.
type ImageSource struct {
	Type     string `json:"type"`
	Instance string `json:"instance,omitempty"`
	Force    bool   `json:"force"` // stop the instance first
}

// ImagePatch changes an image.
type ImagePatch struct {
	Default   *bool `json:"default"`
	ForceSync bool  `json:"force_sync"` // fetch what the image server has
}

// Delete is the body of the deletion of one object.
type Delete struct {
	Force bool `json:"force"`
}

// DeleteMany is the body of the deletion of several.
type DeleteMany struct {
	IDs   []string `json:"ids"`
	Force bool     `json:"force"`
}
