package main

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/openams/ams"
	"github.com/openams/ams/client"
)

// nodeView is a node as show prints it.
type nodeView struct {
	Name          string              `json:"name" yaml:"name"`
	Managed       bool                `json:"managed" yaml:"managed"`
	Status        string              `json:"status" yaml:"status"`
	StatusMessage string              `json:"status_message,omitempty" yaml:"status_message,omitempty"`
	Unschedulable bool                `json:"unschedulable" yaml:"unschedulable"`
	Draining      bool                `json:"draining,omitempty" yaml:"draining,omitempty"`
	Architecture  string              `json:"architecture" yaml:"architecture"`
	Disk          map[string]string   `json:"disk" yaml:"disk"`
	Network       map[string]string   `json:"network" yaml:"network"`
	GPUs          map[int]nodeGPUView `json:"gpus,omitempty" yaml:"gpus,omitempty"`
	Config        nodeConfigView      `json:"config" yaml:"config"`
}

type nodeGPUView struct {
	PCIAddress   string `json:"pci-address" yaml:"pci-address"`
	Type         string `json:"type" yaml:"type"`
	Slots        int    `json:"slots" yaml:"slots"`
	EncoderSlots int    `json:"encoder-slots" yaml:"encoder-slots"`
	UsedSlots    int    `json:"used-slots" yaml:"used-slots"`
	UsedEncoders int    `json:"used-encoder-slots" yaml:"used-encoder-slots"`
}

type nodeConfigView struct {
	PublicAddress        string   `json:"public-address" yaml:"public-address"`
	CPUs                 int      `json:"cpus" yaml:"cpus"`
	CPUAllocationRate    float64  `json:"cpu-allocation-rate" yaml:"cpu-allocation-rate"`
	Memory               string   `json:"memory" yaml:"memory"`
	MemoryAllocationRate float64  `json:"memory-allocation-rate" yaml:"memory-allocation-rate"`
	Tags                 []string `json:"tags" yaml:"tags"`
	Subnet               string   `json:"subnet,omitempty" yaml:"subnet,omitempty"`
}

func value(n *int) int {
	if n == nil {
		return 0
	}
	return *n
}

func viewNode(n *ams.Node) nodeView {
	v := nodeView{
		Name: n.Name, Managed: n.Managed, Status: string(n.Status), StatusMessage: n.StatusMessage, Unschedulable: n.Unschedulable, Draining: n.Draining,
		Architecture: n.Architecture, Disk: map[string]string{"pool": n.Pool, "size": n.Disk.String()},
		Network: map[string]string{"address": n.Address, "bridge-mtu": strconv.Itoa(n.NetworkMTU)}, GPUs: map[int]nodeGPUView{},
		Config: nodeConfigView{n.PublicAddress, n.CPUs, n.CPURate, n.Memory.String(), n.MemoryRate, notNil(n.Tags), n.Subnet},
	}
	for i, g := range n.GPUs {
		v.GPUs[i] = nodeGPUView{g.PCIAddress, g.Type, value(g.Slots), value(g.EncoderSlots), g.UsedSlots, g.UsedEncoders}
	}
	return v
}

func (p *program) nodeCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "node", Short: "Manage the machines of the cluster"}
	cmd.AddCommand(p.nodeAdd(), p.nodeRemove(), p.nodeList(), p.nodeShow(), p.nodeSet(), p.nodeDrain())
	return cmd
}

