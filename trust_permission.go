package ams

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Permission allows one thing to be done with one resource.
type Permission struct {
	Entitlement string // one that Entitlements has for the type of the resource
	Resource    string // "server", or "<type>:<id>"
}

// EntitlementInfo describes something that can be allowed.
type EntitlementInfo struct {
	Type        string // of the resource: "server", "application", "instance", …
	Name        string
	Description string // one sentence
}

// Entitlements returns everything that can be allowed, the server's first, and then
// in order of type.
func Entitlements() []EntitlementInfo { return slices.Clone(entitlementTable) }

const (
	serverResource = "server"
	maxReference   = len("oidc/") + maxEmail // longer than any name
)

// entitlementTable is all there is to know about the entitlements.
var entitlementTable = []EntitlementInfo{
	{serverResource, "admin", "Everything, as the members of the group admin may."},
	{serverResource, "can_create_addons", "Add addons."},
	{serverResource, "can_create_applications", "Create applications."},
	{serverResource, "can_create_groups", "Create groups."},
	{serverResource, "can_create_images", "Add images."},
	{serverResource, "can_create_instances", "Launch instances."},
	{serverResource, "can_create_nodes", "Add nodes to the cluster."},
	{serverResource, "can_delete_registry_applications", "Delete applications from the registry."},
	{serverResource, "can_edit_config", "Change settings."},
	{serverResource, "can_pull_registry_applications", "Fetch applications from the registry."},
	{serverResource, "can_push_registry_applications", "Send applications to the registry."},
	{serverResource, "can_register_identities", "Make identities known."},
	{serverResource, "can_view_config", "See the settings."},
	{serverResource, "can_view_metrics", "Read the metrics."},
	{serverResource, "can_view_operations", "Without effect, and kept for clients that set it: who sees an object sees the operations on it."},
	{serverResource, "can_view_registry_applications", "See what the registry has."},
	{serverResource, "can_view_tasks", "See what is being worked on."},
	{"addon", "can_delete", "Delete the addon and its versions."},
	{"addon", "can_edit", "Give the addon new versions."},
	{"addon", "can_view", "See the addon."},
	{"application", "can_delete", "Delete the application and its versions."},
	{"application", "can_edit", "Change the application and give it new versions."},
	{"application", "can_publish", "Publish and revoke versions of the application."},
	{"application", "can_view", "See the application, its versions and manifests."},
	{"group", "can_delete", "Delete the group."},
	{"group", "can_edit", "Change the description and the permissions of the group."},
	{"group", "can_view", "See the group and who is in it."},
	{"identity", "can_delete", "Delete the identity."},
	{"identity", "can_edit", "Change the groups that the identity is in."},
	{"identity", "can_view", "See the identity."},
	{"image", "can_delete", "Delete the image and its versions."},
	{"image", "can_edit", "Change the image and give it new versions."},
	{"image", "can_view", "See the image."},
	{"instance", "can_delete", "Delete the instance."},
	{"instance", "can_edit", "Start, stop and change the instance."},
	{"instance", "can_exec", "Run commands inside the instance."},
	{"instance", "can_view", "See the instance."},
	{"instance", "can_view_logs", "Read the stored logs of the instance."},
	{"node", "can_delete", "Remove the node from the cluster."},
	{"node", "can_edit", "Change the node."},
	{"node", "can_view", "See the node."},
}

// permissions checks all that can be told of permissions without the store.
func (f *manifestFaults) permissions(list []Permission) {
	if len(list) > maxPermissions {
		f.add("permissions", "", "permissions has %d items (maximum %d)", len(list), maxPermissions)
		return
	}
	for i, p := range list {
		at := fmt.Sprintf("permissions[%d]", i)
		typ, ref, _ := strings.Cut(p.Resource, ":")
		names := entitlementsOf(typ)
		object := typ != serverResource && len(names) > 0 && ref != "" && len(ref) <= maxReference
		switch {
		case p.Resource != serverResource && !object:
			f.add(at, p.Resource, "%s: resource %s is not allowed: use server or <type>:<id or name>, where the type is %s", at, quote(p.Resource), strings.Join(resourceTypes(), ", "))
		case !slices.Contains(names, p.Entitlement):
			f.add(at, p.Entitlement, "%s: entitlement %s is not one for %s: use %s", at, quote(p.Entitlement), typ, strings.Join(names, ", "))
		}
	}
}

func entitlementsOf(typ string) (names []string) {
	for _, e := range entitlementTable {
		if e.Type == typ {
			names = append(names, e.Name)
		}
	}
	return names
}

// resourceTypes are the types of objects.
func resourceTypes() (types []string) {
	for _, e := range entitlementTable {
		if e.Type != serverResource && !slices.Contains(types, e.Type) {
			types = append(types, e.Type)
		}
	}
	return types
}

// resolvePermissions returns valid permissions as they are stored: each once, in
// order, and by id. One that the group had stays as it is: its object may be gone, and
// something else may be called what that one's id was.
func resolvePermissions(tx Tx, wanted, had []Permission) ([]Permission, error) {
	kept := map[Permission]bool{}
	for _, p := range had {
		kept[p] = true
	}
	var list []Permission
	for _, p := range wanted {
		if typ, ref, found := strings.Cut(p.Resource, ":"); found && !kept[p] {
			id, err := resolveResource(tx, typ, ref)
			if err != nil {
				return nil, err
			}
			p.Resource = typ + ":" + id
		}
		list = append(list, p)
	}
	slices.SortFunc(list, func(a, b Permission) int {
		return cmp.Or(strings.Compare(a.Resource, b.Resource), strings.Compare(a.Entitlement, b.Entitlement))
	})
	return slices.Compact(list), nil
}

// resolveResource returns the id of an object, or the name where that is its key.
func resolveResource(tx Tx, typ, ref string) (id string, err error) {
	switch typ {
	case "identity":
		i, err := findIdentity(tx, ref)
		return i.ID, err
	case "group":
		g, err := tx.Groups().Get(ref)
		return g.Name, wrapName(err, typ, ref)
	case "addon":
		a, err := tx.Addons().Get(ref)
		return a.Name, wrapName(err, typ, ref)
	case "application":
		a, err := findApplication(tx, ref)
		return a.ID, err
	case "image":
		i, err := findImage(tx, ref)
		return i.ID, err
	case "instance":
		i, err := findInstance(tx, ref)
		return i.ID, err
	case "node":
		n, err := findNode(tx, ref)
		return n.Name, err
	}
	return "", Errorf(ErrInternal, "no resource is of the type %s", quote(typ))
}
