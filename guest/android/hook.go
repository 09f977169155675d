package android

import (
	"cmp"
	"slices"
	"time"

	"github.com/openams/ams"
)

// hook is a program that may be in an addon or in the package.
type hook struct {
	slot  string // the moment it is for: install, pre-start, post-start, post-stop
	whose string // for people
	dir   string // of the addon or package, below /var/lib/anbox
	name  string
	limit time.Duration
}

// hooksOf returns all hooks that may have to run in the phase, in their order:
// addons in their order and then the application, and for what comes after Android
// the other way round. The hooks of before release 1.12 are only for addons. They
// run in base instances and when a raw one gets its addons (install, prepare), and
// in regular ones (restore, backup).
func hooksOf(run ams.GuestRun) []hook {
	var owners, sent []hook
	for _, addon := range run.Addons {
		h := hook{whose: "addon " + addon.Name, dir: "addons/" + addon.Name, limit: cmp.Or(addon.HookTimeout, ams.DefaultHookTimeout)}
		owners = append(owners, h)
		if addon.Write != nil {
			sent = append(sent, h)
		}
	}
	limit := cmp.Or(run.HookTimeout, ams.DefaultHookTimeout)
	if v := run.Version; v != nil && v.Manifest.Hooks.Timeout != "" {
		limit = v.Manifest.Hooks.Limit()
	}
	// Also without a version: that of a running instance may have been deleted.
	owners = append(owners, hook{whose: "application", dir: "app", limit: limit})
	var all []hook
	add := func(slot string, owners []hook, names ...string) {
		for _, h := range owners {
			for _, name := range names {
				if h.dir == "app" && !slices.Contains([]string{"pre-start", "post-start", "post-stop"}, name) {
					continue
				}
				h.slot, h.name = slot, name
				all = append(all, h)
			}
		}
	}
	reverse := slices.Clone(owners)
	slices.Reverse(reverse)
	switch run.Phase {
	case ams.PhaseBootstrap:
		add("install", owners, "install")
		add("pre-start", owners, "pre-start")
		add("post-start", owners, "prepare", "post-start")
		add("post-stop", reverse, "post-stop")
	case ams.PhaseStart:
		add("install", sent, "install")
		add("pre-start", owners, "restore", "pre-start")
		add("post-start", sent, "prepare")
		add("post-start", owners, "post-start")
	case ams.PhaseStandby:
		add("install", sent, "install")
		add("pre-start", owners, "restore", "pre-start")
	case ams.PhaseClaim:
		add("post-start", owners, "post-start")
	case ams.PhaseStop:
		add("post-stop", reverse, "post-stop", "backup")
	}
	return all
}
