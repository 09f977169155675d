package ams

import (
	"time"
	"unicode/utf8"
)

// MaxUserData bounds the user data of an instance, in bytes.
const MaxUserData = 10 * 1024

// LaunchRequest describes an instance to be made. Set Application, or Image, or
// neither for the default image.
type LaunchRequest struct {
	// Name is 3 to 63 letters, digits or hyphens, not beginning or ending with a
	// hyphen, and unique. Empty means "ams-" and the id.
	Name string
	// Application is the id or name of the application to launch.
	Application string
	// Image is the id or name of the image to launch a raw instance from.
	Image string
	// Version is of the application or image. Nil means the latest published
	// version of the application, or the newest of the image.
	Version *int
	// VM chooses the default virtual machine image where nothing is named, and
	// must fit what is named otherwise.
	VM bool
	// Resources override, field by field, those of the application, or 2 CPUs,
	// 3GB of memory and 3GB of disk for a raw instance.
	Resources Resources
	// Node is the only node it may be placed on. Empty is any.
	Node string
	// Tags are labels to filter by.
	Tags []string
	// UserData is at most 10 KiB of text, found in /var/lib/anbox/userdata.
	UserData string
	// Addons are the names of addons to install in a raw instance, in this order.
	Addons []string
	// Features are feature flags beside those of the application.
	Features []string
	// NoStart makes the instance but does not start it: it becomes prepared, or
	// stopped if it is a copy.
	NoStart bool
	// Services are offered beside those of the application, and instead of those
	// of the same name. See ParseService.
	Services []Service
	// Config is how the software inside is to run.
	Config InstanceConfig
	// DeleteProtected keeps the instance from being deleted until Set lifts it.
	DeleteProtected bool
	// Source is the id or name of a stopped or failed instance to copy, with its
	// data, instead of Application, Image and Version. The image, addons,
	// architecture and disk size are those of the source; all else is as in the
	// request, or the default.
	Source string
	// Prewarm says whether one of the application's prewarmed instances may, or
	// must, be used.
	Prewarm Prewarm
	// MaxRunDuration is how long after it first runs the instance is deleted, or
	// stopped if it is DeleteProtected. 0 is never.
	MaxRunDuration time.Duration
}

// Prewarm says what a launch does about prewarmed instances.
type Prewarm string

// What a launch can do about prewarmed instances. See ApplicationPatch.Prewarm.
const (
	PrewarmIfReady Prewarm = ""      // take one if one is ready, else make an instance
	PrewarmWait    Prewarm = "wait"  // wait in order until one is ready, for Config.BootTimeout at most
	PrewarmNever   Prewarm = "never" // make an instance
)

// maxRunDuration bounds LaunchRequest.MaxRunDuration: ten years.
const maxRunDuration = 10 * 365 * 24 * time.Hour

// check finds what is wrong with the request by itself.
func (r *LaunchRequest) check() error {
	switch {
	case r.Name != "" && !validHostname(r.Name):
		return Errorf(ErrInvalid, "name %s is not allowed: must be 3-63 letters, digits or hyphens, without a hyphen at either end", quote(r.Name))
	case r.Application != "" && r.Image != "":
		return Errorf(ErrInvalid, "set either application or image, not both")
	case r.Application != "" && len(r.Addons) > 0:
		return Errorf(ErrInvalid, "addons are for raw instances; those of an application are in its versions")
	case len(r.UserData) > MaxUserData:
		return Errorf(ErrInvalid, "user data is %d bytes (maximum %d)", len(r.UserData), MaxUserData)
	case !utf8.ValidString(r.UserData):
		return Errorf(ErrInvalid, "user data is not text: encode binary data as base64")
	case r.Source != "" && (r.Application != "" || r.Image != "" || r.Version != nil || len(r.Addons) > 0):
		return Errorf(ErrInvalid, "a copy has the application, image, version and addons of its source: leave them out")
	case r.MaxRunDuration < 0 || r.MaxRunDuration > maxRunDuration:
		return Errorf(ErrInvalid, "max run duration %s is out of range (0s-%s)", r.MaxRunDuration, maxRunDuration)
	case r.Prewarm == PrewarmWait && !r.mayClaim():
		return Errorf(ErrInvalid, "prewarmed instances are for launches of an application as it is: %s", r.whyOrdinary())
	case r.Version != nil && *r.Version < 0:
		return Errorf(ErrInvalid, "version %d is invalid: must be 0 or more", *r.Version)
	}
	faults := newManifestFaults()
	faults.each("tags", "tag", r.Tags, func(at, tag string) { faults.tag(at, "tag", tag) })
	faults.each("features", "feature", r.Features, faults.feature)
	r.Resources.check(faults)
	r.Config.check(faults)
	checkServices(faults, r.Services)
	faults.oneOf("prewarm", string(r.Prewarm), string(PrewarmIfReady), string(PrewarmWait), string(PrewarmNever))
	return faults.err()
}

// validHostname reports whether s can be an instance's name.
func validHostname(s string) bool {
	if len(s) < 3 || len(s) > 63 || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for _, c := range []byte(s) {
		if c != '-' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return false
		}
	}
	return true
}
