package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/openams/ams"
	"github.com/openams/ams/client"
)

// instanceView is an instance as show prints it.
type instanceView struct {
	ID            string            `json:"id" yaml:"id"`
	Name          string            `json:"name" yaml:"name"`
	Status        string            `json:"status" yaml:"status"`
	StatusMessage string            `json:"status_message,omitempty" yaml:"status_message,omitempty"`
	Type          string            `json:"type" yaml:"type"`
	VM            bool              `json:"vm" yaml:"vm"`
	Node          string            `json:"node" yaml:"node"`
	CreatedAt     string            `json:"created_at" yaml:"created_at"`
	ExpiresAt     string            `json:"expires_at,omitempty" yaml:"expires_at,omitempty"`
	Application   *objectView       `json:"application,omitempty" yaml:"application,omitempty"`
	Image         *objectView       `json:"image,omitempty" yaml:"image,omitempty"`
	Network       networkView       `json:"network" yaml:"network"`
	StoredLogs    []string          `json:"stored_logs" yaml:"stored_logs"`
	ErrorMessage  string            `json:"error_message" yaml:"error_message"`
	Tags          []string          `json:"tags" yaml:"tags"`
	Architecture  string            `json:"architecture" yaml:"architecture"`
	Resources     map[string]string `json:"resources" yaml:"resources"`
	Config        map[string]any    `json:"config" yaml:"config"`
}

type objectView struct {
	ID      string `json:"id" yaml:"id"`
	Name    string `json:"name,omitempty" yaml:"name,omitempty"`
	Version int    `json:"version" yaml:"version"`
}

type networkView struct {
	Address       string        `json:"address" yaml:"address"`
	PublicAddress string        `json:"public_address" yaml:"public_address"`
	Services      []serviceView `json:"services" yaml:"services"`
}

type serviceView struct {
	Name        string   `json:"name,omitempty" yaml:"name,omitempty"`
	Port        int      `json:"port" yaml:"port"`
	PortEnd     int      `json:"port_end,omitempty" yaml:"port_end,omitempty"`
	NodePort    int      `json:"node_port,omitempty" yaml:"node_port,omitempty"`
	NodePortEnd int      `json:"node_port_end,omitempty" yaml:"node_port_end,omitempty"`
	Protocols   []string `json:"protocols" yaml:"protocols"`
	Expose      bool     `json:"expose" yaml:"expose"`
}

