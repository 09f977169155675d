package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/openams/ams"
	"github.com/openams/ams/client"
)

// filters splits the filters of a list, "<key>=<value>".
func filters(list []string, known ...string) (map[string]string, error) {
	found := map[string]string{}
	for _, f := range list {
		key, value, ok := strings.Cut(f, "=")
		if !ok {
			return nil, fmt.Errorf("--filter is %q; it must be <key>=<value>", f)
		}
		is := false
		for _, k := range known {
			is = is || k == key
		}
		if !is {
			return nil, fmt.Errorf("--filter: there is no key %q; there are %s", key, strings.Join(known, ", "))
		}
		found[key] = value
	}
	return found, nil
}

// flag reads a filter that is true or false; absent is nil.
func flag(found map[string]string, key string) (*bool, error) {
	value, ok := found[key]
	if !ok {
		return nil, nil //nolint:nilnil // none is given
	}
	b, err := strconv.ParseBool(value)
	if err != nil {
		return nil, fmt.Errorf("--filter %s is %q; it must be true or false", key, value)
	}
	return &b, nil
}

func split(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, ",")
}

func instanceFilter(ctx context.Context, c *client.Client, list []string) (ams.InstanceFilter, error) {
	var f ams.InstanceFilter
	found, err := filters(list, "app", "status", "node", "type", "tags", "vm")
	if err != nil {
		return f, err
	}
	f.Node, f.Tags = found["node"], split(found["tags"])
	for _, s := range split(found["status"]) {
		f.Status = append(f.Status, ams.InstanceStatus(s))
	}
	if app := found["app"]; app != "" {
		a, err := c.Applications.Get(ctx, app)
		switch {
		case ams.CodeOf(err) == ams.ErrNotFound:
			f.ApplicationID = app // it has none
		case err != nil:
			return f, err
		default:
			f.ApplicationID = a.ID
		}
	}
	switch kind := found["type"]; kind {
	case "":
	case "regular", "base":
		base := kind == "base"
		f.Base = &base
	default:
		return f, fmt.Errorf("--filter type is %q; it must be regular or base", kind)
	}
	f.VM, err = flag(found, "vm")
	return f, err
}

func (p *program) listCommand() *cobra.Command {
	var f string
	var by []string
	cmd := &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List instances", Args: cobra.NoArgs,
		RunE: p.with(func(ctx context.Context, c *client.Client, _ []string) error {
			filter, err := instanceFilter(ctx, c, by)
			if err != nil {
				return err
			}
			list, _, err := c.Instances.List(ctx, filter, ams.Page{})
			if err != nil {
				return err
			}
			at, err := addresses(ctx, c)
			if err != nil && ams.CodeOf(err) != ams.ErrDenied {
				return err
			}
			t := table{columns: []string{"ID", "NAME", "APPLICATION", "TYPE", "STATUS", "TAGS", "NODE", "ADDRESS", "ENDPOINTS", "VM", "STATUS MESSAGE"}}
			views := []instanceView{}
			for i := range list {
				in := &list[i]
				var ends []string
				for _, s := range in.Services {
					if s.NodePort > 0 {
						if in.Address != "" {
							ends = append(ends, fmt.Sprintf("%s:%d/%s", in.Address, s.Port, strings.Join(s.Protocols, ",")))
						}
						if s.Expose {
							ends = append(ends, fmt.Sprintf("%s:%d/%s", at[in.Node], s.NodePort, strings.Join(s.Protocols, ",")))
						}
					}
				}
				t.rows = append(t.rows, []string{
					in.ID, in.Name, in.ApplicationName, kindOf(in), string(in.Status), strings.Join(in.Tags, ","), in.Node, in.Address,
					strings.Join(ends, " "), strconv.FormatBool(in.VM), in.StatusMessage,
				})
				views = append(views, viewInstance(in, at[in.Node]))
			}
			t.objects = views
			return p.print(t, f)
		}),
	}
	cmd.Flags().StringArrayVarP(&by, "filter", "f", nil, "<key>=<value>, of app, status, node, type, tags, vm (may be repeated)")
	format(cmd, &f, "table", "table", "json", "yaml", "csv")
	return cmd
}

func (p *program) showCommand() *cobra.Command {
	var f string
	cmd := &cobra.Command{
		Use: "show <instance>", Short: "Show an instance", Args: cobra.ExactArgs(1), ValidArgsFunction: p.names(instanceNames),
		RunE: p.with(func(ctx context.Context, c *client.Client, args []string) error {
			in, err := c.Instances.Get(ctx, args[0])
			if err != nil {
				return err
			}
			at, err := addresses(ctx, c)
			if err != nil && ams.CodeOf(err) != ams.ErrDenied {
				return err
			}
			return p.show(viewInstance(&in, at[in.Node]), f)
		}),
	}
	format(cmd, &f, "yaml", "json", "yaml")
	return cmd
}
