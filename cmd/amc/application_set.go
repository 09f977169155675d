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

// setField is a field of an application that can be set.
type setField struct {
	name string
	set  func(p *ams.ApplicationPatch, value string) error
}

// commas splits a list; an empty one is a list of nothing.
func commas(value string) []string {
	if value == "" {
		return []string{}
	}
	return strings.Split(value, ",")
}

func number(to **int) func(string) error {
	return func(value string) error {
		n, err := strconv.Atoi(value)
		if err != nil {
			return fmt.Errorf("%q is not a number", value)
		}
		*to = &n
		return nil
	}
}

func truth(to **bool) func(string) error {
	return func(value string) error {
		b, err := strconv.ParseBool(value)
		if err != nil {
			return fmt.Errorf("%q is neither true nor false", value)
		}
		*to = &b
		return nil
	}
}

func amount(to **ams.Size) func(string) error {
	return func(value string) error {
		size, err := ams.ParseSize(value)
		if err != nil {
			return err
		}
		*to = &size
		return nil
	}
}

func applicationFields(v *ams.Version) []setField {
	watchdog := func(p *ams.ApplicationPatch) *ams.Watchdog {
		w := v.Manifest.Watchdog
		p.Watchdog = &w
		return &w
	}
	return []setField{
		{"image", func(p *ams.ApplicationPatch, s string) error { p.Image = &s; return nil }},
		{"instance-type", func(p *ams.ApplicationPatch, s string) error { p.InstanceType = &s; return nil }},
		{"addons", func(p *ams.ApplicationPatch, s string) error { p.Addons = commas(s); return nil }},
		{"tags", func(p *ams.ApplicationPatch, s string) error { p.Tags = commas(s); return nil }},
		{"inhibit-auto-updates", func(p *ams.ApplicationPatch, s string) error { return truth(&p.InhibitAutoUpdates)(s) }},
		{"resources.cpus", func(p *ams.ApplicationPatch, s string) error { return number(&p.Resources.CPUs)(s) }},
		{"resources.memory", func(p *ams.ApplicationPatch, s string) error { return amount(&p.Resources.Memory)(s) }},
		{"resources.disk-size", func(p *ams.ApplicationPatch, s string) error { return amount(&p.Resources.DiskSize)(s) }},
		{"resources.gpu-slots", func(p *ams.ApplicationPatch, s string) error { return number(&p.Resources.GPUSlots)(s) }},
		{"resources.vpu-slots", func(p *ams.ApplicationPatch, s string) error { return number(&p.Resources.VPUSlots)(s) }},
		{"resources.no-disk-reserve", func(p *ams.ApplicationPatch, s string) error { return truth(&p.Resources.NoDiskReserve)(s) }},
		{"boot-activity", func(p *ams.ApplicationPatch, s string) error { p.BootActivity = &s; return nil }},
		{"features", func(p *ams.ApplicationPatch, s string) error { p.Features = commas(s); return nil }},
		{"hooks.timeout", func(p *ams.ApplicationPatch, s string) error { p.Hooks = &ams.Hooks{Timeout: s}; return nil }},
		{"bootstrap.keep", func(p *ams.ApplicationPatch, s string) error {
			p.Bootstrap = &ams.Bootstrap{Keep: commas(s)}
			return nil
		}},
		{"node-selector", func(p *ams.ApplicationPatch, s string) error { p.NodeSelector = commas(s); return nil }},
		{"watchdog.disabled", func(p *ams.ApplicationPatch, s string) error {
			b, err := strconv.ParseBool(s)
			watchdog(p).Disabled = b
			if err != nil {
				return fmt.Errorf("%q is neither true nor false", s)
			}
			return nil
		}},
		{"watchdog.allowed-packages", func(p *ams.ApplicationPatch, s string) error { watchdog(p).AllowedPackages = commas(s); return nil }},
	}
}

func fieldNames() []string {
	var names []string
	for _, f := range applicationFields(&ams.Version{}) {
		names = append(names, f.name)
	}
	return names
}

func (p *program) applicationSet() *cobra.Command {
	var waits bool
	cmd := &cobra.Command{
		Use: "set <application> <field> <value>", Short: "Change an application", Args: cobra.ExactArgs(3), ValidArgsFunction: p.names(applicationNames),
		Long: "Change an application. Fields: " + strings.Join(fieldNames(), ", ") + ". Lists have a comma between each.\n\nSome changes make a new version.",
		RunE: p.with(func(ctx context.Context, c *client.Client, args []string) error {
			return p.setApplication(ctx, c, args[0], args[1], args[2], waits)
		}),
	}
	cmd.Flags().BoolVar(&waits, "wait", false, "wait until the version that comes of it is built")
	timeout(cmd)
	return cmd
}

func (p *program) setApplication(ctx context.Context, c *client.Client, app, field, value string, waits bool) error {
	versions, err := c.Applications.Versions(ctx, app)
	if err != nil {
		return err
	}
	newest := &ams.Version{}
	if len(versions) > 0 {
		newest = &versions[len(versions)-1]
	}
	for _, f := range applicationFields(newest) {
		if f.name != field {
			continue
		}
		var patch ams.ApplicationPatch
		if err := f.set(&patch, value); err != nil {
			return fmt.Errorf("%s: %w", field, err)
		}
		op, err := c.Applications.Set(ctx, app, patch)
		return wait(ctx, c, !waits, op, err)
	}
	return fmt.Errorf("there is no field %q; there are %s", field, strings.Join(fieldNames(), ", "))
}

func (p *program) applicationUnset() *cobra.Command {
	cmd := &cobra.Command{
		Use: "unset <application> <field>", Short: "Clear a list of an application: tags, addons or features", Args: cobra.ExactArgs(2), ValidArgsFunction: p.names(applicationNames),
		RunE: p.with(func(ctx context.Context, c *client.Client, args []string) error {
			switch args[1] {
			case "tags", "addons", "features":
				return p.setApplication(ctx, c, args[0], args[1], "", false)
			}
			return fmt.Errorf("%q cannot be cleared; tags, addons and features can", args[1])
		}),
	}
	timeout(cmd)
	return cmd
}
