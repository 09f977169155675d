package ams

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

const (
	minNameLength    = 3
	maxNameLength    = 255
	maxServiceName   = 63
	maxVersionLength = 50
	maxPort          = 65535
	maxPathLength    = 4096
)

// check records every rule that the manifest breaks. A field that has a problem
// already, because it could not be read, is not reported as missing.
func (m *Manifest) check(f *manifestFaults) {
	if m.Name != "" {
		f.name("name", m.Name, false)
	} else if !f.has("name") {
		f.add("name", "", "name is required")
	}
	if n := utf8.RuneCountInString(m.Version); n > maxVersionLength {
		f.add("version", m.Version, "length of version is invalid: %d characters (maximum %d)", n, maxVersionLength)
	} else if fault := textFault(m.Version); fault != "" {
		f.add("version", m.Version, "version %s is not allowed: %s", quote(m.Version), fault)
	}
	if _, ok := LookupInstanceType(m.InstanceType); !ok && m.InstanceType != "" {
		var known []string
		for _, t := range InstanceTypes() {
			known = append(known, t.Name)
		}
		f.add("instance-type", m.InstanceType, "instance-type %s not found; known types: %s",
			quote(m.InstanceType), strings.Join(known, ", "))
	}
	m.Resources.check(f)
	if m.Image != "" {
		f.name("image", m.Image, true)
	}
	f.each("addons", "addon", m.Addons, func(at, s string) { f.name(at, s, false) })
	f.each("tags", "tag", m.Tags, func(at, s string) { f.tag(at, "tag", s) })
	f.each("node-selector", "tag", m.NodeSelector, func(at, s string) { f.tag(at, "node-selector", s) })
	f.each("features", "feature", m.Features, f.feature)
	if m.BootPackage != "" {
		f.androidPackage("boot-package", m.BootPackage)
	}
	if m.BootActivity != "" && !isActivity(m.BootActivity) {
		f.add("boot-activity", m.BootActivity,
			"boot-activity %s is invalid: expected an activity such as com.example.app.MainActivity or .MainActivity", quote(m.BootActivity))
	}
	f.anyOrEach("required-permissions", "permission", m.RequiredPermissions, func(at, s string) {
		if !isDotted(s) {
			f.add(at, s, "%s %s is invalid: expected a permission such as android.permission.CAMERA", at, quote(s))
		}
	})
	f.oneOf("video-encoder", string(m.VideoEncoder), "gpu", "gpu-preferred", "software")
	f.anyOrEach("watchdog.allowed-packages", "package", m.Watchdog.AllowedPackages, f.androidPackage)
	checkServices(f, m.Services)
	for _, name := range slices.Sorted(maps.Keys(m.ExtraData)) {
		m.ExtraData[name].check(f, name)
	}
	if _, fault := parseHookTimeout(m.Hooks.Timeout); fault != "" {
		f.add("hooks.timeout", m.Hooks.Timeout, "hooks.timeout %s %s", quote(m.Hooks.Timeout), fault)
	}
	f.each("bootstrap.keep", "pattern", m.Bootstrap.Keep, func(at, s string) {
		if fault := patternFault(s); fault != "" {
			f.add(at, s, "%s %s %s", at, quote(s), fault)
		}
	})
	f.oneOf("abi", m.ABI, "x86_64", "x86", "arm64-v8a", "armeabi-v7a", "armeabi")
}

func (r Resources) check(f *manifestFaults) {
	if r.CPUs < 0 {
		f.add("resources.cpus", fmt.Sprint(r.CPUs), "resources.cpus must be a whole number of at least %d, got %d", minCPUs, r.CPUs)
	}
	if r.Memory != 0 && r.Memory < minMemory {
		f.add("resources.memory", r.Memory.String(), "resources.memory %q is below the minimum of %s", r.Memory, minMemory)
	}
	if r.DiskSize != 0 && r.DiskSize < minDisk {
		f.add("resources.disk-size", r.DiskSize.String(), "resources.disk-size %q is below the minimum of %s", r.DiskSize, minDisk)
	}
	if r.GPUSlots != nil && *r.GPUSlots < 0 {
		f.add("resources.gpu-slots", fmt.Sprint(*r.GPUSlots), "resources.gpu-slots must be 0 or more, got %d", *r.GPUSlots)
	}
	if r.VPUSlots != nil && *r.VPUSlots < 0 {
		f.add("resources.vpu-slots", fmt.Sprint(*r.VPUSlots), "resources.vpu-slots must be 0 or more, got %d", *r.VPUSlots)
	}
	f.oneOf("resources.gpu-type", r.GPUType, "amd", "intel", "nvidia")
}

// each checks the items of a list that can be read, and that none is there twice.
func (f *manifestFaults) each(field, noun string, items []string, check func(at, s string)) {
	if len(items) > maxYAMLItems {
		f.add(field, "", "%s has %d items (maximum %d)", field, len(items), maxYAMLItems)
		return
	}
	seen := map[string]bool{}
	for i, s := range items {
		at := fmt.Sprintf("%s[%d]", field, i)
		switch {
		case f.has(at):
		case seen[s]:
			f.add(at, s, "%s: %s %s is listed twice", field, noun, quote(s))
		default:
			seen[s] = true
			check(at, s)
		}
	}
}

