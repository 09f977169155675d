package sqlite

import (
	"database/sql/driver"

	"github.com/openams/ams"
)

func applicationSchema() *schema[ams.Application, ams.ApplicationFilter] {
	return (&schema[ams.Application, ams.ApplicationFilter]{
		kind:  "application",
		table: "applications",
		columns: []string{"name", "status", "published", "immutable", "instance_type",
			"boot_package", "abi", "image", "vm", "tags", "addons"},
		key:  func(a *ams.Application) string { return a.ID },
		name: func(a *ams.Application) string { return a.Name },
		rev:  func(a *ams.Application) *int64 { return &a.Rev },
		values: func(a *ams.Application) []driver.Value {
			return []driver.Value{a.Name, string(a.Status), integer(a.Published), integer(a.Immutable),
				a.Manifest.InstanceType, a.BootPackage, a.ABI, a.Image, integer(a.VM), list(a.Manifest.Tags), list(a.Manifest.Addons)}
		},
		filter: func(q *query, f *ams.ApplicationFilter) {
			q.unique("id", f.ID)
			q.unique("name", f.Name)
			status(q, f.Status, "")
			q.flag("published", f.Published, "", "")
			q.flag("immutable", f.Immutable, "", "")
			q.text("instance_type", f.InstanceType, "")
			q.text("boot_package", f.BootPackage, "")
			q.text("abi", f.ABI, "")
			q.text("image", f.Image, "")
			q.contains("tags", f.Tags)
			q.contains("addons", f.Addons)
			q.flag("vm", f.VM, "", "")
		},
	}).complete()
}

func versionSchema() *schema[ams.Version, ams.VersionFilter] {
	return (&schema[ams.Version, ams.VersionFilter]{
		kind:    "version",
		table:   "versions",
		columns: []string{"application_id", "status", "published", "image_id", "package"},
		key:     func(v *ams.Version) string { return v.ID },
		rev:     func(v *ams.Version) *int64 { return &v.Rev },
		values: func(v *ams.Version) []driver.Value {
			return []driver.Value{v.ApplicationID, string(v.Status), integer(v.Published), v.ImageID, v.Package.Digest}
		},
		filter: func(q *query, f *ams.VersionFilter) {
			q.text("application_id", f.ApplicationID, "versions_application")
			q.text("package", f.Package, "versions_package")
			q.text("image_id", f.ImageID, "versions_image")
			status(q, f.Status, "")
			q.flag("published", f.Published, "", "")
		},
	}).complete()
}