func when(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

func kindOf(in *ams.Instance) string {
	if in.Base {
		return "base"
	}
	return "regular"
}

func notNil(list []string) []string { return append([]string{}, list...) }

func viewInstance(in *ams.Instance, public string) instanceView {
	v := instanceView{
		ID: in.ID, Name: in.Name, Status: string(in.Status), StatusMessage: in.StatusMessage, Type: kindOf(in), VM: in.VM, Node: in.Node,
		CreatedAt: when(in.CreatedAt), ExpiresAt: when(in.Expires), ErrorMessage: in.ErrorMessage, Tags: notNil(in.Tags), Architecture: in.Architecture,
		Network:    networkView{Address: in.Address, PublicAddress: public, Services: []serviceView{}},
		StoredLogs: []string{},
		Resources: map[string]string{
			"cpus": strconv.Itoa(in.Resources.CPUs), "memory": in.Resources.Memory.String(), "disk-size": in.Resources.DiskSize.String(),
		},
		Config: map[string]any{
			"platform": in.Config.Platform, "devmode": in.Config.Devmode, "disable_watchdog": in.Config.DisableWatchdog,
			"display": map[string]int{
				"width": in.Config.Display.Width, "height": in.Config.Display.Height, "density": in.Config.Display.Density, "fps": in.Config.Display.FPS,
			},
			"security": map[string]bool{"delete_protected": in.DeleteProtected},
		},
	}
	if in.ApplicationID != "" {
		v.Application = &objectView{in.ApplicationID, in.ApplicationName, in.Version}
	} else {
		v.Image = &objectView{in.ImageID, "", in.ImageVersion}
	}
	for _, s := range in.Services {
		v.Network.Services = append(v.Network.Services, serviceView{s.Name, s.Port, s.PortEnd, s.NodePort, s.NodePortEnd, s.Protocols, s.Expose})
	}
	for _, l := range in.Logs {
		v.StoredLogs = append(v.StoredLogs, l.Name)
	}
	for name, n := range map[string]*int{"gpu-slots": in.Resources.GPUSlots, "vpu-slots": in.Resources.VPUSlots} {
		if n != nil && *n > 0 {
			v.Resources[name] = strconv.Itoa(*n)
		}
	}
	if len(in.Features) > 0 {
		v.Config["features"] = strings.Join(in.Features, ",")
	}
	return v
}

// addresses returns where the services of each node are reached.
func addresses(ctx context.Context, c *client.Client) (map[string]string, error) {
	nodes, _, err := c.Nodes.List(ctx, ams.NodeFilter{}, ams.Page{})
	at := map[string]string{}
	for _, n := range nodes {
		at[n.Name] = cmp.Or(n.PublicAddress, n.Address)
	}
	return at, err
}

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

func (p *program) startCommand() *cobra.Command {
	var noWait, sure bool
	cmd := &cobra.Command{
		Use: "start <instance>", Short: "Start an instance", Args: cobra.ExactArgs(1), ValidArgsFunction: p.names(instanceNames),
		RunE: p.with(func(ctx context.Context, c *client.Client, args []string) error {
			in, err := c.Instances.Get(ctx, args[0])
			if err != nil {
				return err
			}
			drop := in.Status == ams.InstanceError
			if drop && !sure {
				fmt.Fprintln(p.out, "The instance is in error. Starting it drops the logs of its failure.")
				if err := p.confirm(false, "", nil); err != nil {
					return err
				}
			}
			op, err := c.Instances.Start(ctx, in.ID, ams.StartOptions{DropLogs: drop})
			return wait(ctx, c, noWait, op, err)
		}),
	}
	cmd.Flags().BoolVar(&noWait, "no-wait", false, "do not wait until it runs")
	yes(cmd, &sure)
	timeout(cmd)
	return cmd
}

func (p *program) stopCommand() *cobra.Command {
	var noWait, force bool
	cmd := &cobra.Command{
		Use: "stop <instance>", Short: "Stop an instance", Args: cobra.ExactArgs(1), ValidArgsFunction: p.names(instanceNames),
		RunE: p.with(func(ctx context.Context, c *client.Client, args []string) error {
			op, err := c.Instances.Stop(ctx, args[0], force)
			return wait(ctx, c, noWait, op, err)
		}),
	}
	cmd.Flags().BoolVar(&noWait, "no-wait", false, "do not wait until it is stopped")
	cmd.Flags().BoolVarP(&force, "force", "f", false, "do not let it shut down")
	timeout(cmd)
	return cmd
}

func (p *program) restartCommand() *cobra.Command {
	var noWait, force bool
	cmd := &cobra.Command{
		Use: "restart <instance>", Short: "Stop an instance and start it again", Args: cobra.ExactArgs(1), ValidArgsFunction: p.names(instanceNames),
		RunE: p.with(func(ctx context.Context, c *client.Client, args []string) error {
			op, err := c.Instances.Restart(ctx, args[0], force)
			return wait(ctx, c, noWait, op, err)
		}),
	}
	cmd.Flags().BoolVar(&noWait, "no-wait", false, "do not wait until it runs again")
	cmd.Flags().BoolVarP(&force, "force", "f", false, "do not let it shut down")
	timeout(cmd)
	return cmd
}

func (p *program) deleteCommand() *cobra.Command {
	var all, force, noWait, sure bool
	var node string
	cmd := &cobra.Command{
		Use: "delete [<instance>…]", Aliases: []string{"rm"}, Short: "Delete instances", ValidArgsFunction: p.names(instanceNames),
		RunE: p.with(func(ctx context.Context, c *client.Client, args []string) error {
			switch {
			case all == (len(args) > 0):
				return errors.New("name instances, or use --all")
			case node != "" && !all:
				return errors.New("--node is only for --all")
			}
			var names []string
			if all {
				list, _, err := c.Instances.List(ctx, ams.InstanceFilter{Node: node}, ams.Page{})
				if err != nil {
					return err
				}
				args = nil
				for _, in := range list {
					args, names = append(args, in.ID), append(names, in.Name)
				}
			} else {
				for _, name := range args {
					if _, err := c.Instances.Get(ctx, name); err != nil { // before anybody is asked
						return err
					}
				}
				names = args
			}
			if len(args) == 0 {
				return nil
			}
			if err := p.confirm(sure, "instances", names); err != nil {
				return err
			}
			ops, err := c.Instances.DeleteAll(ctx, args, force)
			for _, op := range ops {
				if err := wait(ctx, c, noWait, op, nil); err != nil {
					return err
				}
			}
			return err
		}),
	}
	cmd.Flags().BoolVarP(&all, "all", "a", false, "all instances")
	cmd.Flags().StringVarP(&node, "node", "n", "", "with --all, those of one node")
	cmd.Flags().BoolVarP(&force, "force", "f", false, "do not let them shut down")
	cmd.Flags().BoolVar(&noWait, "no-wait", false, "do not wait until they are gone")
	yes(cmd, &sure)
	timeout(cmd)
	return cmd
}

func (p *program) setCommand() *cobra.Command {
	return &cobra.Command{
		Use: "set <instance> <key> <value>", Short: "Change an instance: security.delete_protected", Args: cobra.ExactArgs(3), ValidArgsFunction: p.names(instanceNames),
		RunE: p.with(func(ctx context.Context, c *client.Client, args []string) error {
			if args[1] != "security.delete_protected" {
				return fmt.Errorf("there is no key %q; there is security.delete_protected", args[1])
			}
			on, err := strconv.ParseBool(args[2])
			if err != nil {
				return fmt.Errorf("%s is %q; it must be true or false", args[1], args[2])
			}
			return c.Instances.Set(ctx, args[0], ams.InstancePatch{DeleteProtected: &on})
		}),
	}
}

func (p *program) publishCommand() *cobra.Command {
	var opts ams.PublishOptions
	cmd := &cobra.Command{
		Use: "publish <instance>", Short: "Make an image of a stopped instance", Args: cobra.ExactArgs(1), ValidArgsFunction: p.names(instanceNames),
		RunE: p.with(func(ctx context.Context, c *client.Client, args []string) error {
			op, err := c.Images.Publish(ctx, args[0], opts)
			if err != nil {
				return err
			}
			if err := p.line(subject(op, "image")); err != nil {
				return err
			}
			return wait(ctx, c, false, op, nil)
		}),
	}
	cmd.Flags().StringVarP(&opts.Name, "name", "n", "", "the name of the image")
	cmd.Flags().BoolVar(&opts.Default, "default", false, "make it the default image")
	cmd.Flags().BoolVar(&opts.Force, "force", false, "stop the instance first")
	timeout(cmd)
	return cmd
}

func (p *program) logsCommand() *cobra.Command {
	var follow bool
	var kind string
	cmd := &cobra.Command{
		Use: "logs <instance>", Short: "Print a log of a running instance", Args: cobra.ExactArgs(1), ValidArgsFunction: p.names(instanceNames),
		RunE: p.with(func(ctx context.Context, c *client.Client, args []string) error {
			name := map[string]string{"anbox": "system.log", "android": "android.log", "console": "console.log", "container": "container.log"}[kind]
			if name == "" {
				return fmt.Errorf("--type is %q; it must be anbox, android, console or container", kind)
			}
			if follow {
				return c.Instances.FollowLog(ctx, args[0], name, 0, p.out)
			}
			return p.copyLog(ctx, c, args[0], name)
		}),
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on with what is written")
	cmd.Flags().StringVarP(&kind, "type", "t", "anbox", "anbox, android, console or container")
	return cmd
}

func (p *program) showLogCommand() *cobra.Command {
	return &cobra.Command{
		Use: "show-log <instance> <log>", Short: "Print a log that was kept when an instance failed", Args: cobra.ExactArgs(2), ValidArgsFunction: p.names(instanceNames),
		RunE: p.with(func(ctx context.Context, c *client.Client, args []string) error {
			return p.copyLog(ctx, c, args[0], args[1])
		}),
	}
}

func (p *program) copyLog(ctx context.Context, c *client.Client, instance, name string) error {
	log, err := c.Instances.OpenLog(ctx, instance, name)
	if err != nil {
		return err
	}
	defer log.Close() //nolint:errcheck // it is only read
	_, err = io.Copy(p.out, log)
	return err
}
