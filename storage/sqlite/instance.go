package sqlite

import (
	"database/sql/driver"

	"github.com/openams/ams"
)

func instanceSchema() *schema[ams.Instance, ams.InstanceFilter] {
	return (&schema[ams.Instance, ams.InstanceFilter]{
		kind:  "instance",
		table: "instances",
		columns: []string{"name", "application_id", "version", "image_id", "image_version",
			"node", "status", "base", "resting", "tags", "standby"},
		key:  func(i *ams.Instance) string { return i.ID },
		name: func(i *ams.Instance) string { return i.Name },
		rev:  func(i *ams.Instance) *int64 { return &i.Rev },
		values: func(i *ams.Instance) []driver.Value {
			return []driver.Value{i.Name, i.ApplicationID, int64(i.Version), i.ImageID, int64(i.ImageVersion),
				i.Node, string(i.Status), integer(i.Base), integer(i.Resting), list(i.Tags), integer(i.Standby)}
		},
		filter: filterInstances,
	}).complete()
}

// filterInstances adds the conditions in the order in which they may drive: the
// one that leaves the fewest instances first.
func filterInstances(q *query, f *ams.InstanceFilter) {
	q.unique("id", f.ID)
	q.unique("name", f.Name)
	if f.After != "" {
		q.where("id > ?", f.After)
	}
	if f.ImageID != "" {
		q.drive("instances_image")
		q.where("image_id <> ''") // as the index has it
		q.where("image_id = ?", f.ImageID)
	}
	q.number("image_version", f.ImageVersion)
	q.flag("resting", f.Resting, "", "instances_active")
	q.flag("standby", f.Standby, "instances_standby", "")
	q.flag("base", f.Base, "instances_base", "")
	q.text("application_id", f.ApplicationID, "instances_application")
	q.number("version", f.Version)
	if f.ApplicationName != "" {
		q.where("coalesce(data ->> '$.ApplicationName', '') = ?", f.ApplicationName)
	}
	if f.VM != nil {
		q.where("coalesce(data ->> '$.VM', 0) = ?", integer(*f.VM))
	}
	q.text("node", f.Node, "instances_node")
	tags := f.Tags
	if len(tags) > 0 && !q.driven {
		q.driven = true
		// CROSS JOIN keeps the order in which the tables are looped over.
		q.from, q.order = "instance_tags CROSS JOIN instances ON instances.id = instance", "instance"
		q.where("tag = ?", tags[0])
		tags = tags[1:]
	}
	for _, tag := range tags {
		q.where("EXISTS (SELECT 1 FROM instance_tags WHERE tag = ? AND instance = instances.id)", tag)
	}
	status(q, f.Status, "instances_status")
}
