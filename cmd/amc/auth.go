package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/openams/ams"
	"github.com/openams/ams/client"
)

// identityView is an identity as show prints it.
type identityView struct {
	ID          string   `json:"id" yaml:"id"`
	Method      string   `json:"authentication-method" yaml:"authentication-method"`
	Name        string   `json:"name" yaml:"name"`
	Email       string   `json:"email,omitempty" yaml:"email,omitempty"`
	Fingerprint string   `json:"fingerprint,omitempty" yaml:"fingerprint,omitempty"`
	Groups      []string `json:"groups" yaml:"groups"`
	CreatedAt   string   `json:"created-at" yaml:"created-at"`
	UpdatedAt   string   `json:"updated-at" yaml:"updated-at"`
}

func viewIdentity(i *ams.Identity) identityView {
	return identityView{i.ID, string(i.Method), i.Name, i.Email, i.Fingerprint, notNil(i.Groups), when(i.CreatedAt), when(i.UpdatedAt)}
}

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

func (p *program) authCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "auth", Short: "Manage who may call, and what they may do"}
	identity := &cobra.Command{Use: "identity", Short: "Manage who may call"}
	group := &cobra.Command{Use: "group", Aliases: []string{"groups"}, Short: "Manage groups of identities"}
	permissions := &cobra.Command{Use: "permissions", Aliases: []string{"permission"}, Short: "See what may be done"}
	token := &cobra.Command{Use: "token", Short: "Manage join tokens: with one, a client makes itself known, once"}
	members := &cobra.Command{Use: "group", Short: "Change the groups of an identity"}
	members.AddCommand(p.membership("add"), p.membership("delete"))
	identity.AddCommand(p.identityCreate(), p.identityList(), p.identityShow(), p.identityDelete(), members)
	grants := &cobra.Command{Use: "permission", Aliases: []string{"permissions"}, Short: "Change what a group may do"}
	grants.AddCommand(p.grant("add"), p.grant("delete"))
	group.AddCommand(p.groupCreate(), p.groupList(), p.groupShow(), p.groupSet(), p.groupDelete(), grants)
	permissions.AddCommand(p.permissionsList())
	token.AddCommand(p.tokenCreate(), p.tokenList(), p.tokenRevoke())
	cmd.AddCommand(identity, group, permissions, token)
	return cmd
}

func (p *program) identityCreate() *cobra.Command {
	var groups []string
	cmd := &cobra.Command{
		Use: "create <oidc or tls>/<name> [<file or ->]", Short: "Make an identity: oidc/<email address>, or tls/<name> and its certificate", Args: cobra.RangeArgs(1, 2),
		RunE: p.with(func(ctx context.Context, c *client.Client, args []string) error {
			method, name, ok := strings.Cut(args[0], "/")
			if !ok {
				return fmt.Errorf("%q must be oidc/<email address>, or tls/<name>", args[0])
			}
			req := ams.IdentityRequest{Method: ams.AuthMethod(method), Groups: groups}
			if req.Method == ams.AuthOIDC {
				req.Email = name
			} else {
				req.Name = name
			}
			if len(args) == 2 {
				data, err := p.readFile(args[1])
				if err != nil {
					return err
				}
				req.Certificate = data
			}
			op, err := c.Identities.Create(ctx, req)
			if err != nil {
				return err
			}
			return p.line(subject(op, "identity"))
		}),
	}
	cmd.Flags().StringSliceVarP(&groups, "groups", "g", nil, "the groups that it is in")
	return cmd
}

