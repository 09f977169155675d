package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"gopkg.in/yaml.v3"

	"github.com/openams/ams"
	"github.com/openams/ams/client"
)

func (p *program) configCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "config", Short: "Change how the service works"}
	keys := func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		var names []string
		for _, k := range ams.SettingKeys() {
			names = append(names, k.Name+"\t"+k.Effect)
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
	set := &cobra.Command{
		Use: "set <key> <value>", Short: "Change a setting", Args: cobra.ExactArgs(2), ValidArgsFunction: keys,
		RunE: p.with(func(ctx context.Context, c *client.Client, args []string) error {
			return c.Settings.Set(ctx, args[0], args[1])
		}),
	}
	var f string
	show := &cobra.Command{
		Use: "show", Short: "Show all settings", Args: cobra.NoArgs,
		RunE: p.with(func(ctx context.Context, c *client.Client, _ []string) error {
			config, err := settings(ctx, c)
			if err != nil {
				return err
			}
			return p.show(map[string]any{"config": config}, f)
		}),
	}
	format(show, &f, "yaml", "json", "yaml")
	cmd.AddCommand(set, show, p.trustCommand())
	return cmd
}

// settings returns the settings with the types that they have.
func settings(ctx context.Context, c *client.Client) (map[string]any, error) {
	list, err := c.Settings.List(ctx)
	config := map[string]any{}
	kinds := map[string]ams.SettingKey{}
	for _, k := range ams.SettingKeys() {
		kinds[k.Name] = k
	}
	for _, s := range list {
		config[s.Key] = s.Value
		if k := kinds[s.Key]; k.Type == "bool" || k.Secret {
			config[s.Key] = s.Value == "true"
		}
	}
	return config, err
}

func (p *program) infoCommand() *cobra.Command {
	var f string
	cmd := &cobra.Command{
		Use: "info", Short: "Show what the service can do", Args: cobra.NoArgs,
		RunE: p.with(func(ctx context.Context, c *client.Client, _ []string) error {
			status, err := c.Status(ctx)
			if err != nil {
				return err
			}
			version, err := c.Version(ctx)
			if err != nil {
				return err
			}
			info := map[string]any{
				"api_extensions": status.APIExtensions, "api_status": status.APIStatus, "api_version": status.APIVersion, "auth": status.Auth,
				"auth_methods": status.AuthMethods, "cluster_id": status.ClusterID, "cluster_name": status.ClusterName, "service_version": version,
			}
			config, err := settings(ctx, c)
			if err == nil {
				info["config"] = config
			} else if ams.CodeOf(err) != ams.ErrDenied {
				return err
			}
			return p.show(info, f)
		}),
	}
	format(cmd, &f, "yaml", "json", "yaml")
	return cmd
}

func (p *program) operationCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "operation", Short: "See what the service is doing"}
	type view struct {
		ID          string              `json:"id" yaml:"id"`
		Description string              `json:"description" yaml:"description"`
		Status      string              `json:"status" yaml:"status"`
		Progress    string              `json:"progress,omitempty" yaml:"progress,omitempty"`
		MayCancel   bool                `json:"may_cancel" yaml:"may_cancel"`
		Error       string              `json:"error,omitempty" yaml:"error,omitempty"`
		Resources   map[string][]string `json:"resources" yaml:"resources"`
		CreatedAt   string              `json:"created_at" yaml:"created_at"`
	}
	of := func(op *ams.Operation) view {
		return view{op.ID, op.Description, string(op.Status), op.Progress, op.MayCancel, op.Message, op.Resources, when(op.CreatedAt)}
	}
	var f string
	list := &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List operations", Args: cobra.NoArgs,
		RunE: p.with(func(ctx context.Context, c *client.Client, _ []string) error {
			ops, _, err := c.Operations.List(ctx, ams.OperationFilter{}, ams.Page{})
			if err != nil {
				return err
			}
			slices.SortFunc(ops, func(a, b ams.Operation) int { return a.CreatedAt.Compare(b.CreatedAt) })
			t := table{columns: []string{"ID", "DESCRIPTION", "STATUS", "CANCELABLE", "CREATED"}}
			views := []view{}
			for i := range ops {
				cancelable := "NO"
				if ops[i].MayCancel {
					cancelable = "YES"
				}
				t.rows = append(t.rows, []string{ops[i].ID, ops[i].Description, strings.ToUpper(string(ops[i].Status)), cancelable, ops[i].CreatedAt.UTC().Format(time.DateTime)})
				views = append(views, of(&ops[i]))
			}
			t.objects = views
			return p.print(t, f)
		}),
	}
	format(list, &f, "table", "table", "json", "yaml", "csv")
	one := func(use, short string, fn func(ctx context.Context, c *client.Client, args []string) error) *cobra.Command {
		return &cobra.Command{Use: use, Short: short, Args: cobra.ExactArgs(1), RunE: p.with(fn)}
	}
	waits := one("wait <operation>", "Wait for the end of an operation", func(ctx context.Context, c *client.Client, args []string) error {
		_, err := c.Operations.Wait(ctx, args[0])
		return err
	})
	timeout(waits)
	cmd.AddCommand(list,
		one("show <operation>", "Show an operation", func(ctx context.Context, c *client.Client, args []string) error {
			op, err := c.Operations.Get(ctx, args[0])
			if err != nil {
				return err
			}
			return p.show(of(&op), "yaml")
		}),
		one("cancel <operation>", "Ask an operation to end", func(ctx context.Context, c *client.Client, args []string) error {
			return c.Operations.Cancel(ctx, args[0])
		}), waits)
	return cmd
}

