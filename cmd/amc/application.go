package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/openams/ams"
	"github.com/openams/ams/client"
)

func (p *program) applicationCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "application", Aliases: []string{"app"}, Short: "Manage applications"}
	cmd.AddCommand(p.applicationCreate(), p.applicationUpdate(), p.applicationList(), p.applicationShow(), p.applicationSet(), p.applicationUnset(),
		p.applicationPublish("publish"), p.applicationPublish("revoke"), p.applicationDelete(), p.applicationExport(), p.applicationManifest(), p.applicationPrewarm())
	return cmd
}

func (p *program) applicationCreate() *cobra.Command {
	var vm, waits bool
	cmd := &cobra.Command{
		Use: "create <package>", Short: "Create an application from a package: a directory, .tar.bz2 or .zip", Args: cobra.ExactArgs(1),
		Long: "Create an application from a package: a directory, .tar.bz2 or .zip.\n\nIts id is printed once the package is there; the version is built thereafter. See: amc wait",
		RunE: p.with(func(ctx context.Context, c *client.Client, args []string) error {
			f, err := openFile(args[0])
			if err != nil {
				return err
			}
			defer f.Close() //nolint:errcheck // it is only read
			op, err := c.Applications.Create(ctx, p.progress(f, args[0]), ams.CreateOptions{VM: vm})
			if err != nil {
				return err
			}
			if err := p.line(subject(op, "application")); err != nil {
				return err
			}
			return wait(ctx, c, !waits, op, nil)
		}),
	}
	cmd.Flags().BoolVar(&vm, "vm", false, "run it in virtual machines")
	cmd.Flags().BoolVar(&waits, "wait", false, "wait until the version is built")
	timeout(cmd)
	return cmd
}

func (p *program) applicationUpdate() *cobra.Command {
	var waits bool
	cmd := &cobra.Command{
		Use: "update <application> [<package>]", Short: "Make a new version: of a package, or of newer images and addons", Args: cobra.RangeArgs(1, 2),
		ValidArgsFunction: p.names(applicationNames),
		RunE: p.with(func(ctx context.Context, c *client.Client, args []string) error {
			if len(args) == 1 {
				op, err := c.Applications.Refresh(ctx, args[0])
				return wait(ctx, c, !waits, op, err)
			}
			f, err := openFile(args[1])
			if err != nil {
				return err
			}
			defer f.Close() //nolint:errcheck // it is only read
			op, err := c.Applications.Update(ctx, args[0], p.progress(f, args[1]), ams.CreateOptions{})
			return wait(ctx, c, !waits, op, err)
		}),
	}
	cmd.Flags().BoolVar(&waits, "wait", false, "wait until the version is built")
	timeout(cmd)
	return cmd
}

func applicationFilter(list []string) (ams.ApplicationFilter, error) {
	var f ams.ApplicationFilter
	found, err := filters(list, "instance-type", "addons", "tag", "tags", "published", "immutable", "status", "vm", "name")
	if err != nil {
		return f, err
	}
	f.InstanceType, f.Name, f.Addons, f.Tags = found["instance-type"], found["name"], split(found["addons"]), append(split(found["tags"]), split(found["tag"])...)
	for _, s := range split(found["status"]) {
		f.Status = append(f.Status, ams.ApplicationStatus(s))
	}
	if f.Published, err = flag(found, "published"); err != nil {
		return f, err
	}
	if f.Immutable, err = flag(found, "immutable"); err != nil {
		return f, err
	}
	f.VM, err = flag(found, "vm")
	return f, err
}

