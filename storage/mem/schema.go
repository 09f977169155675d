package mem

import (
	"cmp"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/openams/ams"
)

// schemas is what the store knows of each noun.
type schemas struct {
	applications schema[ams.Application, ams.ApplicationFilter]
	versions     schema[ams.Version, ams.VersionFilter]
	addons       schema[ams.Addon, ams.AddonFilter]
	images       schema[ams.Image, ams.ImageFilter]
	instances    schema[ams.Instance, ams.InstanceFilter]
	nodes        schema[ams.Node, ams.NodeFilter]
	operations   schema[ams.Operation, ams.OperationFilter]
	settings     schema[ams.Setting, ams.SettingFilter]
	identities   schema[ams.Identity, ams.IdentityFilter]
	groups       schema[ams.Group, ams.GroupFilter]
	joinTokens   schema[ams.JoinToken, ams.JoinTokenFilter]
	event        *plan
}

func newSchemas() *schemas {
	return &schemas{
		event: planOf(reflect.TypeFor[ams.Event]()),
		applications: schema[ams.Application, ams.ApplicationFilter]{
			plan:   planOf(reflect.TypeFor[ams.Application]()),
			kind:   "application",
			key:    func(a *ams.Application) string { return a.ID },
			rev:    func(a *ams.Application) *int64 { return &a.Rev },
			name:   func(a *ams.Application) string { return a.Name },
			unique: func(a *ams.Application) []string { return []string{a.Name} },
			marks:  func(*ams.Application) []string { return nil },
			lookup: func(*ams.ApplicationFilter) string { return "" },
			match: func(a *ams.Application, f *ams.ApplicationFilter) bool {
				return text(f.ID, a.ID) && text(f.Name, a.Name) && anyOf(f.Status, a.Status) &&
					equal(f.Published, a.Published) && equal(f.Immutable, a.Immutable) &&
					text(f.InstanceType, a.Manifest.InstanceType) && text(f.BootPackage, a.BootPackage) &&
					text(f.ABI, a.ABI) && text(f.Image, a.Image) &&
					allOf(f.Tags, a.Manifest.Tags) && allOf(f.Addons, a.Manifest.Addons) && equal(f.VM, a.VM)
			},
		},
		versions: schema[ams.Version, ams.VersionFilter]{
			plan:  planOf(reflect.TypeFor[ams.Version]()),
			kind:  "version",
			key:   func(v *ams.Version) string { return v.ID },
			rev:   func(v *ams.Version) *int64 { return &v.Rev },
			marks: func(v *ams.Version) []string { return []string{"application " + v.ApplicationID} },
			lookup: func(f *ams.VersionFilter) string {
				if f.ApplicationID != "" {
					return "application " + f.ApplicationID
				}
				return ""
			},
			match: func(v *ams.Version, f *ams.VersionFilter) bool {
				return text(f.ApplicationID, v.ApplicationID) && anyOf(f.Status, v.Status) &&
					equal(f.Published, v.Published) && text(f.ImageID, v.ImageID) &&
					text(f.Package, v.Package.Digest)
			},
		},
		addons: schema[ams.Addon, ams.AddonFilter]{
			plan:   planOf(reflect.TypeFor[ams.Addon]()),
			kind:   "addon",
			key:    func(a *ams.Addon) string { return a.Name },
			rev:    func(a *ams.Addon) *int64 { return &a.Rev },
			marks:  func(*ams.Addon) []string { return nil },
			lookup: func(*ams.AddonFilter) string { return "" },
			match:  func(a *ams.Addon, f *ams.AddonFilter) bool { return text(f.Name, a.Name) },
		},
		images: schema[ams.Image, ams.ImageFilter]{
			plan:   planOf(reflect.TypeFor[ams.Image]()),
			kind:   "image",
			key:    func(i *ams.Image) string { return i.ID },
			rev:    func(i *ams.Image) *int64 { return &i.Rev },
			name:   func(i *ams.Image) string { return i.Name },
			unique: func(i *ams.Image) []string { return []string{strconv.FormatBool(i.VM) + separator + i.Name} },
			marks:  func(*ams.Image) []string { return nil },
			lookup: func(*ams.ImageFilter) string { return "" },
			match: func(i *ams.Image, f *ams.ImageFilter) bool {
				return text(f.ID, i.ID) && text(f.Name, i.Name) && equal(f.VM, i.VM) &&
					equal(f.Default, i.Default) && anyOf(f.Status, i.Status)
			},
		},
		instances: instanceSchema(),
		nodes: schema[ams.Node, ams.NodeFilter]{
			plan:   planOf(reflect.TypeFor[ams.Node]()),
			kind:   "node",
			key:    func(n *ams.Node) string { return n.Name },
			rev:    func(n *ams.Node) *int64 { return &n.Rev },
			marks:  func(*ams.Node) []string { return nil },
			lookup: func(*ams.NodeFilter) string { return "" },
			match:  func(n *ams.Node, f *ams.NodeFilter) bool { return anyOf(f.Status, n.Status) },
		},
		operations: schema[ams.Operation, ams.OperationFilter]{
			plan:  planOf(reflect.TypeFor[ams.Operation]()),
			kind:  "operation",
			key:   func(o *ams.Operation) string { return o.ID },
			rev:   func(o *ams.Operation) *int64 { return &o.Rev },
			marks: func(o *ams.Operation) []string { return []string{"done " + strconv.FormatBool(o.Done())} },
			lookup: func(f *ams.OperationFilter) string {
				switch {
				case f.Done != nil:
					return "done " + strconv.FormatBool(*f.Done)
				case !f.EndedBefore.IsZero():
					return "done true"
				}
				return ""
			},
			match: func(o *ams.Operation, f *ams.OperationFilter) bool {
				return equal(f.Done, o.Done()) &&
					(f.EndedBefore.IsZero() || o.Done() && o.UpdatedAt.Before(f.EndedBefore))
			},
		},
		settings: schema[ams.Setting, ams.SettingFilter]{
			plan:   planOf(reflect.TypeFor[ams.Setting]()),
			kind:   "setting",
			key:    func(s *ams.Setting) string { return s.Key },
			rev:    func(s *ams.Setting) *int64 { return &s.Rev },
			marks:  func(*ams.Setting) []string { return nil },
			lookup: func(*ams.SettingFilter) string { return "" },
			match:  func(*ams.Setting, *ams.SettingFilter) bool { return true },
		},
		identities: identitySchema(),
		groups: schema[ams.Group, ams.GroupFilter]{
			plan:   planOf(reflect.TypeFor[ams.Group]()),
			kind:   "group",
			key:    func(g *ams.Group) string { return g.Name },
			rev:    func(g *ams.Group) *int64 { return &g.Rev },
			marks:  func(*ams.Group) []string { return nil },
			lookup: func(*ams.GroupFilter) string { return "" },
			match: func(g *ams.Group, f *ams.GroupFilter) bool {
				return strings.Contains(lower(g.Name), lower(f.Name))
			},
		},
		joinTokens: schema[ams.JoinToken, ams.JoinTokenFilter]{
			plan:   planOf(reflect.TypeFor[ams.JoinToken]()),
			kind:   "token",
			key:    func(t *ams.JoinToken) string { return t.ID },
			rev:    func(t *ams.JoinToken) *int64 { return &t.Rev },
			name:   func(t *ams.JoinToken) string { return t.Hash },
			unique: func(t *ams.JoinToken) []string { return []string{t.Hash} },
			marks:  func(*ams.JoinToken) []string { return nil },
			lookup: func(*ams.JoinTokenFilter) string { return "" },
			match: func(t *ams.JoinToken, f *ams.JoinTokenFilter) bool {
				return text(f.Hash, t.Hash) && (f.ExpiresBefore.IsZero() || t.ExpiresAt.Before(f.ExpiresBefore)) &&
					(f.ExpiresAfter.IsZero() || t.ExpiresAt.After(f.ExpiresAfter))
			},
		},
	}
}