// anyOrEach is each for a list that may be a single "*".
func (f *manifestFaults) anyOrEach(field, noun string, items []string, check func(at, s string)) {
	if slices.Equal(items, []string{"*"}) {
		return
	}
	if slices.Contains(items, "*") {
		f.add(field, "*", `%s: "*" cannot be combined with other entries`, field)
	}
	f.each(field, noun, items, func(at, s string) {
		if s != "*" {
			check(at, s)
		}
	})
}

func (f *manifestFaults) oneOf(field, value string, allowed ...string) {
	if value == "" || slices.Contains(allowed, value) {
		return
	}
	last := len(allowed) - 1
	f.add(field, value, "%s %s not supported: use %s or %s", field, quote(value), strings.Join(allowed[:last], ", "), allowed[last])
}

// name checks the name of an object. Only names of images may have a colon.
func (f *manifestFaults) name(field, s string, colon bool) {
	n := utf8.RuneCountInString(s)
	if fault := charsetFault(s, colon); fault != "" && n <= maxNameLength {
		f.add(field, s, "%s %s is not allowed: %s", field, quote(s), fault)
	} else if n < minNameLength || n > maxNameLength {
		f.add(field, s, "length of %s is invalid: %d characters (%d to %d allowed)", field, n, minNameLength, maxNameLength)
	}
}

// charsetFault says what a name has that a name may not have.
func charsetFault(s string, colon bool) string {
	switch {
	case s == "":
		return "it is empty"
	case s[0] == '-':
		return "starts with '-'"
	case strings.Trim(s, ".") == "":
		return "has only dots"
	}
	for _, r := range s {
		switch {
		case isWord(r), r == '-', r == '.', r == ':' && colon:
		case r == ' ':
			return "contains a space"
		case unicode.IsControl(r):
			return controlCharacter(r)
		default:
			return fmt.Sprintf("contains %q", r)
		}
	}
	return ""
}

func (f *manifestFaults) feature(field, s string) {
	fault := charsetFault(s, false)
	if fault == "" && len(s) > maxNameLength {
		fault = fmt.Sprintf("longer than %d characters", maxNameLength)
	}
	if fault != "" {
		f.add(field, s, "feature %s is not allowed: %s", quote(s), fault)
	}
}

func (f *manifestFaults) tag(field, noun, s string) {
	fault := textFault(s)
	switch {
	case s == "":
		fault = "it is empty"
	case len(s) > maxNameLength:
		fault = fmt.Sprintf("longer than %d bytes", maxNameLength)
	case strings.Contains(s, ","):
		fault = "contains a comma"
	}
	if fault != "" {
		f.add(field, s, "%s %s is not allowed: %s", noun, quote(s), fault)
	}
}

// textFault says what a free text may not have: it must be UTF-8 on one line.
func textFault(s string) string {
	if !utf8.ValidString(s) {
		return "not UTF-8"
	}
	for _, r := range s {
		if unicode.IsControl(r) {
			return controlCharacter(r)
		}
	}
	return ""
}

// isWord reports whether r is an ASCII letter or digit, or '_'.
func isWord(r rune) bool {
	return isLetter(r) || '0' <= r && r <= '9' || r == '_'
}

func isLetter(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
}

// isDotted reports whether s has the form of a Java name with at least one dot.
func isDotted(s string) bool {
	first := true // the next character starts a component
	for _, r := range s {
		if first && !isLetter(r) || !isWord(r) && r != '.' {
			return false
		}
		first = r == '.'
	}
	return !first && strings.Contains(s, ".") && len(s) <= maxNameLength
}

// isActivity reports whether s names an activity: a class with its package, or
// one that starts with a dot and is relative to the package.
func isActivity(s string) bool {
	return isDotted(s) || isDotted("x"+s) && s[0] == '.'
}

func (f *manifestFaults) androidPackage(field, s string) {
	if !isDotted(s) {
		f.add(field, s, "%s %s is invalid: expected a package name such as com.example.app", field, quote(s))
	}
}

// parseHookTimeout returns the duration, zero if s is empty, or what is wrong with s.
func parseHookTimeout(s string) (d time.Duration, fault string) {
	if s == "" {
		return 0, ""
	}
	d, err := time.ParseDuration(s)
	switch {
	case err != nil:
		return 0, "is invalid: use a duration such as 90s or 5m"
	case d < 0:
		return 0, "is invalid: it is negative"
	case d > MaxHookTimeout:
		return 0, "exceeds the maximum of 15m"
	}
	return d, ""
}

// patternFault says what is wrong with a pattern of bootstrap.keep.
func patternFault(s string) string {
	_, err := path.Match(s, "")
	switch {
	case s == "":
		return "is not allowed: it is empty"
	case len(s) > maxPathLength:
		return fmt.Sprintf("is not allowed: longer than %d bytes", maxPathLength)
	case textFault(s) != "":
		return "is not allowed: " + textFault(s)
	case path.IsAbs(s):
		return "is not allowed: it must be relative to the package"
	case slices.Contains(strings.Split(s, "/"), ".."):
		return "is not allowed: it leaves the package"
	case err != nil && strings.Count(s, "[") > strings.Count(s, "]"):
		return "is malformed: missing ]"
	case err != nil:
		return `is malformed: use * ? [a-z] and \ as in a shell`
	}
	return ""
}
