package ams

import (
	"strconv"
	"strings"
)

// manifestDecoder turns the values of a YAML file into a Manifest and records
// unknown keys, keys set twice and wrong types. Null means unset everywhere.
type manifestDecoder struct {
	faults *manifestFaults
}

// yamlReader stores one value, which is not null, where it belongs.
type yamlReader func(n *yamlNode, path string)

// yamlField is a known key of a mapping.
type yamlField struct {
	name  string
	alias string // another spelling of the name, if any
	read  yamlReader
}

func (d *manifestDecoder) manifest(root *yamlNode) *Manifest {
	m := &Manifest{}
	d.object(
		yamlField{name: "name", read: d.text(&m.Name)},
		yamlField{name: "version", read: d.text(&m.Version)},
		yamlField{name: "instance-type", read: d.text(&m.InstanceType)},
		yamlField{name: "resources", read: d.object(
			yamlField{name: "cpus", read: d.cpus(&m.Resources.CPUs)},
			yamlField{name: "memory", read: d.size(&m.Resources.Memory, minMemory)},
			yamlField{name: "disk-size", read: d.size(&m.Resources.DiskSize, minDisk)},
			yamlField{name: "gpu-slots", read: d.slots(&m.Resources.GPUSlots)},
			yamlField{name: "vpu-slots", read: d.slots(&m.Resources.VPUSlots)},
			yamlField{name: "gpu-type", read: d.text(&m.Resources.GPUType)},
			yamlField{name: "no-disk-reserve", alias: "no_disk_reserve", read: d.truth(&m.Resources.NoDiskReserve)},
		)},
		yamlField{name: "image", read: d.text(&m.Image)},
		yamlField{name: "addons", read: d.texts(&m.Addons)},
		yamlField{name: "tags", read: d.texts(&m.Tags)},
		yamlField{name: "boot-package", read: d.text(&m.BootPackage)},
		yamlField{name: "boot-activity", read: d.text(&m.BootActivity)},
		yamlField{name: "required-permissions", read: d.texts(&m.RequiredPermissions)},
		yamlField{name: "video-encoder", read: d.text((*string)(&m.VideoEncoder))},
		yamlField{name: "watchdog", read: d.object(
			yamlField{name: "disabled", read: d.truth(&m.Watchdog.Disabled)},
			yamlField{name: "allowed-packages", read: d.texts(&m.Watchdog.AllowedPackages)},
		)},
		yamlField{name: "services", read: d.services(&m.Services)},
		yamlField{name: "extra-data", read: d.extraData(&m.ExtraData)},
		yamlField{name: "hooks", read: d.object(
			yamlField{name: "timeout", read: d.text(&m.Hooks.Timeout)},
		)},
		yamlField{name: "bootstrap", read: d.object(
			yamlField{name: "keep", read: d.texts(&m.Bootstrap.Keep)},
		)},
		yamlField{name: "features", read: d.texts(&m.Features)},
		yamlField{name: "node-selector", read: d.texts(&m.NodeSelector)},
		yamlField{name: "abi", read: d.text(&m.ABI)},
	)(root, "")
	return m
}

// object reads a mapping with known keys.
func (d *manifestDecoder) object(fields ...yamlField) yamlReader {
	return func(n *yamlNode, path string) {
		find := func(key string) (yamlField, bool) {
			for _, field := range fields {
				if key == field.name || key == field.alias && key != "" {
					return field, true
				}
			}
			return yamlField{name: key}, false
		}
		canonical := func(key string) string {
			field, _ := find(key)
			return field.name
		}
		d.pairs(n, path, canonical, func(key, value *yamlNode) {
			field, known := find(key.text)
			at := join(path, field.name)
			if !known {
				d.unknown(key, at, fields)
				return
			}
			if value.kind != yamlNull {
				d.faults.lines[at] = value.line
				field.read(value, at)
			}
		})
	}
}

// pairs calls each for the keys of a mapping and records those set twice. Two keys
// are the same if canonical makes them so.
func (d *manifestDecoder) pairs(n *yamlNode, path string, canonical func(string) string, each func(key, value *yamlNode)) {
	if n.kind != yamlMap {
		d.wrongType(n, path, "a mapping")
		return
	}
	first := map[string]int{}
	for i, key := range n.keys {
		name := canonical(key.text)
		if line, twice := first[name]; twice {
			d.faults.put(&FieldError{Field: join(path, name), Line: key.line, Found: cut(name), placed: true,
				Rule: "field " + quote(join(path, name)) + " is set twice (lines " +
					strconv.Itoa(line) + " and " + strconv.Itoa(key.line) + ")"})
			continue
		}
		first[name] = key.line
		each(key, n.items[i])
	}
}

// unknown records a key that no field has, with the field that may be meant.
func (d *manifestDecoder) unknown(key *yamlNode, path string, fields []yamlField) {
	rule := "unknown field " + quote(path) + " at line " + strconv.Itoa(key.line)
	spelt := strings.ToLower(strings.ReplaceAll(key.text, "_", "-"))
	best, least := "", 3
	for _, field := range fields {
		if distance := editDistance(spelt, field.name); distance < min(least, len(field.name)) {
			best, least = field.name, distance
		}
	}
	if best != "" {
		rule += " (did you mean " + quote(best) + "?)"
	}
	d.faults.put(&FieldError{Field: cut(path), Line: key.line, Found: cut(key.text), Rule: rule, placed: true})
}

