package ams

import (
	"cmp"
	"strconv"
	"strings"
)

// InstanceConfig is how the software inside an instance is to run. The zero value
// of every field is its default. It is fixed when the instance is made.
type InstanceConfig struct {
	// Platform is "null", "webrtc", or the name of a platform the image brings.
	// Empty is the setting instance.default_platform; "swrast" is "webrtc".
	Platform string
	// BootPackage and BootActivity are started instead of those of the application.
	BootPackage  string
	BootActivity string
	// MetricsServer is where the software inside sends its metrics:
	// "influxdb:192.168.100.8:8095,raw".
	MetricsServer string
	// DisableWatchdog leaves out the watchdog.
	DisableWatchdog bool
	// Devmode lets the instance run on when the software inside fails.
	Devmode bool
	// Streaming is kept for whoever streams; AMS itself does nothing about it.
	Streaming bool
	Display   Display
}

// Display is the virtual display of an instance. Zero fields are the default,
// 1280x720 at 60 frames per second and a density of 240, or of 160 on the
// platform "null".
type Display struct {
	Width   int // pixels; an odd number is rounded up by one
	Height  int // likewise
	Density int // dots per inch
	FPS     int
}

// The most that a display can have.
const (
	maxDisplaySide    = 16384
	maxDisplayDensity = 2000
	maxDisplayFPS     = 240

	maxConfigText = 255
)

// with returns the display with every field set.
func (d Display) with(platform string) Display {
	density := 240
	if platform == "null" {
		density = 160
	}
	d.Width, d.Height = cmp.Or(d.Width, 1280), cmp.Or(d.Height, 720)
	d.Width, d.Height = d.Width+d.Width%2, d.Height+d.Height%2
	d.Density, d.FPS = cmp.Or(d.Density, density), cmp.Or(d.FPS, 60)
	return d
}

func (c *InstanceConfig) check(f *manifestFaults) {
	name := func(field, value string) {
		if fault := charsetFault(value, false); value != "" && (fault != "" || len(value) > maxConfigText) {
			f.add(field, value, "%s %s is not allowed: use at most %d letters, digits, '-', '_' and '.'", field, quote(value), maxConfigText)
		}
	}
	name("config.platform", c.Platform)
	if c.BootPackage != "" {
		f.androidPackage("config.boot_package", c.BootPackage)
	}
	if c.BootActivity != "" && !isActivity(c.BootActivity) {
		f.add("config.boot_activity", c.BootActivity, "config.boot_activity %s is not an activity's name", quote(c.BootActivity))
	}
	if s := c.MetricsServer; s != "" && !isMetricsServer(s) {
		f.add("config.metrics_server", s, "config.metrics_server %s is not valid: use <type>:<host>:<port>[,<option>]", quote(s))
	}
	limit := func(field string, value, most int) {
		if value < 0 || value > most {
			f.add(field, strconv.Itoa(value), "%s %d is out of range (0-%d)", field, value, most)
		}
	}
	limit("config.display.width", c.Display.Width, maxDisplaySide)
	limit("config.display.height", c.Display.Height, maxDisplaySide)
	limit("config.display.density", c.Display.Density, maxDisplayDensity)
	limit("config.display.fps", c.Display.FPS, maxDisplayFPS)
}

// isMetricsServer reports whether s is like "influxdb:192.168.100.8:8095,raw".
func isMetricsServer(s string) bool {
	if len(s) > maxConfigText || textFault(s) != "" || strings.ContainsAny(s, " \t") {
		return false
	}
	kind, rest, _ := strings.Cut(s, ":")
	address, _, _ := strings.Cut(rest, ",")
	colon := strings.LastIndexByte(address, ':')
	if kind == "" || colon <= 0 {
		return false
	}
	port, err := strconv.Atoi(address[colon+1:])
	return err == nil && port > 0 && port <= maxPort
}
