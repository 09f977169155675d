package storagetest

import (
	"slices"
	"time"

	"github.com/openams/ams"
)

func applications() noun[ams.Application, ams.ApplicationFilter] {
	type row = ams.Application
	type filter = ams.ApplicationFilter
	yes, no := true, false
	return noun[row, filter]{
		name:  "application",
		table: func(tx ams.Tx) ams.Table[row, filter] { return tx.Applications() },
		key:   func(r *row) *string { return &r.ID },
		rev:   func(r *row) *int64 { return &r.Rev },
		label: func(r *row) *string { return &r.Name },
		filters: []filterCase[row, filter]{
			{"id", filter{ID: rowID(3)}, func(r *row) bool { return r.ID == rowID(3) }},
			{"name", filter{Name: "name-4"}, func(r *row) bool { return r.Name == "name-4" }},
			{"status", filter{Status: []ams.ApplicationStatus{"ready", "a", "ready"}}, func(r *row) bool { return r.Status == "ready" || r.Status == "a" }},
			{"published", filter{Published: &yes}, func(r *row) bool { return r.Published }},
			{"unpublished", filter{Published: &no}, func(r *row) bool { return !r.Published }},
			{"immutable", filter{Immutable: &yes}, func(r *row) bool { return r.Immutable }},
			{"instance type", filter{InstanceType: "a"}, func(r *row) bool { return r.Manifest.InstanceType == "a" }},
			{"boot package", filter{BootPackage: "it's"}, func(r *row) bool { return r.BootPackage == "it's" }},
			{"abi", filter{ABI: "a"}, func(r *row) bool { return r.ABI == "a" }},
			{"image", filter{Image: "%"}, func(r *row) bool { return r.Image == "%" }},
			{"tag", filter{Tags: []string{"a,b"}}, func(r *row) bool { return slices.Contains(r.Manifest.Tags, "a,b") }},
			{"tags", filter{Tags: []string{"a", "b"}}, func(r *row) bool {
				return slices.Contains(r.Manifest.Tags, "a") && slices.Contains(r.Manifest.Tags, "b")
			}},
			{"addons", filter{Addons: []string{`"`}}, func(r *row) bool { return slices.Contains(r.Manifest.Addons, `"`) }},
			{"vm", filter{VM: &no}, func(r *row) bool { return !r.VM }},
			{"vm and published", filter{VM: &yes, Published: &yes}, func(r *row) bool { return r.VM && r.Published }},
		},
	}
}

func versions() noun[ams.Version, ams.VersionFilter] {
	type row = ams.Version
	type filter = ams.VersionFilter
	yes, no := true, false
	return noun[row, filter]{
		name:  "version",
		table: func(tx ams.Tx) ams.Table[row, filter] { return tx.Versions() },
		key:   func(r *row) *string { return &r.ID },
		rev:   func(r *row) *int64 { return &r.Rev },
		filters: []filterCase[row, filter]{
			{"application", filter{ApplicationID: "a"}, func(r *row) bool { return r.ApplicationID == "a" }},
			{"status", filter{Status: []ams.VersionStatus{"active"}}, func(r *row) bool { return r.Status == "active" }},
			{"published", filter{Published: &yes}, func(r *row) bool { return r.Published }},
			{"image", filter{ImageID: "b"}, func(r *row) bool { return r.ImageID == "b" }},
			{"package", filter{Package: "_"}, func(r *row) bool { return r.Package.Digest == "_" }},
			{"application and unpublished", filter{ApplicationID: "a", Published: &no}, func(r *row) bool { return r.ApplicationID == "a" && !r.Published }},
		},
	}
}

func addons() noun[ams.Addon, ams.AddonFilter] {
	type row = ams.Addon
	type filter = ams.AddonFilter
	return noun[row, filter]{
		name:  "addon",
		table: func(tx ams.Tx) ams.Table[row, filter] { return tx.Addons() },
		key:   func(r *row) *string { return &r.Name },
		rev:   func(r *row) *int64 { return &r.Rev },
		filters: []filterCase[row, filter]{
			{"name", filter{Name: rowID(3)}, func(r *row) bool { return r.Name == rowID(3) }},
		},
	}
}