func instanceSchema() schema[ams.Instance, ams.InstanceFilter] {
	return schema[ams.Instance, ams.InstanceFilter]{
		plan:   planOf(reflect.TypeFor[ams.Instance]()),
		kind:   "instance",
		key:    func(i *ams.Instance) string { return i.ID },
		rev:    func(i *ams.Instance) *int64 { return &i.Rev },
		name:   func(i *ams.Instance) string { return i.Name },
		unique: func(i *ams.Instance) []string { return []string{i.Name} },
		marks: func(i *ams.Instance) []string {
			marks := []string{"id " + i.ID, "name " + i.Name, "application " + i.ApplicationID, "node " + i.Node, "status " + string(i.Status)}
			if !i.Resting {
				marks = append(marks, "active")
			}
			if i.Base {
				marks = append(marks, "base")
			}
			if i.Standby {
				marks = append(marks, "standby")
			}
			return marks
		},
		lookup: func(f *ams.InstanceFilter) string {
			switch {
			case f.ID != "":
				return "id " + f.ID
			case f.Name != "":
				return "name " + f.Name
			case f.Standby != nil && *f.Standby:
				return "standby"
			case f.Resting != nil && !*f.Resting:
				return "active"
			case f.Base != nil && *f.Base:
				return "base"
			case f.ApplicationID != "":
				return "application " + f.ApplicationID
			case f.Node != "":
				return "node " + f.Node
			case len(f.Status) == 1:
				return "status " + string(f.Status[0])
			}
			return ""
		},
		match: func(i *ams.Instance, f *ams.InstanceFilter) bool {
			return text(f.ID, i.ID) && text(f.Name, i.Name) && text(f.ApplicationID, i.ApplicationID) &&
				equal(f.Version, i.Version) && text(f.ImageID, i.ImageID) && equal(f.ImageVersion, i.ImageVersion) &&
				text(f.Node, i.Node) && anyOf(f.Status, i.Status) && allOf(f.Tags, i.Tags) &&
				i.ID > f.After && equal(f.Base, i.Base) && equal(f.Standby, i.Standby) && equal(f.VM, i.VM) && text(f.ApplicationName, i.ApplicationName) && equal(f.Resting, i.Resting)
		},
	}
}

