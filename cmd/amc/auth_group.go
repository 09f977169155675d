package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/openams/ams"
	"github.com/openams/ams/client"
)

// groupView is a group as show prints it.
type groupView struct {
	Name        string              `json:"name" yaml:"name"`
	Description string              `json:"description" yaml:"description"`
	Identities  []string            `json:"identities" yaml:"identities"`
	Permissions map[string][]string `json:"permissions" yaml:"permissions"`
	CreatedAt   string              `json:"created-at" yaml:"created-at"`
	UpdatedAt   string              `json:"updated-at" yaml:"updated-at"`
	Immutable   bool                `json:"immutable" yaml:"immutable"`
}

// byResource sorts permissions by what they are on.
func byResource(list []ams.Permission) map[string][]string {
	by := map[string][]string{}
	for _, p := range list {
		by[p.Resource] = append(by[p.Resource], p.Entitlement)
	}
	for _, some := range by {
		slices.Sort(some)
	}
	return by
}

func (p *program) groupCreate() *cobra.Command {
	var description string
	cmd := &cobra.Command{
		Use: "create <name>", Short: "Make a group", Args: cobra.ExactArgs(1),
		RunE: p.with(func(ctx context.Context, c *client.Client, args []string) error {
			op, err := c.Groups.Create(ctx, args[0], description)
			return wait(ctx, c, false, op, err)
		}),
	}
	cmd.Flags().StringVarP(&description, "description", "d", "", "what it is for")
	return cmd
}

// groupView returns a group with its members.
func (p *program) groupView(ctx context.Context, c *client.Client, g *ams.Group) (groupView, error) {
	members, _, err := c.Identities.List(ctx, ams.IdentityFilter{Group: g.Name}, ams.Page{})
	v := groupView{g.Name, g.Description, []string{}, byResource(g.Permissions), when(g.CreatedAt), when(g.UpdatedAt), g.Immutable}
	for _, i := range members {
		v.Identities = append(v.Identities, i.ID)
	}
	return v, err
}

func (p *program) groupList() *cobra.Command {
	var f string
	var by []string
	cmd := &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List groups", Args: cobra.NoArgs,
		RunE: p.with(func(ctx context.Context, c *client.Client, _ []string) error {
			found, err := filters(by, "name")
			if err != nil {
				return err
			}
			list, _, err := c.Groups.List(ctx, ams.GroupFilter{Name: found["name"]}, ams.Page{})
			if err != nil {
				return err
			}
			t := table{columns: []string{"NAME", "IDENTITIES", "CREATED AT", "UPDATED AT"}}
			views := []groupView{}
			for i := range list {
				v, err := p.groupView(ctx, c, &list[i])
				if err != nil {
					return err
				}
				t.rows = append(t.rows, []string{v.Name, strconv.Itoa(len(v.Identities)), v.CreatedAt, v.UpdatedAt})
				views = append(views, v)
			}
			t.objects = views
			return p.print(t, f)
		}),
	}
	cmd.Flags().StringArrayVarP(&by, "filter", "f", nil, "name=<part of the name>")
	format(cmd, &f, "table", "table", "json", "csv")
	return cmd
}

func (p *program) groupShow() *cobra.Command {
	var f string
	cmd := &cobra.Command{
		Use: "show <group>", Short: "Show a group", Args: cobra.ExactArgs(1),
		RunE: p.with(func(ctx context.Context, c *client.Client, args []string) error {
			g, err := c.Groups.Get(ctx, args[0])
			if err != nil {
				return err
			}
			v, err := p.groupView(ctx, c, &g)
			if err != nil {
				return err
			}
			return p.show(v, f)
		}),
	}
	format(cmd, &f, "yaml", "json", "yaml")
	return cmd
}

func (p *program) groupSet() *cobra.Command {
	return &cobra.Command{
		Use: "set <group> description <text>", Short: "Change the description of a group", Args: cobra.ExactArgs(3),
		RunE: p.with(func(ctx context.Context, c *client.Client, args []string) error {
			if args[1] != "description" {
				return fmt.Errorf("there is no key %q; there is description", args[1])
			}
			op, err := c.Groups.Set(ctx, args[0], ams.GroupPatch{Description: &args[2]})
			return wait(ctx, c, false, op, err)
		}),
	}
}

