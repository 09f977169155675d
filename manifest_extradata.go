package ams

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// extraDataRoots are the directories of Android below which each application has its own.
func extraDataRoots() []string {
	return []string{"/sdcard/Android/obb/", "/sdcard/Android/data/", "/data/app/", "/data/data/"}
}

const (
	extraDataPlaces  = "use /sdcard/Android/obb/<pkg>, /sdcard/Android/data/<pkg>, /data/app/<pkg> or /data/data/<pkg>"
	maxPathComponent = 255
	maxAccountDigits = 9
	maxAccountName   = 32
)

// check checks what can be told without knowing the application's package.
func (e ExtraData) check(f *manifestFaults, name string) {
	at := extraDataPath(name)
	if f.has(at) {
		return
	}
	label := "extra-data " + quote(name)
	if fault := memberFault(name); fault != "" {
		f.add(at, name, "%s is not allowed: %s", label, fault)
	}
	switch fault := targetFault(e.Target); {
	case f.has(at + ".target"):
	case e.Target == "":
		f.add(at+".target", "", "%s: target is required", label)
	case fault != "":
		f.add(at+".target", e.Target, "%s: target %s is not allowed%s", label, quote(e.Target), fault)
	}
	if e.Owner != "" && !isOwner(e.Owner) {
		f.add(at+".owner", e.Owner, "%s: owner %s is invalid: expected <uid>:<gid>", label, quote(e.Owner))
	}
	if e.Permissions != "" && !isPermissions(e.Permissions) {
		f.add(at+".permissions", e.Permissions, "%s: permissions %s is invalid: octal digits only, e.g. 0660", label, quote(e.Permissions))
	}
}

// memberFault says why name cannot be the name of a file in a directory.
func memberFault(name string) string {
	switch {
	case name == "":
		return "it is empty"
	case name == "." || name == "..":
		return "it leaves extra-data"
	case strings.ContainsAny(name, `/\`):
		return "it must be directly inside extra-data"
	case len(name) > maxPathComponent:
		return fmt.Sprintf("longer than %d bytes", maxPathComponent)
	}
	return textFault(name)
}

// targetFault says why no application may have the target.
func targetFault(target string) string {
	root, rest := splitTarget(target)
	switch {
	case root == "":
		return "; " + extraDataPlaces
	case len(target) > maxPathLength:
		return fmt.Sprintf(": longer than %d bytes", maxPathLength)
	case textFault(target) != "":
		return ": " + textFault(target)
	}
	for _, component := range strings.Split(strings.TrimSuffix(rest, "/"), "/") {
		switch {
		case component == "" || component == "." || component == "..":
			return `: it has an empty, "." or ".." component`
		case len(component) > maxPathComponent:
			return fmt.Sprintf(": a component is longer than %d bytes", maxPathComponent)
		}
	}
	owner, _, _ := strings.Cut(rest, "/")
	pkg := owner
	if root == "/data/app/" {
		pkg, _, _ = strings.Cut(owner, "-")
	}
	if !isDotted(pkg) {
		return fmt.Sprintf(": %s is not a package name", quote(owner))
	}
	return ""
}

// splitTarget returns the root that the target is below, and the rest; no root if there is none.
func splitTarget(target string) (root, rest string) {
	for _, root := range extraDataRoots() {
		if rest, ok := strings.CutPrefix(target, root); ok {
			return root, rest
		}
	}
	return "", ""
}

// isPermissions reports whether s is three octal digits, perhaps after a 0.
func isPermissions(s string) bool {
	if len(s) == 4 {
		s = strings.TrimPrefix(s, "0")
	}
	return len(s) == 3 && strings.Trim(s, "01234567") == ""
}

// isOwner reports whether s is a user and a group, each a number or a name.
func isOwner(s string) bool {
	user, group, ok := strings.Cut(s, ":")
	return ok && isAccount(user) && isAccount(group)
}

func isAccount(s string) bool {
	if s == "" || len(s) > maxAccountName || s != strings.ToLower(s) || strings.ContainsFunc(s, func(r rune) bool { return !isWord(r) }) {
		return false
	}
	digits := strings.Trim(s, "0123456789") == ""
	return digits && len(s) <= maxAccountDigits || !digits && (s[0] < '0' || s[0] > '9')
}

// CheckPackage checks what depends on the application's app.apk: the boot package
// must be the APK's, a boot activity needs a package, and the targets of extra
// data must belong to the package. The parameter is the APK's package name, empty
// if there is no app.apk; then the boot package takes its place.
//
// A target below /data/app belongs to the package com.example.app if its next
// component is com.example.app, or starts with com.example.app-. The error is as
// that of ParseManifest, without lines.
func (m *Manifest) CheckPackage(pkg string) error {
	f := newManifestFaults()
	if m.BootPackage != "" && pkg != "" && m.BootPackage != pkg {
		f.add("boot-package", m.BootPackage, "boot-package %s differs from the APK's %s", quote(m.BootPackage), quote(pkg))
	}
	pkg = cmp.Or(pkg, m.BootPackage)
	if m.BootActivity != "" && pkg == "" {
		f.add("boot-package", "", "boot-package is required when boot-activity is set and no app.apk is included")
	}
	if len(m.ExtraData) > 0 && pkg == "" {
		f.add("boot-package", "", "boot-package is required when extra-data is set and no app.apk is included")
		return f.err()
	}
	for _, name := range slices.Sorted(maps.Keys(m.ExtraData)) {
		target := m.ExtraData[name].Target
		if fault := targetFault(target); fault != "" {
			f.add(extraDataPath(name)+".target", target, "extra-data %s: target %s is not allowed%s", quote(name), quote(target), fault)
		} else if !targetOf(target, pkg) {
			f.add(extraDataPath(name)+".target", target, "extra-data %s: target %s is not allowed: it is not of the package %s",
				quote(name), quote(target), quote(pkg))
		}
	}
	return f.err()
}

// targetOf reports whether a target without fault belongs to the package.
func targetOf(target, pkg string) bool {
	root, rest := splitTarget(target)
	owner, _, _ := strings.Cut(rest, "/")
	return owner == pkg || root == "/data/app/" && strings.HasPrefix(owner, pkg+"-")
}
