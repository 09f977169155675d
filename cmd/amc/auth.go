package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

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