func (p *program) applicationList() *cobra.Command {
	var f string
	var by []string
	cmd := &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List applications", Args: cobra.NoArgs,
		RunE: p.with(func(ctx context.Context, c *client.Client, _ []string) error {
			filter, err := applicationFilter(by)
			if err != nil {
				return err
			}
			list, _, err := c.Applications.List(ctx, filter, ams.Page{})
			if err != nil {
				return err
			}
			t := table{columns: []string{"ID", "NAME", "INSTANCE TYPE", "ADDONS", "TAGS", "PUBLISHED", "STATUS", "LAST UPDATED", "VM"}}
			views := []applicationView{}
			for i := range list {
				a := &list[i]
				versions, err := c.Applications.Versions(ctx, a.ID)
				if err != nil && ams.CodeOf(err) != ams.ErrNotFound {
					return err
				}
				updated := a.CreatedAt
				for _, v := range versions {
					if v.CreatedAt.After(updated) {
						updated = v.CreatedAt
					}
				}
				t.rows = append(t.rows, []string{
					a.ID, a.Name, a.Manifest.InstanceType, strings.Join(a.Manifest.Addons, ","), strings.Join(a.Manifest.Tags, ","),
					strconv.FormatBool(a.Published), string(a.Status), updated.UTC().Format(time.DateTime), strconv.FormatBool(a.VM),
				})
				views = append(views, viewApplication(a, versions, nil))
			}
			t.objects = views
			return p.print(t, f)
		}),
	}
	cmd.Flags().StringArrayVarP(&by, "filter", "f", nil, "<key>=<value>, of name, instance-type, addons, tags, published, immutable, status, vm (may be repeated)")
	format(cmd, &f, "table", "table", "json", "yaml", "csv")
	return cmd
}

func (p *program) applicationShow() *cobra.Command {
	var f string
	cmd := &cobra.Command{
		Use: "show <application>", Short: "Show an application", Args: cobra.ExactArgs(1), ValidArgsFunction: p.names(applicationNames),
		RunE: p.with(func(ctx context.Context, c *client.Client, args []string) error {
			a, err := c.Applications.Get(ctx, args[0])
			if err != nil {
				return err
			}
			versions, err := c.Applications.Versions(ctx, a.ID)
			if err != nil {
				return err
			}
			images, _, err := c.Images.List(ctx, ams.ImageFilter{}, ams.Page{})
			if err != nil {
				return err
			}
			return p.show(viewApplication(&a, versions, images), f)
		}),
	}
	format(cmd, &f, "yaml", "json", "yaml")
	return cmd
}

func (p *program) applicationPublish(use string) *cobra.Command {
	short := map[string]string{"publish": "Have a version launched where none is named", "revoke": "Undo publish"}[use]
	cmd := &cobra.Command{
		Use: use + " <application> <version>", Short: short, Args: cobra.ExactArgs(2), ValidArgsFunction: p.names(applicationNames),
		RunE: p.with(func(ctx context.Context, c *client.Client, args []string) error {
			n, err := strconv.Atoi(args[1])
			if err != nil {
				return fmt.Errorf("version is %q; it must be a number", args[1])
			}
			if use == "publish" {
				return c.Applications.Publish(ctx, args[0], n)
			}
			return c.Applications.Revoke(ctx, args[0], n)
		}),
	}
	timeout(cmd)
	return cmd
}

func (p *program) applicationDelete() *cobra.Command {
	var all, force, noWait, sure bool
	var number int
	cmd := &cobra.Command{
		Use: "delete [<application>…]", Aliases: []string{"rm"}, Short: "Delete applications, or a version of one", ValidArgsFunction: p.names(applicationNames),
		RunE: p.with(func(ctx context.Context, c *client.Client, args []string) error {
			if all == (len(args) > 0) {
				return errors.New("name applications, or use --all")
			}
			if number >= 0 && len(args) != 1 {
				return errors.New("--version is for one application")
			}
			names := args
			if all {
				list, _, err := c.Applications.List(ctx, ams.ApplicationFilter{}, ams.Page{})
				if err != nil {
					return err
				}
				for _, a := range list {
					args, names = append(args, a.ID), append(names, a.Name)
				}
			}
			for _, name := range args {
				if _, err := c.Applications.Get(ctx, name); err != nil { // before anybody is asked
					return err
				}
			}
			if len(args) == 0 {
				return nil
			}
			what := "applications"
			if number >= 0 {
				what = fmt.Sprintf("version (%d)", number)
			}
			if err := p.confirm(sure, what, names); err != nil {
				return err
			}
			if number >= 0 {
				op, err := c.Applications.DeleteVersion(ctx, args[0], number)
				return wait(ctx, c, noWait, op, err)
			}
			ops, err := c.Applications.DeleteAll(ctx, args, force)
			for _, op := range ops {
				if err := wait(ctx, c, noWait, op, nil); err != nil {
					return err
				}
			}
			return err
		}),
	}
	cmd.Flags().BoolVarP(&all, "all", "a", false, "all applications")
	cmd.Flags().BoolVarP(&force, "force", "f", false, "also what came from a registry")
	cmd.Flags().IntVarP(&number, "version", "v", -1, "only this version")
	cmd.Flags().BoolVar(&noWait, "no-wait", false, "do not wait until they are gone")
	yes(cmd, &sure)
	timeout(cmd)
	return cmd
}

