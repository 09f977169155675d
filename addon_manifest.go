package ams

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// addonManifest is what an addon says about itself in its manifest.yaml.
type addonManifest struct {
	name        string
	description string
	abiSupport  []string
	hookTimeout string
}

// parseAddonManifest reads an addon's manifest.yaml. Like ParseManifest it reports
// all problems at once.
func parseAddonManifest(data []byte) (*addonManifest, error) {
	root, faults := decodeYAML(data)
	if err := faults.err(); err != nil {
		return nil, err
	}
	d := &manifestDecoder{faults: faults}
	m := &addonManifest{}
	d.object(
		yamlField{name: "name", read: d.text(&m.name)},
		yamlField{name: "description", read: d.text(&m.description)},
		yamlField{name: "provides", read: d.object(
			yamlField{name: "abi-support", read: d.texts(&m.abiSupport)},
		)},
		yamlField{name: "hooks", read: d.object(
			yamlField{name: "timeout", read: d.text(&m.hookTimeout)},
		)},
	)(root, "")
	m.check(faults)
	return m, faults.err()
}

func (m *addonManifest) check(f *manifestFaults) {
	if m.name != "" {
		f.name("name", m.name, false)
	} else if !f.has("name") {
		f.add("name", "", "name is required")
	}
	if !utf8.ValidString(m.description) || strings.ContainsFunc(m.description, func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' }) {
		f.add("description", m.description, "description contains a control character")
	}
	f.each("provides.abi-support", "ABI", m.abiSupport, func(at, s string) {
		if s == "" {
			f.add(at, s, "%s is empty", at)
		}
		f.oneOf(at, s, "arm64-v8a", "armeabi-v7a", "armeabi")
	})
	if _, fault := parseHookTimeout(m.hookTimeout); fault != "" {
		f.add("hooks.timeout", m.hookTimeout, "hooks.timeout %s %s", quote(m.hookTimeout), fault)
	}
}
