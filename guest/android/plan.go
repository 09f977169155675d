package android

import (
	"bytes"
	"cmp"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/openams/ams"
)

const maxPlan = 1 << 20 // bytes

// planWriter writes the lines of a plan and keeps the first error.
type planWriter struct {
	buf bytes.Buffer
	err error
}

// line writes a line of fields. A last field may be empty; an empty field before
// others is lost on the shell.
func (w *planWriter) line(key string, fields ...string) {
	for _, f := range fields {
		if w.err == nil && strings.ContainsFunc(f, unicode.IsControl) {
			w.err = ams.Errorf(ams.ErrInvalid, "%s %q contains a control character, which cannot be handed to an instance", key, f)
		}
	}
	w.buf.WriteString(strings.Join(append([]string{key}, fields...), "\t"))
	w.buf.WriteByte('\n')
}

// newPlan says what the driver has to do in the phase.
func newPlan(run ams.GuestRun, opts Options) ([]byte, error) {
	w := &planWriter{}
	kind := "regular"
	if run.Instance.Base {
		kind = "base"
	}
	w.line("type", kind)
	w.line("limits", seconds(opts.BootTimeout), seconds(opts.StepTimeout))
	if v := run.Version; v != nil {
		if boot, activity := run.Instance.Boot(v); boot != "" {
			w.line("boot", boot, activity)
		}
		w.watchdog(run, opts)
		if run.Phase == ams.PhaseBootstrap {
			w.install(v)
		}
	}
	w.addons(run)
	if run.SecurityUpdates && run.Phase == ams.PhaseBootstrap {
		mirror, err := mirrorOf(run.AptMirror)
		if w.err == nil && err != nil {
			w.err = err
		}
		w.line("security", mirror)
	}
	for _, h := range hooksOf(run) {
		w.line("hook", h.slot, h.whose, h.dir, h.name, seconds(h.limit))
	}
	if w.err == nil && w.buf.Len() > maxPlan {
		w.err = ams.Errorf(ams.ErrTooLarge, "the plan for phase %s has %d bytes, the most is %d", run.Phase, w.buf.Len(), maxPlan)
	}
	return w.buf.Bytes(), w.err
}

// addons writes what is to be done with addons before their hooks run.
func (w *planWriter) addons(run ams.GuestRun) {
	for _, addon := range run.Addons {
		if w.err == nil && (addon.Name == "" || addon.Name == "." || addon.Name == ".." || strings.Contains(addon.Name, "/")) {
			w.err = ams.Errorf(ams.ErrInvalid, "addon name %q is not the name of a directory", addon.Name)
		}
		switch {
		case addon.Write != nil:
			w.line("addon", addon.Name, "sent")
		case run.Phase == ams.PhaseBootstrap:
			w.line("addon", addon.Name, "")
		}
	}
}

// install writes what only the bootstrap needs.
func (w *planWriter) install(v *ams.Version) {
	m := &v.Manifest
	w.line("package", cmp.Or(v.APK.Package, m.BootPackage))
	if v.ABI != "" && len(v.APK.ABIs) > 0 {
		w.line("abi", v.ABI)
	}
	for _, p := range m.RequiredPermissions {
		if p == "*" {
			w.line("grant-all")
		} else {
			w.line("grant", p)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(m.ExtraData)) {
		e := m.ExtraData[name]
		d, err := defaultsOf(e)
		if w.err == nil && err != nil {
			w.err = err
		}
		w.line("data", name, path.Clean(e.Target), d.owner, d.fileMode, d.dirMode)
	}
	for _, pattern := range m.Bootstrap.Keep {
		glob, err := shellPattern(pattern)
		if w.err == nil && err != nil {
			w.err = err
		}
		w.line("keep", glob)
	}
}

// watched reports whether the phase ends with a watchdog: an application has one,
// unless it is disabled.
func watched(run ams.GuestRun) bool {
	if run.Version == nil || run.Phase != ams.PhaseStart && run.Phase != ams.PhaseClaim {
		return false
	}
	boot, _ := run.Instance.Boot(run.Version)
	return boot != "" && !run.Version.Manifest.Watchdog.Disabled && !run.Instance.Config.DisableWatchdog
}

// watchdog writes what the watchdog is to look for, and to do.
func (w *planWriter) watchdog(run ams.GuestRun, opts Options) {
	if !watched(run) {
		return
	}
	mode := "stop"
	if run.Instance.Config.Devmode {
		mode = "note"
	}
	w.line("watchdog", mode, seconds(opts.WatchdogInterval))
	for _, p := range run.Version.Manifest.Watchdog.AllowedPackages {
		w.line("allow", p)
	}
}

// rights are the owner and the modes of an item of extra data.
type rights struct {
	owner, fileMode, dirMode string
}

// defaultsOf returns what the manifest says, or else the owner and modes that the
// place implies. In an owner, "package" is the user or group of the package.
func defaultsOf(e ams.ExtraData) (rights, error) {
	r := rights{owner: "package:package", fileMode: "0660", dirMode: "0770"}
	if strings.HasPrefix(e.Target, "/sdcard/") {
		r.owner, r.dirMode = "package:1015", "0771" // 1015 is sdcard_rw
	}
	if e.Owner != "" {
		r.owner = e.Owner
	}
	if e.Permissions != "" {
		mode, err := strconv.ParseUint(e.Permissions, 8, 12)
		if err != nil {
			return r, ams.Errorf(ams.ErrInvalid, "extra-data: permissions %q are not an octal number up to 7777", e.Permissions)
		}
		// Who may read a directory may search it.
		r.fileMode, r.dirMode = octal(mode), octal(mode|mode>>2&0o111)
	}
	return r, nil
}

func octal(mode uint64) string { return "0" + strconv.FormatUint(mode, 8) }

// seconds rounds up.
func seconds(d time.Duration) string {
	return strconv.FormatInt(int64((d+time.Second-1)/time.Second), 10)
}
