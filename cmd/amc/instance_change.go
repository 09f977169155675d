package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/openams/ams"
	"github.com/openams/ams/client"
)

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
