package main

import (
	"cmp"
	"context"
	"strconv"
	"strings"
	"time"

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