func (p *program) registryCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "registry", Short: "Exchange applications with the registry"}
	for _, verb := range []string{"push", "pull", "delete"} {
		cmd.AddCommand(&cobra.Command{
			Use: verb + " <application>", Short: strings.ToUpper(verb[:1]) + verb[1:] + " an application", Args: cobra.ExactArgs(1), ValidArgsFunction: p.names(applicationNames),
			RunE: p.with(func(ctx context.Context, c *client.Client, args []string) error {
				return c.RegistryCall(ctx, verb, args[0])
			}),
		})
	}
	cmd.AddCommand(&cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List the applications in the registry", Args: cobra.NoArgs,
		RunE: p.with(func(ctx context.Context, c *client.Client, _ []string) error {
			list, err := c.RegistryList(ctx)
			if err != nil {
				return err
			}
			t := table{columns: []string{"NAME", "ARCHITECTURES", "VERSIONS", "TAGS"}, objects: list}
			for _, a := range list {
				var versions []string
				for n := range a.Versions {
					versions = append(versions, n)
				}
				slices.Sort(versions)
				t.rows = append(t.rows, []string{a.Name, strings.Join(a.Architectures, ","), strings.Join(versions, ","), strings.Join(a.Tags, ",")})
			}
			return p.print(t, "table")
		}),
	})
	return cmd
}

func (p *program) monitorCommand() *cobra.Command {
	var f string
	var kinds []string
	cmd := &cobra.Command{
		Use: "monitor", Short: "Print what happens, as it happens", Args: cobra.NoArgs,
		RunE: p.with(func(ctx context.Context, c *client.Client, _ []string) error {
			for _, k := range kinds {
				if !slices.Contains([]string{"all", "lifecycle", "operations", "operation", "logging"}, k) {
					return fmt.Errorf("--type is %q; it must be lifecycle, operations or all", k)
				}
			}
			for e, err := range c.Events(ctx, -1) {
				if err != nil {
					return err
				}
				if len(kinds) > 0 && !slices.Contains(kinds, "all") && !slices.Contains(kinds, string(e.Type)) && !slices.Contains(kinds, string(e.Type)+"s") {
					continue
				}
				if err := p.event(e, f); err != nil {
					return err
				}
			}
			return nil
		}),
	}
	cmd.Flags().StringSliceVarP(&kinds, "type", "t", nil, "lifecycle, operations or all (default all)")
	format(cmd, &f, "yaml", "json", "yaml")
	return cmd
}

// event prints one event: a line of JSON, or a document of YAML.
func (p *program) event(e ams.Event, format string) error {
	v := struct {
		Type      string            `json:"type" yaml:"type"`
		Timestamp string            `json:"timestamp" yaml:"timestamp"`
		Metadata  map[string]string `json:"metadata" yaml:"metadata"`
	}{string(e.Type), e.Time.UTC().Format(time.RFC3339Nano), map[string]string{"kind": e.Kind, "id": e.ID, "action": e.Action}}
	if e.Message != "" {
		v.Metadata["message"] = e.Message
	}
	if format == "json" {
		return json.NewEncoder(p.out).Encode(v)
	}
	data, err := yaml.Marshal(v)
	if err == nil {
		_, err = fmt.Fprintf(p.out, "%s\n", data)
	}
	return err
}

// readFile reads a file, or the standard input for "-".
func (p *program) readFile(path string) ([]byte, error) {
	if path == "-" {
		return io.ReadAll(io.LimitReader(p.in, 1<<20))
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, 1<<20))
	return data, errors.Join(err, f.Close())
}
