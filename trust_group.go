package ams

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/openams/ams/internal/xid"
)

// AdminGroup is the group whose members may do everything. It is always there.
const AdminGroup = "admin"

// Group is identities that share permissions.
type Group struct {
	Name        string // the key
	Rev         int64
	Description string
	Permissions []Permission
	Immutable   bool // it cannot be changed or deleted, but its members can; as AdminGroup
	CreatedAt   time.Time
	UpdatedAt   time.Time
}

func adminGroup() *Group {
	return &Group{
		Name: AdminGroup, Description: "Administrators", Immutable: true, Permissions: []Permission{{Entitlement: "admin", Resource: "server"}},
	}
}

// GroupFilter chooses groups.
type GroupFilter struct {
	Name string // part of the name, in any case
}

// GroupPatch is a change of a group. A nil field is left as it is.
type GroupPatch struct {
	Description *string
	Permissions *[]Permission // the whole new list
}

// The bounds of groups.
const (
	maxDescription = 1024
	maxPermissions = 1000
)

// Groups is the service for groups of identities.
type Groups struct{ m *Manager }

// Create makes a group without members and permissions. Its name is 3 to 255 letters,
// digits or any of - _ . and its description 1,024 bytes at most. The operation has
// succeeded already.
//
// Errors: ErrInvalid; ErrExists.
func (s *Groups) Create(ctx context.Context, name, description string) (Operation, error) {
	faults := newManifestFaults()
	if faults.name("name", name, false); faults.err() != nil {
		return Operation{}, faults.err()
	}
	if err := checkDescription(description); err != nil {
		return Operation{}, err
	}
	return s.change(ctx, name, "create group", func(c *change) error {
		if name == AdminGroup {
			return &Error{Code: ErrExists, Kind: "group", ID: name}
		}
		c.lifecycle("group", name, "created", "")
		return c.Groups().Put(Group{Name: name, Description: description, CreatedAt: c.now, UpdatedAt: c.now})
	})
}

func checkDescription(text string) error {
	if len(text) > maxDescription {
		return Errorf(ErrInvalid, "description has %d bytes, the most is %d", len(text), maxDescription)
	}
	return nil
}

// change commits a change of a group, with the operation that tells of it.
func (s *Groups) change(ctx context.Context, name, what string, fn func(*change) error) (Operation, error) {
	opID := xid.UUID(s.m.now())
	err := s.m.update(ctx, func(c *change) error {
		c.trust = true
		if err := fn(c); err != nil {
			return err
		}
		return c.doneOperation(opID, what, map[string][]string{"group": {name}})
	})
	if err != nil {
		return Operation{}, wrapName(err, "group", name)
	}
	return s.m.Operations.Get(ctx, opID)
}

// Get returns a group, or ErrNotFound.
func (s *Groups) Get(ctx context.Context, name string) (Group, error) {
	var g Group
	err := s.m.view(ctx, func(tx Tx) (err error) {
		g, err = findGroup(tx, name)
		return err
	})
	return g, wrapName(err, "group", name)
}

func findGroup(tx Tx, name string) (Group, error) {
	if name == AdminGroup {
		return *adminGroup(), nil
	}
	return tx.Groups().Get(name)
}

// List returns the groups that match the filter in order of name, cut to the page, and
// how many match in all.
func (s *Groups) List(ctx context.Context, filter GroupFilter, page Page) ([]Group, int, error) {
	var list []Group
	err := s.m.view(ctx, func(tx Tx) error {
		all, err := tx.Groups().List(AllRows{}, Page{})
		list = append(all, *adminGroup())
		return err
	})
	list = slices.DeleteFunc(list, func(g Group) bool {
		return !strings.Contains(strings.ToLower(g.Name), strings.ToLower(filter.Name))
	})
	slices.SortFunc(list, func(a, b Group) int { return strings.Compare(a.Name, b.Name) })
	return cutPage(list, page), len(list), err
}

// Set changes a group. A permission that is new must be on an object that exists; it
// may name it by name, and is kept by id. The operation has succeeded already.
//
// Errors: ErrNotFound (group, object); ErrInvalid; ErrState for AdminGroup.
func (s *Groups) Set(ctx context.Context, name string, p GroupPatch) (Operation, error) {
	if p.Description != nil {
		if err := checkDescription(*p.Description); err != nil {
			return Operation{}, err
		}
	}
	if p.Permissions != nil && len(*p.Permissions) > maxPermissions {
		return Operation{}, Errorf(ErrInvalid, "permissions has %d elements, the most is %d", len(*p.Permissions), maxPermissions)
	}
	return s.change(ctx, name, "update group", func(c *change) error {
		g, err := findGroup(c, name)
		if err != nil {
			return err
		}
		if g.Immutable {
			return &Error{Code: ErrState, Kind: "group", ID: name, Err: errors.New("cannot be changed; its members can")}
		}
		set(&g.Description, p.Description)
		if p.Permissions != nil {
			if g.Permissions, err = c.permissions(*p.Permissions, g.Permissions); err != nil {
				return err
			}
		}
		g.UpdatedAt = c.now
		c.lifecycle("group", name, "updated", "")
		return c.Groups().Put(g)
	})
}

// Delete removes a group. One with members is removed only by force: its members lose
// what it gave them. The operation has succeeded already.
//
// Errors: ErrNotFound; ErrInUse; ErrState for AdminGroup.
func (s *Groups) Delete(ctx context.Context, name string, force bool) (Operation, error) {
	return s.change(ctx, name, "delete group", func(c *change) error {
		g, err := findGroup(c, name)
		if err != nil {
			return err
		}
		if g.Immutable {
			return &Error{Code: ErrState, Kind: "group", ID: name, Err: errors.New("cannot be deleted")}
		}
		identities, err := c.Identities().List(AllRows{}, Page{})
		if err != nil {
			return err
		}
		members := slices.DeleteFunc(identities, func(i Identity) bool { return !slices.Contains(i.Groups, name) })
		if len(members) > 0 && !force {
			return &Error{Code: ErrInUse, Kind: "group", ID: name, Err: fmt.Errorf("has %d members; force removes them from it", len(members))}
		}
		for _, i := range members {
			i.Groups = slices.DeleteFunc(slices.Clone(i.Groups), func(g string) bool { return g == name })
			if err := c.putIdentity(i); err != nil {
				return err
			}
		}
		c.lifecycle("group", name, "deleted", "")
		return c.Groups().Delete(name)
	})
}

// groups returns names of groups, each once and sorted. ErrNotFound.
func (c *change) groups(names []string) ([]string, error) {
	for _, name := range names {
		if _, err := findGroup(c, name); err != nil {
			return nil, wrapName(err, "group", name)
		}
	}
	sorted := slices.Clone(names)
	slices.Sort(sorted)
	return slices.Compact(sorted), nil
}
