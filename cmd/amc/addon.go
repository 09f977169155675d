package main

import (
	"context"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/openams/ams"
	"github.com/openams/ams/client"
)

// addonView is an addon as show prints it.
type addonView struct {
	Name     string                   `json:"name" yaml:"name"`
	Versions map[int]addonVersionView `json:"versions" yaml:"versions"`
	UsedBy   []string                 `json:"used_by" yaml:"used_by"`
}

type addonVersionView struct {
	Size      string `json:"size" yaml:"size"`
	CreatedAt string `json:"created-at" yaml:"created-at"`
}

func viewAddon(a *ams.Addon, usedBy []string) addonView {
	v := addonView{Name: a.Name, Versions: map[int]addonVersionView{}, UsedBy: notNil(usedBy)}
	for _, n := range a.Versions {
		v.Versions[n.Number] = addonVersionView{ams.Size(n.Package.Size).String(), when(n.CreatedAt)}
	}
	return v
}

func (p *program) addonCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "addon", Short: "Manage addons"}
	add := &cobra.Command{
		Use: "add <name> <package>", Short: "Add an addon from a package: a directory, .tar.bz2 or .zip", Args: cobra.ExactArgs(2),
		RunE: p.with(func(ctx context.Context, c *client.Client, args []string) error {
			f, err := openFile(args[1])
			if err != nil {
				return err
			}
			defer f.Close() //nolint:errcheck // it is only read
			op, err := c.Addons.Add(ctx, args[0], p.progress(f, args[1]), ams.AddonOptions{})
			if err != nil {
				return err
			}
			return p.line(subject(op, "addon"))
		}),
	}
	update := &cobra.Command{
		Use: "update <addon> <package>", Short: "Add a version to an addon", Args: cobra.ExactArgs(2), ValidArgsFunction: p.names(addonNames),
		RunE: p.with(func(ctx context.Context, c *client.Client, args []string) error {
			f, err := openFile(args[1])
			if err != nil {
				return err
			}
			defer f.Close() //nolint:errcheck // it is only read
			op, err := c.Addons.Update(ctx, args[0], p.progress(f, args[1]), ams.AddonOptions{})
			return wait(ctx, c, false, op, err)
		}),
	}
	timeout(add)
	timeout(update)
	cmd.AddCommand(add, update, p.addonList(), p.addonShow(), p.addonDelete())
	return cmd
}

func (p *program) addonList() *cobra.Command {
	var f string
	cmd := &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List addons", Args: cobra.NoArgs,
		RunE: p.with(func(ctx context.Context, c *client.Client, _ []string) error {
			list, _, err := c.Addons.List(ctx, ams.AddonFilter{}, ams.Page{})
			if err != nil {
				return err
			}
			t := table{columns: []string{"NAME", "VERSIONS", "USED BY"}}
			views := []addonView{}
			for i := range list {
				usedBy, err := c.Addons.UsedBy(ctx, list[i].Name)
				if err != nil && ams.CodeOf(err) != ams.ErrNotFound {
					return err
				}
				t.rows = append(t.rows, []string{list[i].Name, strconv.Itoa(len(list[i].Versions)), strconv.Itoa(len(usedBy))})
				views = append(views, viewAddon(&list[i], usedBy))
			}
			t.objects = views
			return p.print(t, f)
		}),
	}
	format(cmd, &f, "table", "table", "json", "csv")
	return cmd
}

func (p *program) addonShow() *cobra.Command {
	var f string
	cmd := &cobra.Command{
		Use: "show <addon>", Short: "Show an addon", Args: cobra.ExactArgs(1), ValidArgsFunction: p.names(addonNames),
		RunE: p.with(func(ctx context.Context, c *client.Client, args []string) error {
			a, err := c.Addons.Get(ctx, args[0])
			if err != nil {
				return err
			}
			usedBy, err := c.Addons.UsedBy(ctx, args[0])
			if err != nil {
				return err
			}
			return p.show(viewAddon(&a, usedBy), f)
		}),
	}
	format(cmd, &f, "yaml", "json", "yaml")
	return cmd
}

func (p *program) addonDelete() *cobra.Command {
	var sure bool
	var number int
	cmd := &cobra.Command{
		Use: "delete <addon>", Aliases: []string{"rm"}, Short: "Delete an addon, or a version of one", Args: cobra.ExactArgs(1), ValidArgsFunction: p.names(addonNames),
		RunE: p.with(func(ctx context.Context, c *client.Client, args []string) error {
			if _, err := c.Addons.Get(ctx, args[0]); err != nil { // before anybody is asked
				return err
			}
			if err := p.confirm(sure, "addons", args); err != nil {
				return err
			}
			if number >= 0 {
				op, err := c.Addons.DeleteVersion(ctx, args[0], number)
				return wait(ctx, c, false, op, err)
			}
			op, err := c.Addons.Delete(ctx, args[0])
			return wait(ctx, c, false, op, err)
		}),
	}
	cmd.Flags().IntVarP(&number, "version", "v", -1, "only this version")
	yes(cmd, &sure)
	timeout(cmd)
	return cmd
}
