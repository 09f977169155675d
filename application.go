package ams

import "time"

// ApplicationStatus says whether an application can be used. It follows the
// newest version: a failed update shows as error while older published versions
// still launch.
type ApplicationStatus string

// The application statuses.
const (
	ApplicationInitializing ApplicationStatus = "initializing"
	ApplicationReady        ApplicationStatus = "ready"
	ApplicationError        ApplicationStatus = "error"
	ApplicationDeleted      ApplicationStatus = "deleted" // being deleted
)

// Application is a package that was turned into images, one per version.
type Application struct {
	ID   string // 20 characters; ids made later sort later
	Rev  int64
	Name string // unique among applications

	Status      ApplicationStatus
	Published   bool // at least one version is published
	NextVersion int  // the number the next version gets; numbers are never used twice
	VM          bool // runs as a virtual machine; fixed at creation

	// Manifest is what the next version is built from: the manifest of the newest
	// package, and what Set has changed since. Versions keep the one they had.
	Manifest Manifest
	Package  BlobInfo // the newest package
	APK      APKInfo  // of it

	// Built is what the newest build began with, whatever has become of it; nil in an
	// application of an older release.
	Built *Built

	Resources          Resources // as launched: type, presets and manifest combined
	BootPackage        string    // the manifest's, or else that of the APK
	ABI                string    // of the newest version
	Image              string    // the id of the parent image
	Immutable          bool      // came from a registry
	InhibitAutoUpdates bool
	Prewarm            int    // how many instances stand by; see Applications.SetPrewarm
	Operation          string // of the deletion under way
	CreatedAt          time.Time
	UpdatedAt          time.Time
}

// Built is what a version is built from, beside its package.
type Built struct {
	ImageID      string
	ImageVersion int
	Addons       []AddonUse
}

// ApplicationFilter chooses applications. Every field that is set must match.
type ApplicationFilter struct {
	ID           string
	Name         string
	Status       []ApplicationStatus // any of them
	Published    *bool
	Immutable    *bool
	InstanceType string
	BootPackage  string
	ABI          string
	Image        string
	Tags         []string // all of them
	Addons       []string // all of them
	VM           *bool
}

// VersionStatus says whether a version can be launched.
type VersionStatus string

// The version statuses.
const (
	VersionInitializing VersionStatus = "initializing" // its bootstrap is waiting or under way
	VersionActive       VersionStatus = "active"
	VersionError        VersionStatus = "error"
	VersionDeleted      VersionStatus = "deleted" // being deleted
)

// Version is one build of an application: a package installed on a parent image
// and published as an image of its own.
type Version struct {
	ID            string // "<application id>-<number>"
	Rev           int64
	ApplicationID string
	Number        int

	Status       VersionStatus
	Published    bool // launched when no version is named
	ErrorMessage string
	Logs         []LogFile // of a failed bootstrap

	Manifest     Manifest
	APK          APKInfo  // zero when the package has no APK
	Package      BlobInfo // the package as it was given
	ABI          string   // what the APK is installed for
	ImageID      string   // the parent image, and its version
	ImageVersion int
	Addons       []AddonUse // in the order they are installed in: the global ones first

	BaseInstance string // the instance it is being built in; empty once that is gone
	Fingerprint  string // the backend's name of its image; empty until published there
	ImageSize    int64  // bytes
	Architecture string
	Operation    string // of the creation, update or deletion under way

	CreatedAt time.Time
	UpdatedAt time.Time
}

// APKInfo is what is read from a package's app.apk.
type APKInfo struct {
	Package      string
	MainActivity string
	VersionName  string
	VersionCode  int64
	Permissions  []string
	ABIs         []string // of its native libraries; none means it runs anywhere
}

// VersionFilter chooses versions. Every field that is set must match.
type VersionFilter struct {
	ApplicationID string
	Status        []VersionStatus // any of them
	Published     *bool
	ImageID       string
	Package       string // digest
}