func identitySchema() schema[ams.Identity, ams.IdentityFilter] {
	return schema[ams.Identity, ams.IdentityFilter]{
		plan: planOf(reflect.TypeFor[ams.Identity]()),
		kind: "identity",
		key:  func(i *ams.Identity) string { return i.ID },
		rev:  func(i *ams.Identity) *int64 { return &i.Rev },
		name: func(i *ams.Identity) string { return cmp.Or(i.Fingerprint, i.Email) },
		unique: func(i *ams.Identity) (terms []string) {
			if i.Fingerprint != "" {
				terms = append(terms, "fingerprint "+i.Fingerprint)
			}
			if i.Email != "" {
				terms = append(terms, "email "+string(i.Method)+separator+i.Email)
			}
			return terms
		},
		marks:  func(*ams.Identity) []string { return nil },
		lookup: func(*ams.IdentityFilter) string { return "" },
		match: func(i *ams.Identity, f *ams.IdentityFilter) bool {
			return text(f.ID, i.ID) && text(f.Method, i.Method) && text(f.Name, i.Name) && text(f.Email, i.Email) &&
				(f.Group == "" || slices.Contains(i.Groups, f.Group)) && strings.HasPrefix(i.Fingerprint, f.Fingerprint)
		},
	}
}

// lower returns s with its ASCII letters in lower case.
func lower(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}, s)
}

// text reports whether the wanted text is not set, or is the one there.
func text[S ~string](want, have S) bool { return want == "" || want == have }

// equal reports whether the wanted value is not set, or is the one there.
func equal[T comparable](want *T, have T) bool { return want == nil || *want == have }

// anyOf reports whether nothing is wanted, or one of the wanted values is there.
func anyOf[T comparable](want []T, have T) bool { return len(want) == 0 || slices.Contains(want, have) }

// allOf reports whether all the wanted values are there.
func allOf(want, have []string) bool {
	for _, w := range want {
		if !slices.Contains(have, w) {
			return false
		}
	}
	return true
}