func (p *program) applicationExport() *cobra.Command {
	var target string
	cmd := &cobra.Command{
		Use: "export <application> <version>", Short: "Write the image of a version to a file", Args: cobra.ExactArgs(2), ValidArgsFunction: p.names(applicationNames),
		RunE: p.with(func(ctx context.Context, c *client.Client, args []string) error {
			n, err := strconv.Atoi(args[1])
			if err != nil {
				return fmt.Errorf("version is %q; it must be a number", args[1])
			}
			export, err := c.Applications.Export(ctx, args[0], n)
			if err != nil {
				return err
			}
			defer export.Close() //nolint:errcheck // it is only read
			name := target
			if name == "" {
				name = export.Name
			}
			if err := save(name, export, export.Digest); err != nil {
				return err
			}
			return p.line(name)
		}),
	}
	cmd.Flags().StringVar(&target, "target", "", "the name of the file (default as the service has it)")
	return cmd
}

func (p *program) applicationManifest() *cobra.Command {
	return &cobra.Command{
		Use: "manifest <application> <version>", Short: "Print the manifest of a version", Args: cobra.ExactArgs(2), ValidArgsFunction: p.names(applicationNames),
		RunE: p.with(func(ctx context.Context, c *client.Client, args []string) error {
			n, err := strconv.Atoi(args[1])
			if err != nil {
				return fmt.Errorf("version is %q; it must be a number", args[1])
			}
			data, _, err := c.Applications.ManifestYAML(ctx, args[0], n)
			if err != nil {
				return err
			}
			_, err = p.out.Write(data)
			return err
		}),
	}
}

func (p *program) applicationPrewarm() *cobra.Command {
	return &cobra.Command{
		Use: "prewarm <application> [<number>]", Short: "Have instances stand by, booted, for launches; or say how many do", Args: cobra.RangeArgs(1, 2), ValidArgsFunction: p.names(applicationNames),
		RunE: p.with(func(ctx context.Context, c *client.Client, args []string) error {
			if len(args) == 2 {
				n, err := strconv.Atoi(args[1])
				if err != nil {
					return fmt.Errorf("number is %q", args[1])
				}
				return c.Applications.SetPrewarm(ctx, args[0], n)
			}
			w, err := c.Applications.Prewarmed(ctx, args[0])
			if err != nil {
				return err
			}
			return p.show(map[string]int{"wanted": w.Want, "ready": w.Ready, "making": w.Begun}, "yaml")
		}),
	}
}

// save writes a file whole, with that SHA-256, or not at all.
func save(name string, r io.Reader, digest string) error {
	f, err := os.CreateTemp(".", ".amc-")
	if err != nil {
		return err
	}
	sum := newSum()
	_, err = io.Copy(io.MultiWriter(f, sum), r)
	err = errors.Join(err, f.Close())
	if err == nil && digest != "" && sum.String() != digest {
		err = fmt.Errorf("what came is damaged: its SHA-256 is %s, not %s", sum, digest)
	}
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		err = errors.Join(err, os.Remove(f.Name()))
	}
	return err
}