func (p *program) identityList() *cobra.Command {
	var f string
	var by []string
	cmd := &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List who may call", Args: cobra.NoArgs,
		RunE: p.with(func(ctx context.Context, c *client.Client, _ []string) error {
			found, err := filters(by, "id", "auth_type")
			if err != nil {
				return err
			}
			list, _, err := c.Identities.List(ctx, ams.IdentityFilter{ID: found["id"], Method: ams.AuthMethod(found["auth_type"])}, ams.Page{})
			if err != nil {
				return err
			}
			t := table{columns: []string{"ID", "AUTHENTICATION TYPE", "NAME", "IDENTIFIER", "GROUPS"}}
			views := []identityView{}
			for i := range list {
				one := &list[i]
				t.rows = append(t.rows, []string{one.ID, string(one.Method), one.Name, one.Email + one.Fingerprint, strings.Join(one.Groups, ",")})
				views = append(views, viewIdentity(one))
			}
			t.objects = views
			return p.print(t, f)
		}),
	}
	cmd.Flags().StringArrayVarP(&by, "filter", "f", nil, "<key>=<value>, of id, auth_type (may be repeated)")
	format(cmd, &f, "table", "table", "json", "csv")
	return cmd
}

func (p *program) identityShow() *cobra.Command {
	var f string
	cmd := &cobra.Command{
		Use: "show <identity>", Short: "Show an identity", Args: cobra.ExactArgs(1),
		RunE: p.with(func(ctx context.Context, c *client.Client, args []string) error {
			i, err := c.Identities.Get(ctx, args[0])
			if err != nil {
				return err
			}
			return p.show(viewIdentity(&i), f)
		}),
	}
	format(cmd, &f, "yaml", "json", "yaml")
	return cmd
}

func (p *program) identityDelete() *cobra.Command {
	var force, sure, noWait bool
	cmd := &cobra.Command{
		Use: "delete <identity>", Aliases: []string{"rm"}, Short: "Remove an identity", Args: cobra.ExactArgs(1),
		RunE: p.with(func(ctx context.Context, c *client.Client, args []string) error {
			if _, err := c.Identities.Get(ctx, args[0]); err != nil { // before anybody is asked
				return err
			}
			if err := p.confirm(sure, "identities", args); err != nil {
				return err
			}
			op, err := c.Identities.Delete(ctx, args[0], force)
			return wait(ctx, c, noWait, op, err)
		}),
	}
	cmd.Flags().BoolVarP(&force, "force", "f", false, "also one that is in groups")
	cmd.Flags().BoolVar(&noWait, "no-wait", false, "do not wait until it is gone")
	yes(cmd, &sure)
	timeout(cmd)
	return cmd
}

func (p *program) membership(use string) *cobra.Command {
	var groups []string
	cmd := &cobra.Command{
		Use: use + " <identity>", Short: map[string]string{"add": "Put an identity into groups", "delete": "Take an identity out of groups"}[use], Args: cobra.ExactArgs(1),
		RunE: p.with(func(ctx context.Context, c *client.Client, args []string) error {
			i, err := c.Identities.Get(ctx, args[0])
			if err != nil {
				return err
			}
			list := slices.DeleteFunc(slices.Clone(i.Groups), func(g string) bool { return slices.Contains(groups, g) })
			if use == "add" {
				list = append(list, groups...)
			}
			op, err := c.Identities.SetGroups(ctx, i.ID, list)
			return wait(ctx, c, false, op, err)
		}),
	}
	cmd.Flags().StringSliceVarP(&groups, "groups", "g", nil, "the groups")
	complete(cmd.MarkFlagRequired("groups"))
	return cmd
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

func (p *program) tokenCreate() *cobra.Command {
	var req ams.JoinTokenRequest
	cmd := &cobra.Command{
		Use: "create", Aliases: []string{"add"}, Short: "Issue a join token, and print it: it is not shown again", Args: cobra.NoArgs,
		RunE: p.with(func(ctx context.Context, c *client.Client, _ []string) error {
			t, err := c.Tokens.Issue(ctx, req)
			if err != nil {
				return err
			}
			return p.line(t.Secret)
		}),
	}
	cmd.Flags().StringVar(&req.Name, "name", "", "the name of the identity that comes of it")
	cmd.Flags().StringSliceVarP(&req.Groups, "groups", "g", nil, "the groups that it will be in")
	cmd.Flags().DurationVar(&req.Lifetime, "lifetime", time.Hour, "how long it can be used")
	return cmd
}

func (p *program) tokenList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List the join tokens that can be used", Args: cobra.NoArgs,
		RunE: p.with(func(ctx context.Context, c *client.Client, _ []string) error {
			list, _, err := c.Tokens.List(ctx, ams.Page{})
			t := table{columns: []string{"ID", "NAME", "GROUPS", "EXPIRES AT"}}
			for _, one := range list {
				t.rows = append(t.rows, []string{one.ID, one.Name, strings.Join(one.Groups, ","), when(one.ExpiresAt)})
			}
			if err != nil {
				return err
			}
			return p.print(t, "table")
		}),
	}
}

