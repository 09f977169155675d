package ams

import (
	"slices"
	"strings"
)

// Permission is leave to do something.
type Permission struct {
	Entitlement string // see Entitlements
	Resource    string // "server", or "<type>:<id>", such as "application:cbb8lfc2c3kk1d3p8u60"
}

// EntitlementInfo describes one entitlement.
type EntitlementInfo struct {
	Type        string // of what it is on: "server", "instance", …
	Name        string
	Description string
}

// Entitlements returns all entitlements, by type.
func Entitlements() []EntitlementInfo {
	list := []EntitlementInfo{
		{"server", "admin", "Do everything"},
		{"server", "can_view_config", "Read the settings"},
		{"server", "can_edit_config", "Change the settings"},
		{"server", "can_view_tasks", "See what is worked on"},
		{"server", "can_view_metrics", "Read the metrics"},
		{"server", "can_view_registry_applications", "List the applications in the registry"},
		{"server", "can_delete_registry_applications", "Delete applications from the registry"},
		{"server", "can_push_registry_applications", "Push applications to the registry"},
		{"server", "can_pull_registry_applications", "Pull applications from the registry"},
		{"server", "can_create_addons", "Add addons"},
		{"server", "can_create_groups", "Make groups"},
		{"server", "can_create_applications", "Create applications"},
		{"server", "can_create_instances", "Launch instances"},
		{"server", "can_create_nodes", "Add nodes"},
		{"server", "can_create_images", "Add images"},
		{"server", "can_register_identities", "Make identities, and issue join tokens"},
		{"server", "can_view_operations", "See all operations; deprecated, who sees an object sees what is done to it"},
	}
	for _, kind := range []string{"identity", "group", "addon", "application", "image", "instance", "node"} {
		list = append(list,
			EntitlementInfo{kind, "can_view", "See it"},
			EntitlementInfo{kind, "can_edit", "Change it"},
			EntitlementInfo{kind, "can_delete", "Delete it"})
		switch kind {
		case "instance":
			list = append(list,
				EntitlementInfo{kind, "can_view_logs", "Read its logs"},
				EntitlementInfo{kind, "can_exec", "Run commands in it"})
		case "application":
			list = append(list, EntitlementInfo{kind, "can_publish", "Publish and revoke its versions"})
		}
	}
	return list
}

// permissions checks permissions, and returns them with ids in place of names, each
// once and sorted. Those of had may be on objects that are gone.
func (c *change) permissions(asked, had []Permission) ([]Permission, error) {
	known := map[EntitlementInfo]bool{}
	for _, e := range Entitlements() {
		known[EntitlementInfo{Type: e.Type, Name: e.Name}] = true
	}
	list := []Permission{}
	for _, p := range asked {
		kind, ref, object := strings.Cut(p.Resource, ":")
		switch {
		case p.Resource != "server" && (!object || ref == "" || kind == "server"):
			return nil, Errorf(ErrInvalid, "resource %s must be server, or <type>:<id>", quote(p.Resource))
		case !known[EntitlementInfo{Type: kind, Name: p.Entitlement}]:
			return nil, Errorf(ErrInvalid, "entitlement %s is not one that there is on %s", quote(p.Entitlement), quote(kind))
		}
		if object && !slices.Contains(had, p) {
			id, err := c.resource(kind, ref)
			if err != nil {
				return nil, err
			}
			p.Resource = kind + ":" + id
		}
		list = append(list, p)
	}
	slices.SortFunc(list, func(a, b Permission) int {
		return strings.Compare(a.Resource+" "+a.Entitlement, b.Resource+" "+b.Entitlement)
	})
	return slices.Compact(list), nil
}

// resource returns the id of an object. ErrNotFound.
func (c *change) resource(kind, ref string) (string, error) {
	var id string
	var err error
	switch kind {
	case "identity":
		var i Identity
		i, err = findIdentity(c, ref)
		id = i.ID
	case "group":
		var g Group
		g, err = findGroup(c, ref)
		id = g.Name
	case "addon":
		var a Addon
		a, err = c.Addons().Get(ref)
		id = a.Name
	case "application":
		var a Application
		a, err = findApplication(c, ref)
		id = a.ID
	case "image":
		var i Image
		i, err = findImage(c, ref)
		id = i.ID
	case "instance":
		var in Instance
		in, err = findInstance(c, ref)
		id = in.ID
	default: // a node: other types have no entitlements
		var n Node
		n, err = c.Nodes().Get(ref)
		id = n.Name
	}
	return id, wrapName(err, kind, ref)
}
