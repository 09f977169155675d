package ams

import "time"

// ImageStatus says whether an image can be used.
type ImageStatus string

// The image statuses.
const (
	ImageInitializing ImageStatus = "initializing" // being taken in from a file or an instance
	ImageAvailable    ImageStatus = "available"    // known to the image server, not here; fetched when it is used
	ImageQueued       ImageStatus = "queued"       // being fetched, or waiting for that
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
	Variant      string      // "android", "aaos", "generic"; empty is unknown
	Immutable    bool        // comes from the image server
	Remote       string      // its name on the image server; empty when it is not from there
	Pin          string      // the only version of Remote it may have; empty follows the server
	Status       ImageStatus // of the newest version
	NextVersion  int         // the number the next version gets; numbers are never used twice
	Versions     []ImageVersion
	Operation    string // of the request under way
	CreatedAt    time.Time
	UpdatedAt    time.Time
}

// ImageVersion is one build of an image.
type ImageVersion struct {
	Number        int
	Status        ImageStatus
	StatusMessage string // what is being done: "downloading, 34 %"
	ErrorMessage  string
	Fingerprint   string // the backend's name of it; empty until it is active
	Size          int64  // bytes; 0 is not known
	CreatedAt     time.Time

	// Where it comes from; all empty once it is active, but for RemoteID.
	Upload   string       // the blob it is imported from, or the metadata of a split image
	Rootfs   string       // the blob with the root file system of a split image
	Instance string       // the id of the stopped instance that it is published from
	RemoteID string       // the image server's name of this version
	Files    []RemoteFile // to be fetched from there

	WantDefault     bool   // to be made the default of its kind when it is active
	Sync            bool   // to be fetched also when nothing waits for it
	DeleteOperation string // waits for its deletion

	Attempts int       // to fetch it, that failed
	Wrong    int       // of those, how often the server answered wrongly
	RetryAt  time.Time // not before this instant
}

// ImageFilter chooses images. Every field that is set must match.
type ImageFilter struct {
	ID      string
	Name    string
	VM      *bool
	Default *bool
	Status  []ImageStatus // any of them
}
