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

// launchFlags are the flags of launch, init and copy.
type launchFlags struct {
	req                   ams.LaunchRequest
	memory, disk          string
	gpuSlots, vpuSlots    int
	version, appVersion   int
	config, services      []string
	displaySize           string
	userdata, userdataAt  string
	instanceType          string
	raw, graphics, noWait bool
	lifetime              time.Duration
	prewarm               string
}

func (l *launchFlags) add(cmd *cobra.Command, copied bool) {
	f := cmd.Flags()
	f.StringVar(&l.req.Name, "name", "", "its name (default ams- and its id)")
	f.StringVarP(&l.req.Node, "node", "n", "", "the only node to place it on")
	f.IntVarP(&l.req.Resources.CPUs, "cpus", "c", 0, "how many CPUs (default those of the application, or 2)")
	f.StringVarP(&l.memory, "memory", "m", "", "how much memory, such as 4GB")
	f.IntVarP(&l.gpuSlots, "gpu-slots", "g", -1, "how many GPU slots; -1 is as the application has it")
	f.StringVar(&l.req.Resources.GPUType, "gpu-type", "", "nvidia, amd or intel")
	f.IntVarP(&l.vpuSlots, "vpu-slots", "v", -1, "how many VPU slots; -1 is as the application has it")
	f.BoolVar(&l.req.Resources.NoDiskReserve, "no-disk-reserve", false, "do not set disk space aside for it")
	f.StringArrayVarP(&l.services, "service", "s", nil, "a service to offer: [+][<name>:]<protocols>:<port>[-<port>], or ssh, adb; + exposes it (may be repeated)")
	f.StringSliceVar(&l.req.Tags, "tags", nil, "labels to filter by")
	f.StringVar(&l.userdata, "userdata", "", "data for the software inside, 10 KiB at most")
	f.StringVar(&l.userdataAt, "userdata-path", "", "a file with such data")
	f.StringSliceVarP(&l.req.Features, "features", "f", nil, "feature flags")
	f.StringVarP(&l.req.Config.Platform, "platform", "p", "", "null, webrtc or swrast (default as set for all)")
	f.StringVar(&l.req.Config.BootPackage, "boot-package", "", "the Android package to start")
	f.StringVar(&l.req.Config.BootActivity, "boot-activity", "", "the activity to start")
	f.StringVar(&l.req.Config.MetricsServer, "metrics-server", "", "where the software inside sends its metrics: <host>:<port>")
	f.BoolVar(&l.req.Config.DisableWatchdog, "disable-watchdog", false, "leave the watchdog out")
	f.BoolVar(&l.req.Config.Devmode, "devmode", false, "keep it running when its software fails")
	f.BoolVar(&l.req.Config.Streaming, "enable-streaming", false, "have it streamed")
	f.BoolVar(&l.graphics, "enable-graphics", false, "the same as --platform webrtc")
	f.StringVar(&l.displaySize, "display-size", "", "<width>x<height> (default 1280x720)")
	f.IntVar(&l.req.Config.Display.Density, "display-density", 0, "dots per inch (default 240)")
	f.IntVar(&l.req.Config.Display.FPS, "fps", 0, "frames per second (default 60)")
	f.StringArrayVar(&l.config, "config", nil, "<key>=<value>, such as security.delete_protected=true (may be repeated)")
	f.BoolVar(&l.noWait, "no-wait", false, "do not wait until it runs")
	f.DurationVar(&l.lifetime, "max-run-duration", 0, "delete it so long after it first ran")
	timeout(cmd)
	if copied {
		return
	}
	f.StringSliceVarP(&l.req.Addons, "addons", "a", nil, "addons to install in an instance of an image")
	f.StringVarP(&l.disk, "disk-size", "d", "", "how much disk, such as 5GB")
	f.StringVarP(&l.instanceType, "instance-type", "i", "", "the size of an instance of an image, such as a4.3")
	f.IntVar(&l.version, "version", -1, "the version of the image; -1 is the newest")
	f.IntVar(&l.appVersion, "application-version", -1, "the version of the application; -1 is the newest that is published")
	f.BoolVarP(&l.raw, "raw", "r", false, "take the name for that of an image")
	f.BoolVar(&l.req.VM, "vm", false, "as a virtual machine")
	f.StringVar(&l.prewarm, "prewarm", "", "wait to wait for an instance that stands by, never to take none")
}