func (p *program) nodeAdd() *cobra.Command {
	var join ams.NodeJoin
	var memory, public string
	var cpus, gpuSlots, encoderSlots int
	var cpuRate, memoryRate float64
	var tags []string
	cmd := &cobra.Command{
		Use: "add <name> <address>", Aliases: []string{"new"}, Short: "Add a machine to the cluster", Args: cobra.ExactArgs(2),
		RunE: p.with(func(ctx context.Context, c *client.Client, args []string) error {
			join.Name, join.Address = args[0], args[1]
			patch := ams.NodePatch{Tags: tags}
			if memory != "" {
				if err := amount(&patch.Memory)(memory); err != nil {
					return fmt.Errorf("--memory: %w", err)
				}
			}
			for _, n := range []struct {
				from int
				to   **int
			}{{cpus, &patch.CPUs}, {gpuSlots, &patch.GPUSlots}, {encoderSlots, &patch.EncoderSlots}} {
				if n.from > 0 {
					*n.to = &n.from
				}
			}
			if cpuRate > 0 {
				patch.CPURate = &cpuRate
			}
			if memoryRate > 0 {
				patch.MemoryRate = &memoryRate
			}
			if public != "" {
				patch.PublicAddress = &public
			}
			op, err := c.Nodes.Add(ctx, join, patch)
			if err := wait(ctx, c, false, op, err); err != nil {
				return err
			}
			return p.line("nodes:\n  - " + args[0])
		}),
	}
	f := cmd.Flags()
	f.StringVar(&join.TrustPassword, "trust-password", "", "the trust password of LXD, before 5.21")
	f.StringVar(&join.TrustToken, "trust-token", "", "a token of LXD, from 5.21 on")
	f.BoolVar(&join.Unmanaged, "unmanaged", false, "it is in the cluster already, and set up")
	f.StringVar(&join.StoragePool, "storage-pool", "", "the storage pool")
	f.StringVar(&join.StorageDevice, "storage-device", "", "the device of the storage pool")
	f.StringVar(&join.Network, "network-name", "", "the network of its instances (default amsbr0)")
	f.StringVar(&join.Subnet, "network-subnet", "", "the subnet of that network (default 192.168.100.1/20)")
	f.IntVar(&join.NetworkMTU, "network-bridge-mtu", 0, "the MTU of that network")
	f.StringVar(&public, "public-address", "", "where its services are reached")
	f.IntVar(&cpus, "cpus", 0, "how many CPUs to use (default all)")
	f.Float64Var(&cpuRate, "cpu-allocation-rate", 0, "how often to give each away (default 4)")
	f.StringVar(&memory, "memory", "", "how much memory to use (default all)")
	f.Float64Var(&memoryRate, "memory-allocation-rate", 0, "how often to give it away (default 2)")
	f.IntVar(&gpuSlots, "gpu-slots", 0, "slots of each card")
	f.IntVar(&encoderSlots, "gpu-encoder-slots", 0, "encoder slots of each card")
	f.StringSliceVar(&tags, "tags", nil, "labels")
	timeout(cmd)
	return cmd
}

func (p *program) nodeRemove() *cobra.Command {
	var how ams.NodeRemoval
	var sure bool
	cmd := &cobra.Command{
		Use: "remove <node>", Aliases: []string{"rm"}, Short: "Remove a machine from the cluster", Args: cobra.ExactArgs(1), ValidArgsFunction: p.names(nodeNames),
		RunE: p.with(func(ctx context.Context, c *client.Client, args []string) error {
			if _, err := c.Nodes.Get(ctx, args[0]); err != nil { // before anybody is asked
				return err
			}
			if err := p.confirm(sure, "nodes", args); err != nil {
				return err
			}
			op, err := c.Nodes.Remove(ctx, args[0], how)
			return wait(ctx, c, false, op, err)
		}),
	}
	cmd.Flags().BoolVarP(&how.Force, "force", "f", false, "delete what runs on it first, and remove it even if it does not answer")
	cmd.Flags().BoolVar(&how.KeepInCluster, "keep-in-cluster", false, "leave LXD's cluster as it is")
	yes(cmd, &sure)
	timeout(cmd)
	return cmd
}

func (p *program) nodeList() *cobra.Command {
	var f string
	var by []string
	cmd := &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List the machines of the cluster", Args: cobra.NoArgs,
		RunE: p.with(func(ctx context.Context, c *client.Client, _ []string) error {
			found, err := filters(by, "status", "master")
			if err != nil {
				return err
			}
			var filter ams.NodeFilter
			for _, s := range split(found["status"]) {
				filter.Status = append(filter.Status, ams.NodeStatus(s))
			}
			list, _, err := c.Nodes.List(ctx, filter, ams.Page{})
			if err != nil {
				return err
			}
			t := table{columns: []string{"NAME", "ADDRESS", "PUBLIC ADDRESS", "STATUS", "ARCHITECTURE"}}
			views := []nodeView{}
			for i := range list {
				n := &list[i]
				t.rows = append(t.rows, []string{n.Name, n.Address, n.PublicAddress, string(n.Status), n.Architecture})
				views = append(views, viewNode(n))
			}
			t.objects = views
			return p.print(t, f)
		}),
	}
	cmd.Flags().StringArrayVarP(&by, "filter", "f", nil, "status=<status> (may be repeated)")
	format(cmd, &f, "table", "table", "json", "yaml", "csv")
	return cmd
}

