package main

import (
	"context"
	"os"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/openams/ams"
	"github.com/openams/ams/client"
)

// imageView is an image as show prints it.
type imageView struct {
	ID           string                   `json:"id" yaml:"id"`
	Name         string                   `json:"name" yaml:"name"`
	Status       string                   `json:"status" yaml:"status"`
	Versions     map[int]imageVersionView `json:"versions" yaml:"versions"`
	UsedBy       []string                 `json:"used_by" yaml:"used_by"`
	Architecture string                   `json:"architecture" yaml:"architecture"`
	Default      bool                     `json:"default" yaml:"default"`
	Immutable    bool                     `json:"immutable" yaml:"immutable"`
	Type         string                   `json:"type" yaml:"type"`
	Variant      string                   `json:"variant" yaml:"variant"`
}

type imageVersionView struct {
	Size         string `json:"size" yaml:"size"`
	CreatedAt    string `json:"created-at" yaml:"created-at"`
	Status       string `json:"status" yaml:"status"`
	RemoteID     string `json:"remote-id,omitempty" yaml:"remote-id,omitempty"`
	ErrorMessage string `json:"error-message,omitempty" yaml:"error-message,omitempty"`
}

func viewImage(i *ams.Image, usedBy []string) imageView {
	v := imageView{
		ID: i.ID, Name: i.Name, Status: string(i.Status), Versions: map[int]imageVersionView{}, UsedBy: notNil(usedBy), Architecture: i.Architecture,
		Default: i.Default, Immutable: i.Immutable, Type: "container", Variant: i.Variant,
	}
	if i.VM {
		v.Type = "vm"
	}
	for _, n := range i.Versions {
		v.Versions[n.Number] = imageVersionView{ams.Size(n.Size).String(), when(n.CreatedAt), string(n.Status), n.RemoteID, n.ErrorMessage}
	}
	return v
}

func (p *program) imageCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "image", Short: "Manage images"}
	byDefault := func(use, short string, fn func(ctx context.Context, c *client.Client, args []string) error) *cobra.Command {
		one := &cobra.Command{Use: use, Short: short, Args: cobra.ExactArgs(1), ValidArgsFunction: p.names(imageNames), RunE: p.with(fn)}
		timeout(one)
		return one
	}
	cmd.AddCommand(p.imageAdd(), p.imageUpdate(), p.imageList(), p.imageShow(), p.imageDelete(),
		byDefault("switch <image>", "Make an image the default", func(ctx context.Context, c *client.Client, args []string) error {
			return c.Images.SetDefault(ctx, args[0])
		}),
		byDefault("sync <image>", "Fetch what the image server has of an image", func(ctx context.Context, c *client.Client, args []string) error {
			op, err := c.Images.Sync(ctx, args[0])
			return wait(ctx, c, false, op, err)
		}))
	return cmd
}

func (p *program) imageAdd() *cobra.Command {
	var opts ams.ImageOptions
	var kind string
	cmd := &cobra.Command{
		Use: "add <name> <file or name on the image server>", Short: "Add an image: from a file, or from the image server", Args: cobra.ExactArgs(2),
		Long: "Add an image from a file, or from the image server, there <name> or <name>@<version>.",
		RunE: p.with(func(ctx context.Context, c *client.Client, args []string) error {
			opts.VM = kind == "vm"
			var op ams.Operation
			if f, err := os.Open(args[1]); err == nil {
				defer f.Close() //nolint:errcheck // it is only read
				op, err = c.Images.Add(ctx, args[0], p.progress(f, args[1]), opts)
				if err != nil {
					return err
				}
			} else if op, err = c.Images.AddRemote(ctx, args[0], args[1], opts); err != nil {
				return err
			}
			if err := p.line(subject(op, "image")); err != nil {
				return err
			}
			return wait(ctx, c, false, op, nil)
		}),
	}
	cmd.Flags().BoolVarP(&opts.Default, "default", "d", false, "make it the default image")
	cmd.Flags().StringVar(&kind, "type", "any", "any, container or vm")
	timeout(cmd)
	return cmd
}

func (p *program) imageUpdate() *cobra.Command {
	var opts ams.ImageOptions
	cmd := &cobra.Command{
		Use: "update <image> <file>", Short: "Add a version to an image", Args: cobra.ExactArgs(2), ValidArgsFunction: p.names(imageNames),
		RunE: p.with(func(ctx context.Context, c *client.Client, args []string) error {
			f, err := os.Open(args[1])
			if err != nil {
				return err
			}
			defer f.Close() //nolint:errcheck // it is only read
			op, err := c.Images.Update(ctx, args[0], p.progress(f, args[1]), opts)
			return wait(ctx, c, false, op, err)
		}),
	}
	cmd.Flags().BoolVarP(&opts.Default, "default", "d", false, "make it the default image")
	timeout(cmd)
	return cmd
}

func (p *program) imageList() *cobra.Command {
	var f string
	cmd := &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List images", Args: cobra.NoArgs,
		RunE: p.with(func(ctx context.Context, c *client.Client, _ []string) error {
			list, _, err := c.Images.List(ctx, ams.ImageFilter{}, ams.Page{})
			if err != nil {
				return err
			}
			t := table{columns: []string{"ID", "NAME", "STATUS", "VERSIONS", "ARCHITECTURE", "DEFAULT"}}
			views := []imageView{}
			for i := range list {
				im := &list[i]
				t.rows = append(t.rows, []string{im.ID, im.Name, string(im.Status), strconv.Itoa(len(im.Versions)), im.Architecture, strconv.FormatBool(im.Default)})
				views = append(views, viewImage(im, nil))
			}
			t.objects = views
			return p.print(t, f)
		}),
	}
	format(cmd, &f, "table", "table", "json", "yaml", "csv")
	return cmd
}

func (p *program) imageShow() *cobra.Command {
	var f string
	cmd := &cobra.Command{
		Use: "show <image>", Short: "Show an image", Args: cobra.ExactArgs(1), ValidArgsFunction: p.names(imageNames),
		RunE: p.with(func(ctx context.Context, c *client.Client, args []string) error {
			i, err := c.Images.Get(ctx, args[0])
			if err != nil {
				return err
			}
			usedBy, err := c.Images.UsedBy(ctx, args[0])
			if err != nil {
				return err
			}
			return p.show(viewImage(&i, usedBy), f)
		}),
	}
	format(cmd, &f, "yaml", "json", "yaml")
	return cmd
}

func (p *program) imageDelete() *cobra.Command {
	var force, sure bool
	var number int
	cmd := &cobra.Command{
		Use: "delete <image>", Aliases: []string{"rm"}, Short: "Delete an image, or a version of one", Args: cobra.ExactArgs(1), ValidArgsFunction: p.names(imageNames),
		RunE: p.with(func(ctx context.Context, c *client.Client, args []string) error {
			if _, err := c.Images.Get(ctx, args[0]); err != nil { // before anybody is asked
				return err
			}
			if err := p.confirm(sure, "images", args); err != nil {
				return err
			}
			if number >= 0 {
				op, err := c.Images.DeleteVersion(ctx, args[0], number)
				return wait(ctx, c, false, op, err)
			}
			op, err := c.Images.Delete(ctx, args[0], force)
			return wait(ctx, c, false, op, err)
		}),
	}
	cmd.Flags().BoolVarP(&force, "force", "f", false, "also one that is used, or came from the image server")
	cmd.Flags().IntVarP(&number, "version", "v", -1, "only this version")
	yes(cmd, &sure)
	timeout(cmd)
	return cmd
}
