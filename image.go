package ams

import "time"

// ImageStatus says whether an image can be used.
type ImageStatus string

// The image statuses.
const (
	ImageInitializing ImageStatus = "initializing" // being imported
	ImageActive       ImageStatus = "active"
	ImageError        ImageStatus = "error"
	ImageDeleted      ImageStatus = "deleted" // being deleted
)

// Image is a root file system that instances are launched from and applications
// are built on.
type Image struct {
	ID           string
	Rev          int64
	Name         string // unique among images of the same kind (container or VM)
	VM           bool
	Default      bool // used where no image is named; one per kind
	Architecture string
	Status       ImageStatus // of the newest version
	Versions     []ImageVersion
	Operation    string // of the import or deletion under way
	CreatedAt    time.Time
	UpdatedAt    time.Time
}

// ImageVersion is one build of an image.
type ImageVersion struct {
	Number       int
	Status       ImageStatus
	ErrorMessage string
	Upload       string // the blob it is imported from; empty once it is active
	Fingerprint  string // the backend's name of it; empty until it is active
	Size         int64  // bytes
	CreatedAt    time.Time
}

// ImageFilter chooses images. Every field that is set must match.
type ImageFilter struct {
	ID      string
	Name    string
	VM      *bool
	Default *bool
	Status  []ImageStatus // any of them
}