func (p *program) groupDelete() *cobra.Command {
	var force, sure, noWait bool
	cmd := &cobra.Command{
		Use: "delete <group>", Aliases: []string{"rm"}, Short: "Remove a group", Args: cobra.ExactArgs(1),
		RunE: p.with(func(ctx context.Context, c *client.Client, args []string) error {
			if _, err := c.Groups.Get(ctx, args[0]); err != nil { // before anybody is asked
				return err
			}
			if err := p.confirm(sure, "groups", args); err != nil {
				return err
			}
			op, err := c.Groups.Delete(ctx, args[0], force)
			return wait(ctx, c, noWait, op, err)
		}),
	}
	cmd.Flags().BoolVarP(&force, "force", "f", false, "also one with members")
	cmd.Flags().BoolVar(&noWait, "no-wait", false, "do not wait until it is gone")
	yes(cmd, &sure)
	timeout(cmd)
	return cmd
}

func (p *program) grant(use string) *cobra.Command {
	var names []string
	cmd := &cobra.Command{
		Use: use + " <group> <type> [<id or name>]", Short: map[string]string{"add": "Let a group do something", "delete": "No longer let a group do something"}[use],
		Long: "Types: server, which has no name, and identity, group, addon, application, image, instance, node.\nSee what there is with: amc auth permissions list --all",
		Args: cobra.RangeArgs(2, 3),
		RunE: p.with(func(ctx context.Context, c *client.Client, args []string) error {
			g, err := c.Groups.Get(ctx, args[0])
			if err != nil {
				return err
			}
			resource := args[1]
			if len(args) == 3 {
				resource += ":" + args[2]
			}
			list := slices.Clone(g.Permissions)
			if use == "delete" {
				if resource, err = p.resource(ctx, c, args); err != nil {
					return err
				}
			}
			for _, name := range names {
				one := ams.Permission{Entitlement: name, Resource: resource}
				if use == "add" {
					list = append(list, one)
					continue
				}
				if !slices.Contains(list, one) {
					return fmt.Errorf("group %q has no permission %s on %s", g.Name, name, resource)
				}
				list = slices.DeleteFunc(list, func(have ams.Permission) bool { return have == one })
			}
			op, err := c.Groups.Set(ctx, g.Name, ams.GroupPatch{Permissions: &list})
			return wait(ctx, c, false, op, err)
		}),
	}
	cmd.Flags().StringSliceVarP(&names, "permissions", "p", nil, "the permissions")
	complete(cmd.MarkFlagRequired("permissions"))
	return cmd
}

// resource returns what a permission is on, with the id in place of a name. What is
// gone has no name any more.
func (p *program) resource(ctx context.Context, c *client.Client, args []string) (string, error) {
	if len(args) < 3 {
		return args[1], nil
	}
	id := args[2]
	var err error
	switch args[1] {
	case "application":
		var a ams.Application
		if a, err = c.Applications.Get(ctx, id); err == nil {
			id = a.ID
		}
	case "image":
		var i ams.Image
		if i, err = c.Images.Get(ctx, id); err == nil {
			id = i.ID
		}
	case "instance":
		var in ams.Instance
		if in, err = c.Instances.Get(ctx, id); err == nil {
			id = in.ID
		}
	case "identity":
		var i ams.Identity
		if i, err = c.Identities.Get(ctx, id); err == nil {
			id = i.ID
		}
	}
	if ams.CodeOf(err) == ams.ErrNotFound {
		err = nil
	}
	return args[1] + ":" + id, err
}

func (p *program) permissionsList() *cobra.Command {
	var f string
	var all bool
	cmd := &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List what this client may do", Args: cobra.NoArgs,
		RunE: p.with(func(ctx context.Context, c *client.Client, _ []string) error {
			if all {
				t := table{columns: []string{"RESOURCE TYPE", "ENTITLEMENT", "DESCRIPTION"}, objects: ams.Entitlements()}
				for _, e := range ams.Entitlements() {
					t.rows = append(t.rows, []string{e.Type, e.Name, e.Description})
				}
				return p.print(t, f)
			}
			list, err := c.Permissions(ctx)
			if err != nil {
				return err
			}
			by := byResource(list)
			var resources []string
			for r := range by {
				resources = append(resources, r)
			}
			slices.Sort(resources)
			t := table{columns: []string{"RESOURCE TYPE", "RESOURCE ID", "ENTITLEMENTS"}, objects: by}
			for _, r := range resources {
				kind, id, _ := strings.Cut(r, ":")
				t.rows = append(t.rows, []string{kind, id, strings.Join(by[r], ",")})
			}
			return p.print(t, f)
		}),
	}
	cmd.Flags().BoolVar(&all, "all", false, "list what there is to be allowed, instead")
	format(cmd, &f, "table", "table", "json", "csv")
	return cmd
}