func (p *program) nodeShow() *cobra.Command {
	var f string
	cmd := &cobra.Command{
		Use: "show <node>", Short: "Show a machine of the cluster", Args: cobra.ExactArgs(1), ValidArgsFunction: p.names(nodeNames),
		RunE: p.with(func(ctx context.Context, c *client.Client, args []string) error {
			n, err := c.Nodes.Get(ctx, args[0])
			if err != nil {
				return err
			}
			return p.show(viewNode(&n), f)
		}),
	}
	format(cmd, &f, "yaml", "json", "yaml")
	return cmd
}

func (p *program) nodeDrain() *cobra.Command {
	var remove, noWait bool
	cmd := &cobra.Command{
		Use: "drain <node>", Short: "Empty a machine: nothing more is placed on it", Args: cobra.ExactArgs(1), ValidArgsFunction: p.names(nodeNames),
		RunE: p.with(func(ctx context.Context, c *client.Client, args []string) error {
			op, err := c.Nodes.Drain(ctx, args[0], remove)
			return wait(ctx, c, noWait, op, err)
		}),
	}
	cmd.Flags().BoolVar(&remove, "delete", false, "delete what runs there, instead of waiting for its end")
	cmd.Flags().BoolVar(&noWait, "no-wait", false, "do not wait until it is empty")
	timeoutOf(cmd, 0)
	return cmd
}

func (p *program) nodeSet() *cobra.Command {
	cmd := &cobra.Command{
		Use: "set <node> <key> <value>", Short: "Change a machine of the cluster", Args: cobra.RangeArgs(2, 3), ValidArgsFunction: p.names(nodeNames),
		Long: "Change a machine of the cluster. Keys: public-address, cpus, cpu-allocation-rate, memory, memory-allocation-rate, gpu-slots, gpu-encoder-slots, tags,\n" +
			"unschedulable, subnet, and gpus.<number>.slots and gpus.<number>.encoder-slots of one card.",
		RunE: p.with(func(ctx context.Context, c *client.Client, args []string) error {
			// Also as <node>.gpus.<number>.slots <value>.
			if name, rest, ok := strings.Cut(args[0], ".gpus."); ok && len(args) == 2 {
				args = []string{name, "gpus." + rest, args[1]}
			}
			if len(args) != 3 {
				return fmt.Errorf("give the node, a key and a value")
			}
			patch, err := nodePatch(ctx, c, args[0], args[1], args[2])
			if err != nil {
				return err
			}
			return c.Nodes.Set(ctx, args[0], patch)
		}),
	}
	return cmd
}

// cardKey is the key of one card.
func cardKey() *regexp.Regexp {
	return regexp.MustCompile(`^gpus\.(\d{1,4})\.(slots|encoder[-_]slots)$`)
}

func nodePatch(ctx context.Context, c *client.Client, node, key, text string) (ams.NodePatch, error) {
	var p ams.NodePatch
	rate := func(to **float64) error {
		f, err := strconv.ParseFloat(text, 64)
		*to = &f
		return err
	}
	var err error
	switch key {
	case "public-address":
		p.PublicAddress = &text
	case "subnet":
		p.Subnet = &text
	case "tags":
		p.Tags = commas(text)
	case "cpus":
		err = number(&p.CPUs)(text)
	case "memory":
		err = amount(&p.Memory)(text)
	case "cpu-allocation-rate":
		err = rate(&p.CPURate)
	case "memory-allocation-rate":
		err = rate(&p.MemoryRate)
	case "gpu-slots":
		err = number(&p.GPUSlots)(text)
	case "gpu-encoder-slots":
		err = number(&p.EncoderSlots)(text)
	case "unschedulable", "unscheduable":
		err = truth(&p.Unschedulable)(text)
	default:
		match := cardKey().FindStringSubmatch(key)
		if match == nil {
			return p, fmt.Errorf("there is no key %q; see: amc node set --help", key)
		}
		n, getErr := c.Nodes.Get(ctx, node)
		if getErr != nil {
			return p, getErr
		}
		i, _ := strconv.Atoi(match[1]) // the expression has digits only
		if i >= len(n.GPUs) {
			return p, fmt.Errorf("node %q has no GPU %d", node, i)
		}
		card := ams.GPUPatch{PCIAddress: n.GPUs[i].PCIAddress}
		if match[2] == "slots" {
			err = number(&card.Slots)(text)
		} else {
			err = number(&card.EncoderSlots)(text)
		}
		p.GPUs = []ams.GPUPatch{card}
	}
	if err != nil {
		return p, fmt.Errorf("%s: %w", key, err)
	}
	return p, nil
}