func images() noun[ams.Image, ams.ImageFilter] {
	type row = ams.Image
	type filter = ams.ImageFilter
	yes, no := true, false
	return noun[row, filter]{
		name:  "image",
		table: func(tx ams.Tx) ams.Table[row, filter] { return tx.Images() },
		key:   func(r *row) *string { return &r.ID },
		rev:   func(r *row) *int64 { return &r.Rev },
		label: func(r *row) *string { return &r.Name },
		filters: []filterCase[row, filter]{
			{"id", filter{ID: rowID(3)}, func(r *row) bool { return r.ID == rowID(3) }},
			{"name", filter{Name: "name-4"}, func(r *row) bool { return r.Name == "name-4" }},
			{"name and vm", filter{Name: "name-4", VM: &no}, func(r *row) bool { return r.Name == "name-4" && !r.VM }},
			{"vm", filter{VM: &yes}, func(r *row) bool { return r.VM }},
			{"default", filter{Default: &yes}, func(r *row) bool { return r.Default }},
			{"status", filter{Status: []ams.ImageStatus{"active", "b"}}, func(r *row) bool { return r.Status == "active" || r.Status == "b" }},
		},
	}
}

func instances() noun[ams.Instance, ams.InstanceFilter] {
	type row = ams.Instance
	type filter = ams.InstanceFilter
	yes, no, one := true, false, 1
	return noun[row, filter]{
		name:  "instance",
		table: func(tx ams.Tx) ams.Table[row, filter] { return tx.Instances() },
		key:   func(r *row) *string { return &r.ID },
		rev:   func(r *row) *int64 { return &r.Rev },
		label: func(r *row) *string { return &r.Name },
		filters: []filterCase[row, filter]{
			{"id", filter{ID: rowID(3)}, func(r *row) bool { return r.ID == rowID(3) }},
			{"id and status", filter{ID: rowID(3), Status: []ams.InstanceStatus{"a", "b"}}, func(r *row) bool { return r.ID == rowID(3) && (r.Status == "a" || r.Status == "b") }},
			{"name", filter{Name: "name-4"}, func(r *row) bool { return r.Name == "name-4" }},
			{"application", filter{ApplicationID: "a"}, func(r *row) bool { return r.ApplicationID == "a" }},
			{"version", filter{Version: &one}, func(r *row) bool { return r.Version == 1 }},
			{"application and version", filter{ApplicationID: "b", Version: &one}, func(r *row) bool { return r.ApplicationID == "b" && r.Version == 1 }},
			{"image", filter{ImageID: "a"}, func(r *row) bool { return r.ImageID == "a" }},
			{"image and version", filter{ImageID: "a", ImageVersion: &one}, func(r *row) bool { return r.ImageID == "a" && r.ImageVersion == 1 }},
			{"image version", filter{ImageVersion: &one}, func(r *row) bool { return r.ImageVersion == 1 }},
			{"node", filter{Node: "it's"}, func(r *row) bool { return r.Node == "it's" }},
			{"status", filter{Status: []ams.InstanceStatus{"running"}}, func(r *row) bool { return r.Status == "running" }},
			{"statuses", filter{Status: []ams.InstanceStatus{"running", "", "a", "running"}}, func(r *row) bool { return r.Status == "running" || r.Status == "" || r.Status == "a" }},
			{"node and statuses", filter{Node: "a", Status: []ams.InstanceStatus{"a", "b"}}, func(r *row) bool { return r.Node == "a" && (r.Status == "a" || r.Status == "b") }},
			{"version and statuses", filter{Version: &one, Status: []ams.InstanceStatus{"a", "b"}}, func(r *row) bool { return r.Version == 1 && (r.Status == "a" || r.Status == "b") }},
			{"tag", filter{Tags: []string{"ä<&>"}}, func(r *row) bool { return slices.Contains(r.Tags, "ä<&>") }},
			{"tags", filter{Tags: []string{"a", "b"}}, func(r *row) bool { return slices.Contains(r.Tags, "a") && slices.Contains(r.Tags, "b") }},
			{"tag and status", filter{Tags: []string{"a"}, Status: []ams.InstanceStatus{"a", "b"}}, func(r *row) bool { return slices.Contains(r.Tags, "a") && (r.Status == "a" || r.Status == "b") }},
			{"application and tag", filter{ApplicationID: "a", Tags: []string{"b"}}, func(r *row) bool { return r.ApplicationID == "a" && slices.Contains(r.Tags, "b") }},
			{"base", filter{Base: &yes}, func(r *row) bool { return r.Base }},
			{"regular", filter{Base: &no}, func(r *row) bool { return !r.Base }},
			{"standby", filter{Standby: &yes}, func(r *row) bool { return r.Standby }},
			{"of users", filter{Standby: &no}, func(r *row) bool { return !r.Standby }},
			{"standby of an application", filter{Standby: &yes, ApplicationID: "a", Resting: &yes}, func(r *row) bool { return r.Standby && r.ApplicationID == "a" && r.Resting }},
			{"application name", filter{ApplicationName: "a"}, func(r *row) bool { return r.ApplicationName == "a" }},
			{"after an id", filter{After: "id-3"}, func(r *row) bool { return r.ID > "id-3" }},
			{"after an id, at rest, on a node", filter{After: "id-2", Resting: &yes, Node: "b"}, func(r *row) bool { return r.ID > "id-2" && r.Resting && r.Node == "b" }},
			{"virtual machines", filter{VM: &yes}, func(r *row) bool { return r.VM }},
			{"containers", filter{VM: &no}, func(r *row) bool { return !r.VM }},
			{"resting", filter{Resting: &yes}, func(r *row) bool { return r.Resting }},
			{"active", filter{Resting: &no}, func(r *row) bool { return !r.Resting }},
			{"active bases on a node", filter{Resting: &no, Base: &yes, Node: "b"}, func(r *row) bool { return !r.Resting && r.Base && r.Node == "b" }},
			{"image, application and active", filter{ImageID: "a", ApplicationID: "a", Resting: &no}, func(r *row) bool { return r.ImageID == "a" && r.ApplicationID == "a" && !r.Resting }},
		},
	}
}