// request returns the launch that the flags ask for.
func (l *launchFlags) request() (ams.LaunchRequest, error) {
	req := l.req
	for _, s := range []struct {
		flag, text string
		to         *ams.Size
	}{{"memory", l.memory, &req.Resources.Memory}, {"disk-size", l.disk, &req.Resources.DiskSize}} {
		if s.text == "" {
			continue
		}
		size, err := ams.ParseSize(s.text)
		if err != nil {
			return req, fmt.Errorf("--%s: %w", s.flag, err)
		}
		*s.to = size
	}
	if l.gpuSlots >= 0 {
		req.Resources.GPUSlots = &l.gpuSlots
	}
	if l.vpuSlots >= 0 {
		req.Resources.VPUSlots = &l.vpuSlots
	}
	for _, text := range l.services {
		s, err := ams.ParseService(text)
		if err != nil {
			return req, fmt.Errorf("--service: %w", err)
		}
		req.Services = append(req.Services, s)
	}
	if l.displaySize != "" {
		w, h, ok := strings.Cut(l.displaySize, "x")
		width, errW := strconv.Atoi(w)
		height, errH := strconv.Atoi(h)
		if !ok || errW != nil || errH != nil {
			return req, fmt.Errorf("--display-size is %q; it must be <width>x<height>", l.displaySize)
		}
		req.Config.Display.Width, req.Config.Display.Height = width, height
	}
	if l.graphics {
		req.Config.Platform = "webrtc"
	}
	for _, pair := range l.config {
		key, value, _ := strings.Cut(pair, "=")
		if key != "security.delete_protected" {
			return req, fmt.Errorf("--config: there is no key %q; there is security.delete_protected", key)
		}
		on, err := strconv.ParseBool(value)
		if err != nil {
			return req, fmt.Errorf("--config %s is %q; it must be true or false", key, value)
		}
		req.DeleteProtected = on
	}
	req.UserData, req.MaxRunDuration, req.Prewarm = l.userdata, l.lifetime, ams.Prewarm(l.prewarm)
	if l.userdataAt != "" {
		if l.userdata != "" {
			return req, errors.New("--userdata and --userdata-path exclude each other")
		}
		f, err := os.Open(l.userdataAt)
		if err != nil {
			return req, err
		}
		defer f.Close() //nolint:errcheck // it is only read
		data, err := io.ReadAll(io.LimitReader(f, ams.MaxUserData+1))
		if err != nil {
			return req, err
		}
		req.UserData = string(data)
	}
	if l.instanceType != "" {
		kind, ok := ams.LookupInstanceType(l.instanceType)
		if !ok {
			return req, fmt.Errorf("--instance-type: there is no %q", l.instanceType)
		}
		r := &req.Resources
		if r.CPUs == 0 {
			r.CPUs = kind.CPUs
		}
		if r.Memory == 0 {
			r.Memory = kind.Memory
		}
		if r.DiskSize == 0 {
			r.DiskSize = kind.DiskSize
		}
		if r.GPUSlots == nil {
			r.GPUSlots = &kind.GPUSlots
		}
	}
	return req, nil
}

// of says what to launch: the application of that name, or else the image.
func (l *launchFlags) of(ctx context.Context, c *client.Client, req *ams.LaunchRequest, name string) error {
	if !l.raw && l.instanceType == "" && l.version < 0 && len(req.Addons) == 0 {
		_, err := c.Applications.Get(ctx, name)
		if err == nil {
			req.Application = name
			if l.appVersion >= 0 {
				req.Version = &l.appVersion
			}
			return nil
		}
		if ams.CodeOf(err) != ams.ErrNotFound {
			return err
		}
		if _, imageErr := c.Images.Get(ctx, name); ams.CodeOf(imageErr) == ams.ErrNotFound {
			return fmt.Errorf("there is neither an application nor an image %q", name)
		}
	}
	req.Image = name
	if l.version >= 0 {
		req.Version = &l.version
	}
	return nil
}

func (p *program) launchCommand(use string) *cobra.Command {
	l := &launchFlags{}
	short := "Make an instance and start it"
	if use == "init" {
		short = "Make an instance, and do not start it"
	}
	cmd := &cobra.Command{
		Use: use + " <application or image>", Short: short, Args: cobra.ExactArgs(1), ValidArgsFunction: p.names(launchable),
		RunE: p.with(func(ctx context.Context, c *client.Client, args []string) error {
			req, err := l.request()
			if err != nil {
				return err
			}
			if err := l.of(ctx, c, &req, args[0]); err != nil {
				return err
			}
			req.NoStart = use == "init"
			return p.launch(ctx, c, req, l.noWait)
		}),
	}
	l.add(cmd, false)
	return cmd
}

// launch launches an instance and prints its id, as soon as it has one.
func (p *program) launch(ctx context.Context, c *client.Client, req ams.LaunchRequest, noWait bool) error {
	op, err := c.Instances.Launch(ctx, req)
	if err != nil {
		return err
	}
	if err := p.line(subject(op, "instance")); err != nil {
		return err
	}
	return wait(ctx, c, noWait, op, nil)
}

func (p *program) copyCommand() *cobra.Command {
	l := &launchFlags{}
	var force, start bool
	cmd := &cobra.Command{
		Use: "copy <instance>", Aliases: []string{"cp"}, Short: "Copy a stopped or failed instance with its data", Args: cobra.ExactArgs(1), ValidArgsFunction: p.names(instanceNames),
		RunE: p.with(func(ctx context.Context, c *client.Client, args []string) error {
			req, err := l.request()
			if err != nil {
				return err
			}
			if force {
				in, err := c.Instances.Get(ctx, args[0])
				if err != nil {
					return err
				}
				if in.Status == ams.InstanceRunning {
					op, err := c.Instances.Stop(ctx, in.ID, true)
					if err := wait(ctx, c, false, op, err); err != nil {
						return err
					}
				}
			}
			req.Source, req.NoStart = args[0], !start
			return p.launch(ctx, c, req, l.noWait)
		}),
	}
	l.add(cmd, true)
	cmd.Flags().BoolVar(&force, "force", false, "stop it first if it runs")
	cmd.Flags().BoolVar(&start, "launch", false, "start the copy")
	return cmd
}

func (p *program) explainCommand() *cobra.Command {
	l := &launchFlags{}
	cmd := &cobra.Command{
		Use: "explain <application or image>", Short: "Say where a launch would go, and why not elsewhere", Args: cobra.ExactArgs(1), ValidArgsFunction: p.names(launchable),
		RunE: p.with(func(ctx context.Context, c *client.Client, args []string) error {
			req, err := l.request()
			if err != nil {
				return err
			}
			if err := l.of(ctx, c, &req, args[0]); err != nil {
				return err
			}
			e, err := c.Instances.Explain(ctx, req)
			if err != nil {
				return err
			}
			return p.line(strings.TrimRight(e.Text, "\n"))
		}),
	}
	l.add(cmd, false)
	return cmd
}
