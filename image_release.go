package ams

import (
	"strconv"
	"strings"
)

// imageRelease is the release that images may be made for, empty for any.
func (m *Manager) imageRelease(tx Tx) (string, error) {
	lockstep, err := m.Settings.flag(tx, "images.version_lockstep")
	if !lockstep {
		return "", err
	}
	return m.cfg.Release, err
}

// choose returns the newest version for a release, any if that is empty: or the
// one that is pinned, by its whole name or the part before the first hyphen.
func (r *RemoteImage) choose(release, pin string) *RemoteVersion {
	for i := len(r.Versions) - 1; i >= 0; i-- {
		v := &r.Versions[i]
		switch {
		case pin != "":
			if (v.ID == pin || strings.HasPrefix(v.ID, pin+"-")) && (release == "" || !newerRelease(v.ID, release)) {
				return v
			}
		case release == "" || !newerRelease(v.ID, release):
			return v
		}
	}
	return nil
}

// newerRelease reports whether a version, "1.31.0-…", is for a newer release than
// the one given, "1.30". A version that does not begin with a release is for any.
func newerRelease(version, release string) bool {
	a, ok := releaseOf(version)
	b, _ := releaseOf(release)
	return ok && (a[0] > b[0] || a[0] == b[0] && a[1] > b[1])
}

func releaseOf(version string) (r [2]int, ok bool) {
	head, _, _ := strings.Cut(version, "-")
	parts := strings.Split(head, ".")
	if len(parts) < 2 {
		return r, false
	}
	for i := range r {
		n, err := strconv.Atoi(parts[i])
		if err != nil || n < 0 {
			return r, false
		}
		r[i] = n
	}
	return r, true
}
