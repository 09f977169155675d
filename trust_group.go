package ams

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// AdminGroup is the group that is always there: its members may do everything.
const AdminGroup = "admin"

// Group is a set of identities that may do the same.
type Group struct {
	Name        string // the key; 3 to 255 letters, digits, '-', '_', ':' and '.'
	Rev         int64
	Description string       // for people, 1,024 bytes at most
	Permissions []Permission // in order of resource and entitlement; admin needs none
	Immutable   bool         // admin alone: only its members can be changed
	CreatedAt   time.Time
	UpdatedAt   time.Time
}

// GroupFilter chooses groups. Every field that is set must match.
type GroupFilter struct {
	Name string // part of the name; ASCII letters match in either case
}

// GroupPatch is a change of a group. A nil field is left as it is.
type GroupPatch struct {
	Description *string
	Permissions *[]Permission // the whole new list, of 1,000 at most
}

const (
	maxDescription = 1024
	maxPermissions = 1000
	maxGroups      = 1000 // of one identity
)

// Groups is the service for groups. Who is a member of one is told by
// Identities.List with IdentityFilter.Group, and changed by Identities.SetGroups.
type Groups struct{ m *Manager }

// Create makes a group without members and permissions. The operation it returns has
// succeeded already.
//
// Errors: ErrInvalid with all problems at once; ErrExists.
func (s *Groups) Create(ctx context.Context, name, description string) (Operation, error) {
	faults := newManifestFaults()
	faults.name("name", name, true)
	faults.description(description)
	if err := faults.err(); err != nil {
		return Operation{}, err
	}
	op, err := s.m.atOnce(ctx, "create group", func(c *change) (map[string][]string, error) {
		g := Group{Name: name, Description: description, CreatedAt: c.now}
		return map[string][]string{"group": {name}}, c.putGroup(g, "created")
	})
	return op, wrapName(err, "group", name)
}

func (f *manifestFaults) description(s string) {
	if len(s) > maxDescription {
		f.add("description", s, "description has %d bytes (maximum %d)", len(s), maxDescription)
	} else if fault := textFault(s); fault != "" {
		f.add("description", s, "description is not allowed: %s", fault)
	}
}

// List returns the groups that match the filter in order of name, cut to the page,
// and how many match in all.
func (s *Groups) List(ctx context.Context, filter GroupFilter, page Page) ([]Group, int, error) {
	if err := s.m.builtIn(ctx); err != nil {
		return nil, 0, err
	}
	var list []Group
	var total int
	err := s.m.view(ctx, func(tx Tx) (err error) {
		list, total, err = listPage(tx.Groups(), filter, page)
		return err
	})
	return list, total, err
}

// Get returns the group, or ErrNotFound.
func (s *Groups) Get(ctx context.Context, name string) (Group, error) {
	if err := s.m.builtIn(ctx); err != nil {
		return Group{}, err
	}
	var g Group
	err := s.m.view(ctx, func(tx Tx) (err error) {
		g, err = tx.Groups().Get(name)
		return err
	})
	return g, wrapName(err, "group", name)
}

// Set changes a group. It counts at once. Permissions may name an object by its name;
// they are kept by its id. One that the group has already may stay when its object is
// gone. The operation it returns has succeeded already.
//
// Errors: ErrNotFound (group, object of a new permission); ErrInvalid with all
// problems at once; ErrState for the group admin.
func (s *Groups) Set(ctx context.Context, name string, p GroupPatch) (Operation, error) {
	faults := newManifestFaults()
	if p.Description != nil {
		faults.description(*p.Description)
	}
	if p.Permissions != nil {
		faults.permissions(*p.Permissions)
	}
	if err := faults.err(); err != nil {
		return Operation{}, err
	}
	return s.m.atOnce(ctx, "update group", func(c *change) (map[string][]string, error) {
		g, err := c.mutableGroup(name)
		if err != nil {
			return nil, err
		}
		resources := map[string][]string{"group": {name}}
		before := g
		set(&g.Description, p.Description)
		if p.Permissions != nil {
			if g.Permissions, err = resolvePermissions(c, *p.Permissions, before.Permissions); err != nil {
				return nil, err
			}
		}
		if g.Description == before.Description && slices.Equal(g.Permissions, before.Permissions) {
			return resources, nil
		}
		return resources, c.putGroup(g, "updated")
	})
}