func (d *manifestDecoder) wrongType(n *yamlNode, path, want string) {
	d.faults.add(path, n.text, "%s must be %s, got %s", path, want, n.describe())
}

// text reads a scalar as it is written: 1.10 is the text "1.10".
func (d *manifestDecoder) text(to *string) yamlReader {
	return func(n *yamlNode, path string) {
		switch n.kind {
		case yamlText, yamlInt, yamlFloat:
			*to = n.text
		case yamlBool:
			d.faults.add(path, n.text, "%s must be text, got %s; put it in quotes", path, n.text)
		default:
			d.wrongType(n, path, "text")
		}
	}
}

// list reads a list and calls read for each item.
func (d *manifestDecoder) list(n *yamlNode, path string, read func(item *yamlNode, path string, i int)) {
	if n.kind != yamlList {
		d.faults.add(path, n.text, "%s must be a list", path)
		return
	}
	for i, item := range n.items {
		at := path + "[" + strconv.Itoa(i) + "]"
		d.faults.lines[at] = item.line
		read(item, at, i)
	}
}

func (d *manifestDecoder) texts(to *[]string) yamlReader {
	return func(n *yamlNode, path string) {
		d.list(n, path, func(item *yamlNode, at string, i int) {
			*to = append(*to, "")
			if item.kind != yamlNull {
				d.text(&(*to)[i])(item, at)
			}
		})
	}
}

func (d *manifestDecoder) truth(to *bool) yamlReader {
	return func(n *yamlNode, path string) {
		if n.kind != yamlBool {
			d.wrongType(n, path, "true or false")
			return
		}
		*to = strings.EqualFold(n.text, "true")
	}
}

// whole returns the value of a whole number in plain decimal digits.
func whole(n *yamlNode) (int, bool) {
	v, err := strconv.Atoi(n.text)
	return v, n.kind == yamlInt && err == nil && strconv.Itoa(v) == n.text
}

func (d *manifestDecoder) cpus(to *int) yamlReader {
	return func(n *yamlNode, path string) {
		v, ok := whole(n)
		if !ok || v < minCPUs {
			d.wrongType(n, path, "a whole number of at least 1")
			return
		}
		*to = v
	}
}

func (d *manifestDecoder) slots(to **int) yamlReader {
	return func(n *yamlNode, path string) {
		v, ok := whole(n)
		if !ok {
			d.wrongType(n, path, "a whole number of at least 0")
			return
		}
		*to = &v
	}
}

func (d *manifestDecoder) port(to *int) yamlReader {
	return func(n *yamlNode, path string) {
		v, ok := whole(n)
		switch {
		case !ok:
			d.wrongType(n, path, "a whole number")
		case v == 0:
			d.faults.add(path, n.text, "%s 0 is out of range (1-65535)", path)
		default:
			*to = v
		}
	}
}

func (d *manifestDecoder) size(to *Size, least Size) yamlReader {
	return func(n *yamlNode, path string) {
		if n.kind == yamlList || n.kind == yamlMap {
			d.wrongType(n, path, "a size")
			return
		}
		size, fault := parseSize(n.text)
		if fault == "" && size < least {
			fault = "is below the minimum of " + least.String()
		}
		if fault != "" {
			d.faults.add(path, n.text, "%s %s %s", path, quote(n.text), fault)
			return
		}
		*to = size
	}
}

func (d *manifestDecoder) services(to *[]Service) yamlReader {
	return func(n *yamlNode, path string) {
		d.list(n, path, func(item *yamlNode, at string, i int) {
			*to = append(*to, Service{})
			s := &(*to)[i]
			d.object(
				yamlField{name: "name", read: d.text(&s.Name)},
				yamlField{name: "port", read: d.port(&s.Port)},
				yamlField{name: "port-end", alias: "port_end", read: d.port(&s.PortEnd)},
				yamlField{name: "protocols", read: d.texts(&s.Protocols)},
				yamlField{name: "expose", read: d.truth(&s.Expose)},
			)(item, at)
		})
	}
}

func (d *manifestDecoder) extraData(to *map[string]ExtraData) yamlReader {
	return func(n *yamlNode, path string) {
		same := func(key string) string { return key }
		d.pairs(n, path, same, func(key, value *yamlNode) {
			at := extraDataPath(key.text)
			d.faults.lines[at] = key.line
			var e ExtraData
			d.object(
				yamlField{name: "target", read: d.text(&e.Target)},
				yamlField{name: "owner", read: d.text(&e.Owner)},
				yamlField{name: "permissions", read: d.text(&e.Permissions)},
			)(value, at)
			if *to == nil {
				*to = map[string]ExtraData{}
			}
			(*to)[key.text] = e
		})
	}
}

// extraDataPath is the path of an item of extra-data, whose name may have dots.
func extraDataPath(name string) string { return "extra-data[" + quote(name) + "]" }

// join returns the path of a key inside a mapping.
func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// editDistance returns how many characters must be inserted, deleted or replaced
// to make b of a. Long texts, which no field resembles, are not compared.
func editDistance(a, b string) int {
	if len(a) > 2*len(b) {
		return len(a)
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