func nodes() noun[ams.Node, ams.NodeFilter] {
	type row = ams.Node
	type filter = ams.NodeFilter
	return noun[row, filter]{
		name:  "node",
		table: func(tx ams.Tx) ams.Table[row, filter] { return tx.Nodes() },
		key:   func(r *row) *string { return &r.Name },
		rev:   func(r *row) *int64 { return &r.Rev },
		filters: []filterCase[row, filter]{
			{"status", filter{Status: []ams.NodeStatus{"online"}}, func(r *row) bool { return r.Status == "online" }},
		},
	}
}

func operations() noun[ams.Operation, ams.OperationFilter] {
	type row = ams.Operation
	type filter = ams.OperationFilter
	yes, no := true, false
	before := time.UnixMilli(1_700_000_000_500).UTC()
	return noun[row, filter]{
		name:  "operation",
		table: func(tx ams.Tx) ams.Table[row, filter] { return tx.Operations() },
		key:   func(r *row) *string { return &r.ID },
		rev:   func(r *row) *int64 { return &r.Rev },
		filters: []filterCase[row, filter]{
			{"done", filter{Done: &yes}, func(r *row) bool { return r.Done() }},
			{"not done", filter{Done: &no}, func(r *row) bool { return !r.Done() }},
			{"ended before", filter{EndedBefore: before}, func(r *row) bool { return r.Done() && r.UpdatedAt.Before(before) }},
			{"ended before a part of a millisecond", filter{EndedBefore: before.Add(1)}, func(r *row) bool { return r.Done() && r.UpdatedAt.Before(before.Add(1)) }},
			{"ended before and done", filter{EndedBefore: before, Done: &yes}, func(r *row) bool { return r.Done() && r.UpdatedAt.Before(before) }},
		},
	}
}

func settings() noun[ams.Setting, ams.SettingFilter] {
	type row = ams.Setting
	type filter = ams.SettingFilter
	return noun[row, filter]{
		name:  "setting",
		table: func(tx ams.Tx) ams.Table[row, filter] { return tx.Settings() },
		key:   func(r *row) *string { return &r.Key },
		rev:   func(r *row) *int64 { return &r.Rev },
	}
}
