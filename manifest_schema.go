package ams

import (
	"fmt"
	"strings"
)

// ManifestField describes a key of the manifest.yaml of an application.
type ManifestField struct {
	Path     string   // "resources.cpus", "services[].port", "extra-data.<name>.target"
	Alias    string   // another spelling of the last key, which is read too; empty if there is none
	Type     string   // "text", "int", "bool", "size", "duration", "list of text", "map", "list of maps" or "map of maps"
	Required bool     // wherever the mapping around it is
	Default  string   // what counts where the key is not there; empty is nothing
	Allowed  []string // of a text, or of each item of a list; empty is whatever keeps the rule
	Min      int      // of an int, of a text's characters; 0 is no bound
	Max      int      // likewise, and of a list's items
	Rule     string   // what values must be like, in sentences; empty is whatever is of the type
	Effect   string   // what it does, in sentences
	Since    string   // the release of AMS that had it first; empty is one of the first
}

// ManifestFields returns the keys that ParseManifest reads, maps before what is in
// them, in the order in which AMS documents them. The caller owns the slice.
func ManifestFields() []ManifestField {
	var types []string
	for _, t := range InstanceTypes() {
		types = append(types, t.Name)
	}
	const text, texts = "text", "list of text"
	const characters = "letters, digits, '-', '_' and '.'"
	items := fmt.Sprintf("At most %d, none twice.", maxYAMLItems)
	tags := items + fmt.Sprintf(" Each is of 1 to %d bytes on one line, without a comma.", maxNameLength)
	dotted := fmt.Sprintf("of at most %d characters", maxNameLength)
	fields := []ManifestField{
		{Path: "name", Type: text, Required: true, Min: minNameLength, Max: maxNameLength,
			Rule:   fmt.Sprintf("%d to %d "+characters+". It does not begin with '-' and is not dots alone.", minNameLength, maxNameLength),
			Effect: "The name of the application, which no other one has. It stays the same in all versions."},
		{Path: "version", Type: text, Max: maxVersionLength, Since: "1.8",
			Rule:   fmt.Sprintf("At most %d characters on one line.", maxVersionLength),
			Effect: "A label of your own for this state of the application. AMS numbers versions by itself."},
		{Path: "instance-type", Type: text, Allowed: types,
			Effect: "A named set of resources. Deprecated: set resources."},
		{Path: "resources", Type: "map", Since: "1.6",
			Effect: "What an instance gets of its node. Each key here counts before that of the instance type, and that before the default; with cpus, memory and disk-size the type has no say."},
		{Path: "resources.cpus", Type: "int", Default: fmt.Sprint(defaultCPUs), Min: minCPUs,
			Rule:   fmt.Sprintf("At least %d.", minCPUs),
			Effect: "Virtual CPUs."},
		{Path: "resources.memory", Type: "size", Default: defaultMemory.String(),
			Rule:   fmt.Sprintf("At least %s.", minMemory),
			Effect: "Memory."},
		{Path: "resources.disk-size", Type: "size", Default: fmt.Sprintf("%s; %s in a virtual machine", defaultDisk, defaultVMDisk),
			Rule:   fmt.Sprintf("At least %s.", minDisk),
			Effect: "The root disk. That of a virtual machine is never smaller than its image."},
		{Path: "resources.gpu-slots", Type: "int", Default: "0", Rule: "At least 0.",
			Effect: "Slots on a GPU of the node."},
		{Path: "resources.vpu-slots", Type: "int", Default: "0", Rule: "At least 0.", Since: "1.20",
			Effect: "Slots on a video processing unit of the node."},
		{Path: "resources.gpu-type", Type: text, Allowed: []string{"amd", "intel", "nvidia"}, Since: "1.26",
			Effect: "Only GPUs of this kind will do; without it any will."},
		{Path: "resources.no-disk-reserve", Alias: "no_disk_reserve", Type: "bool", Default: "false", Since: "1.29",
			Effect: "The disk does not count as given away, so that a node can promise more than it has."},
		{Path: "image", Type: text, Default: "the default image", Min: minNameLength, Max: maxNameLength,
			Rule:   fmt.Sprintf("%d to %d letters, digits, '-', '_', '.' and ':'.", minNameLength, maxNameLength),
			Effect: "The name or id of the image that versions are built on."},
		{Path: "addons", Type: texts, Max: maxYAMLItems, Rule: items + " Names of addons that exist.",
			Effect: "Addons that are installed, in this order, after those of the setting application.addons."},
		{Path: "tags", Type: texts, Max: maxYAMLItems, Rule: tags,
			Effect: "Labels to find applications by, and to choose those that are pulled from a registry."},
		{Path: "boot-package", Type: text, Default: "that of app.apk", Max: maxNameLength,
			Rule:   "A package name such as com.example.app, " + dotted + "; that of app.apk if there is one.",
			Effect: "The Android package that is started."},
		{Path: "boot-activity", Type: text, Default: "the main activity of app.apk", Max: maxNameLength,
			Rule:   "An activity such as com.example.app.MainActivity or .MainActivity, " + dotted + ". It needs a package.",
			Effect: "The activity of the package that is started."},
		{Path: "required-permissions", Type: texts, Max: maxYAMLItems,
			Rule:   items + " Each is a name such as android.permission.CAMERA, " + dotted + "; or '*' alone.",
			Effect: "Android permissions that are granted when the app is installed, and no others; '*' is all that the app asks for."},
		{Path: "video-encoder", Type: text, Default: string((&Manifest{}).Encoder(false)), Allowed: []string{"gpu", "gpu-preferred", "software"}, Since: "1.5",
			Effect: "Whether an instance takes an encoder slot of a GPU: always, if one is free, or never. Virtual machines never do."},
		{Path: "watchdog", Type: "map", Since: "1.6",
			Effect: "The watchdog ends an instance, with an error, whose app crashes, hangs or leaves the foreground."},
		{Path: "watchdog.disabled", Type: "bool", Default: "false",
			Effect: "There is no watchdog."},
		{Path: "watchdog.allowed-packages", Type: texts, Max: maxYAMLItems,
			Rule:   items + " Each is a package name " + dotted + "; or '*' alone.",
			Effect: "Android packages that may come to the foreground beside the boot package; '*' is any."},
		{Path: "services", Type: "list of maps", Max: maxYAMLItems, Since: "1.6",
			Rule:   fmt.Sprintf("At most %d. No two have the same name, or a port and protocol in common.", maxYAMLItems),
			Effect: "Ports of an instance that are reached through its node."},
		{Path: "services[].name", Type: text, Max: maxServiceName,
			Rule:   fmt.Sprintf("Up to %d "+characters+".", maxServiceName),
			Effect: "What the service is called where endpoints are shown."},
		{Path: "services[].port", Type: "int", Required: true, Min: 1, Max: maxPort,
			Rule:   fmt.Sprintf("From 1 to %d.", maxPort),
			Effect: "The port inside the instance, or the first one of a range."},
		{Path: "services[].port-end", Alias: "port_end", Type: "int", Default: "the same as port", Min: 1, Max: maxPort, Since: "1.12",
			Rule:   fmt.Sprintf("From port to %d.", maxPort),
			Effect: "The last port of a range."},
		{Path: "services[].protocols", Type: texts, Required: true, Allowed: []string{"tcp", "udp"}, Rule: "tcp, udp or both, none twice.",
			Effect: "The protocols of the ports, one or both."},
		{Path: "services[].expose", Type: "bool", Default: "false",
			Effect: "The service is offered on the node's public address, not only on the private one."},
		{Path: "extra-data", Type: "map of maps",
			Rule:   fmt.Sprintf("At most %d. Each key is the name of a file or directory in extra-data/ of the package, of at most %d bytes.", maxYAMLKeys, maxPathComponent),
			Effect: "What is copied into Android after the app is installed. It needs a package."},
		{Path: "extra-data.<name>.target", Type: text, Required: true,
			Rule: fmt.Sprintf("%s, or a directory below it; <pkg> is the application's package. At most %d bytes. Below /data/app the directory may also be <pkg>-<anything>.",
				strings.TrimPrefix(extraDataPlaces, "use "), maxPathLength),
			Effect: "The directory in Android that the file or directory is put into; it is made if need be."},
		{Path: "extra-data.<name>.owner", Type: text, Default: "the package's user and group; below /sdcard the group sdcard_rw",
			Rule:   fmt.Sprintf("<user>:<group>, each a number of at most %d digits or a name of at most %d lower-case letters, digits and '_', not with a digit first.", maxAccountDigits, maxAccountName),
			Effect: "Who the file or directory belongs to, with all that is in it."},
		{Path: "extra-data.<name>.permissions", Type: text, Default: "0660 for files, 0770 for directories, 0771 for directories below /sdcard",
			Rule:   "Three octal digits, perhaps after a 0.",
			Effect: "The permissions of each file; directories get a search bit beside each read bit."},
		{Path: "hooks", Type: "map", Since: "1.14", Effect: "The hooks of the application."},
		{Path: "hooks.timeout", Type: "duration", Default: seconds(int(DefaultHookTimeout.Seconds())),
			Rule:   fmt.Sprintf("At most %s; 0s is the default.", seconds(int(MaxHookTimeout.Seconds()))),
			Effect: "How long each hook may run; then it is killed and has failed."},
		{Path: "bootstrap", Type: "map", Effect: "What becomes of the package at the end of the bootstrap."},
		{Path: "bootstrap.keep", Type: texts, Max: maxYAMLItems,
			Rule:   items + fmt.Sprintf(" Patterns of Go's path.Match, relative to the package and within it, of at most %d bytes.", maxPathLength),
			Effect: "Files and directories of the package that stay in the image, beside manifest.yaml and hooks/."},
		{Path: "features", Type: texts, Max: maxYAMLItems, Since: "1.11",
			Rule:   items + fmt.Sprintf(" Each is up to %d "+characters+".", maxNameLength),
			Effect: "Feature flags that are handed to the instance as they are."},
		{Path: "node-selector", Type: texts, Max: maxYAMLItems, Since: "1.17", Rule: tags,
			Effect: "Tags that a node must all have."},
		{Path: "abi", Type: text, Allowed: []string{"x86_64", "x86", "arm64-v8a", "armeabi-v7a", "armeabi"},
			Effect: "The native ABI of app.apk, in manifests that AMS exports. In a package it has no effect."},
	}
	for i, f := range fields {
		if last := len(f.Allowed) - 1; f.Type == text && last > 0 {
			fields[i].Rule = "One of " + strings.Join(f.Allowed[:last], ", ") + " and " + f.Allowed[last] + "."
		}
	}
	return fields
}