func (p *program) tokenRevoke() *cobra.Command {
	return &cobra.Command{
		Use: "revoke <id>", Aliases: []string{"delete", "rm"}, Short: "Make a join token useless", Args: cobra.ExactArgs(1),
		RunE: p.with(func(ctx context.Context, c *client.Client, args []string) error { return c.Tokens.Revoke(ctx, args[0]) }),
	}
}

// trustCommand is the older way to manage certificates.
func (p *program) trustCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "trust", Short: "Manage trusted certificates; see also: amc auth identity"}
	add := &cobra.Command{
		Use: "add <file or ->", Short: "Trust a certificate: its owner may do everything", Args: cobra.ExactArgs(1),
		RunE: p.with(func(ctx context.Context, c *client.Client, args []string) error {
			data, err := p.readFile(args[0])
			if err != nil {
				return err
			}
			op, err := c.Identities.Create(ctx, ams.IdentityRequest{Method: ams.AuthTLS, Certificate: firstCertificate(data), Groups: []string{ams.AdminGroup}})
			return wait(ctx, c, false, op, err)
		}),
	}
	var f string
	list := &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List trusted certificates", Args: cobra.NoArgs,
		RunE: p.with(func(ctx context.Context, c *client.Client, _ []string) error {
			identities, _, err := c.Identities.List(ctx, ams.IdentityFilter{Method: ams.AuthTLS}, ams.Page{})
			if err != nil {
				return err
			}
			type view struct {
				Fingerprint string `json:"fingerprint" yaml:"fingerprint"`
				CommonName  string `json:"common-name" yaml:"common-name"`
				IssueDate   string `json:"issue-date" yaml:"issue-date"`
				ExpiryDate  string `json:"expiry-date" yaml:"expiry-date"`
			}
			t := table{columns: []string{"FINGERPRINT", "COMMON NAME", "ISSUE DATE", "EXPIRY DATE"}}
			views := []view{}
			const layout = "Jan _2, 2006 at 3:04pm (MST)"
			for _, i := range identities {
				cert, err := i.X509()
				if err != nil {
					return err
				}
				v := view{i.Fingerprint, cert.Subject.CommonName, cert.NotBefore.UTC().Format(layout), cert.NotAfter.UTC().Format(layout)}
				t.rows = append(t.rows, []string{v.Fingerprint[:12], v.CommonName, v.IssueDate, v.ExpiryDate})
				views = append(views, v)
			}
			t.objects = views
			return p.print(t, f)
		}),
	}
	format(list, &f, "table", "table", "json", "yaml")
	remove := &cobra.Command{
		Use: "remove <fingerprint or common name>", Aliases: []string{"rm"}, Short: "Trust a certificate no longer", Args: cobra.ExactArgs(1),
		RunE: p.with(func(ctx context.Context, c *client.Client, args []string) error {
			i, err := c.Identities.Get(ctx, args[0])
			if ams.CodeOf(err) == ams.ErrNotFound {
				i, err = c.Identities.Get(ctx, "tls/"+args[0])
			}
			if err != nil {
				return err
			}
			op, err := c.Identities.Delete(ctx, i.ID, true)
			if err := wait(ctx, c, false, op, err); err != nil {
				return err
			}
			return p.line("removed " + i.Fingerprint)
		}),
	}
	cmd.AddCommand(add, list, remove)
	return cmd
}

// firstCertificate leaves out what follows a certificate in a file, such as its key.
func firstCertificate(data []byte) []byte {
	const end = "-----END CERTIFICATE-----"
	if i := strings.Index(string(data), end); i >= 0 {
		return data[:i+len(end)]
	}
	return data
}
