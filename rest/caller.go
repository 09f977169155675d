package rest

import (
	"cmp"
	"maps"
	"slices"

	"github.com/openams/ams"
)

// caller is whoever sent a request.
type caller struct {
	known    bool   // otherwise it may do only what everybody may
	admin    bool   // may do everything
	method   string // "unix", "tls" or "oidc"
	identity ams.Identity
	granted  map[ams.Permission]bool
}

// may reports whether the caller has an entitlement on an object.
func (c *caller) may(kind, id, entitlement string) bool {
	if c == nil || !c.known {
		return false
	}
	if c.admin {
		return true
	}
	resource := "server"
	if kind != "server" {
		resource = kind + ":" + id
	}
	return c.granted[ams.Permission{Entitlement: entitlement, Resource: resource}]
}

// same reports whether another caller is this one, or may do everything: who sees what a
// caller has begun.
func (c *caller) same(other *caller) bool {
	return other.admin || other.known && other.identity.Fingerprint == c.identity.Fingerprint &&
		other.identity.Email == c.identity.Email && other.identity.Fingerprint+other.identity.Email != ""
}

// sees reports whether the caller may see an object.
func (c *caller) sees(kind, id string) bool { return c.may(kind, id, "can_view") }

// entitlements returns what the caller may do with an object.
func (c *caller) entitlements(kind, id string) []string {
	list := []string{}
	for _, e := range ams.Entitlements() {
		if e.Type == kind && c.may(kind, id, e.Name) {
			list = append(list, e.Name)
		}
	}
	return list
}

// sortedPermissions returns permissions in order of resource and entitlement.
func sortedPermissions(granted map[ams.Permission]bool) []ams.Permission {
	return slices.SortedFunc(maps.Keys(granted), func(a, b ams.Permission) int {
		return cmp.Or(cmp.Compare(a.Resource, b.Resource), cmp.Compare(a.Entitlement, b.Entitlement))
	})
}