// Delete deletes a group. Its members stay known and are members no longer, and join
// tokens no longer lead to it. The operation it returns has succeeded already.
//
// Errors: ErrNotFound; ErrInUse when it has members, unless forced; ErrState for the
// group admin.
func (s *Groups) Delete(ctx context.Context, name string, force bool) (Operation, error) {
	return s.m.atOnce(ctx, "delete group", func(c *change) (map[string][]string, error) {
		if _, err := c.mutableGroup(name); err != nil {
			return nil, err
		}
		members, err := c.Identities().List(IdentityFilter{Group: name}, Page{})
		if err != nil {
			return nil, err
		}
		if n := len(members); n > 0 && !force {
			return nil, &Error{Code: ErrInUse, Kind: "group", ID: name, Err: fmt.Errorf("has members: %d; force deletes it all the same", n)}
		}
		for _, i := range members {
			i.Groups = without(i.Groups, name)
			if err := c.putIdentity(i, "updated"); err != nil {
				return nil, err
			}
		}
		if err := c.forgetGroup(name); err != nil {
			return nil, err
		}
		c.trusted = true
		c.lifecycle("group", name, "deleted", "")
		return map[string][]string{"group": {name}}, c.Groups().Delete(name)
	})
}

// forgetGroup takes a group that is being deleted out of what would make something
// of a later one of that name: permissions on it, and join tokens.
func (c *change) forgetGroup(name string) error {
	groups, err := c.Groups().List(GroupFilter{}, Page{})
	if err != nil {
		return err
	}
	for _, g := range groups {
		left := slices.DeleteFunc(slices.Clone(g.Permissions), func(p Permission) bool { return p.Resource == "group:"+name })
		if g.Name == name || len(left) == len(g.Permissions) {
			continue
		}
		g.Permissions = left
		if err := c.putGroup(g, "updated"); err != nil {
			return err
		}
	}
	tokens, err := c.JoinTokens().List(JoinTokenFilter{}, Page{})
	for _, t := range tokens {
		if slices.Contains(t.Groups, name) && err == nil {
			t.Groups = without(t.Groups, name)
			err = c.JoinTokens().Put(t)
		}
	}
	return err
}

// mutableGroup returns a group that may be changed.
func (c *change) mutableGroup(name string) (Group, error) {
	g, err := c.Groups().Get(name)
	if err == nil && g.Immutable {
		err = &Error{Code: ErrState, Kind: "group", ID: name, Err: errors.New("is built in; only its members can be changed")}
	}
	return g, wrapName(err, "group", name)
}

// putGroup stores a group and tells what became of it.
func (c *change) putGroup(g Group, action string) error {
	g.UpdatedAt = c.now
	c.trusted = true
	c.lifecycle("group", g.Name, action, "")
	return c.Groups().Put(g)
}

// groupNames returns names of groups in order, each once; nil for none. All must exist.
func (c *change) groupNames(names []string) ([]string, error) {
	if len(names) == 0 {
		return nil, nil
	}
	if len(names) > maxGroups {
		return nil, Errorf(ErrInvalid, "groups has %d items (maximum %d)", len(names), maxGroups)
	}
	names = slices.Compact(slices.Sorted(slices.Values(names)))
	for _, name := range names {
		if _, err := c.Groups().Get(name); err != nil {
			return nil, wrapName(err, "group", name)
		}
	}
	return names, nil
}

// builtIn makes the row of the group admin, once in the life of a store.
func (m *Manager) builtIn(ctx context.Context) error {
	if m.trust.builtIn.Load() {
		return nil
	}
	err := m.view(ctx, func(tx Tx) error {
		_, err := tx.Groups().Get(AdminGroup)
		return err
	})
	if CodeOf(err) == ErrNotFound {
		err = m.update(ctx, func(c *change) error {
			c.trusted = true
			g := adminGroup()
			g.CreatedAt, g.UpdatedAt = c.now, c.now
			return ignoreExists(c.Groups().Put(g))
		})
	}
	if err == nil {
		m.trust.builtIn.Store(true)
	}
	return err
}

func adminGroup() Group {
	return Group{Name: AdminGroup, Description: "Administrators", Immutable: true}
}

// without returns a list without an entry; nil if nothing is left.
func without(list []string, entry string) []string {
	var left []string
	for _, s := range list {
		if s != entry {
			left = append(left, s)
		}
	}
	return left
}
