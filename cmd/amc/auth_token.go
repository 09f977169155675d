package main

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/openams/ams"
	"github.com/openams/ams/client"
)

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
