package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/openams/ams"
	"github.com/openams/ams/client"
)

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
