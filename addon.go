package ams

import "time"

// Addon is a package of hooks and files that is installed into instances beside
// their application.
type Addon struct {
	Name        string // unique; the key
	Rev         int64
	NextVersion int            // the number the next version gets; numbers are never used twice
	Versions    []AddonVersion // in order of number, never empty
	CreatedAt   time.Time
	UpdatedAt   time.Time
}

// AddonVersion is one package of an addon.
type AddonVersion struct {
	Number      int
	Package     BlobInfo
	Description string
	// ABISupport are the ABIs that instances with the addon run beside those of
	// their machine: "arm64-v8a", "armeabi-v7a", "armeabi".
	ABISupport  []string
	HookTimeout string   // as in the addon's manifest; empty is DefaultHookTimeout
	Hooks       []string // the names of its hooks, sorted
	CreatedAt   time.Time
}

// AddonUse is a version of an addon as an application version or an instance has
// it installed. It holds what is needed of the addon, so that a version of an
// addon that is deleted still serves whatever was made with it.
type AddonUse struct {
	Name        string
	Version     int
	Package     BlobInfo
	HookTimeout string
}

// AddonFilter chooses addons. Every field that is set must match.
type AddonFilter struct {
	Name string
}

// Latest returns the newest version of the addon.
func (a *Addon) Latest() *AddonVersion { return &a.Versions[len(a.Versions)-1] }

func (a *Addon) use(v *AddonVersion) AddonUse {
	return AddonUse{Name: a.Name, Version: v.Number, Package: v.Package, HookTimeout: v.HookTimeout}
}
