package guides

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"

	"github.com/openams/ams"
)

func TestManifestGuide(t *testing.T) {
	text := read(t, "guides/manifest.md")
	text = splice(t, text, "keys", manifestKeys())
	text = splice(t, text, "instance types", instanceTypes())
	compare(t, "guides/manifest.md", text)
}

func manifestKeys() string {
	t := newTable("key", "type", "default", "rule", "effect", "since")
	for _, f := range ams.ManifestFields() {
		key := code(f.Path)
		if f.Required {
			key += " **required**"
		}
		if f.Alias != "" {
			key += ", also " + code(f.Alias)
		}
		rule := plain(f.Rule)
		if len(f.Allowed) > 0 && f.Type == "text" {
			rule = codes(f.Allowed)
		}
		t.row(key, f.Type, f.Default, rule, plain(f.Effect), f.Since)
	}
	return t.String()
}

func instanceTypes() string {
	t := newTable("type", "CPUs", "memory", "disk", "GPU slots")
	for _, i := range ams.InstanceTypes() {
		t.row(code(i.Name), fmt.Sprint(i.CPUs), i.Memory.String(), i.DiskSize.String(), fmt.Sprint(i.GPUSlots))
	}
	return t.String()
}

// TestManifestExample parses the example of the guide, which sets every key but
// the one that is deprecated and the one that only AMS writes.
func TestManifestExample(t *testing.T) {
	_, example, ok := strings.Cut(read(t, "guides/manifest.md"), "```yaml\n")
	require.True(t, ok)
	example, _, ok = strings.Cut(example, "```\n")
	require.True(t, ok)
	m, err := ams.ParseManifest([]byte(example))
	require.NoError(t, err)
	require.NoError(t, m.CheckPackage(m.BootPackage))
	require.Empty(t, faults(t, editorSchema(t), example))

	var v any
	require.NoError(t, yaml.Unmarshal([]byte(example), &v))
	var want []string
	for _, f := range ams.ManifestFields() {
		if f.Path != "instance-type" && f.Path != "abi" {
			want = append(want, f.Path)
		}
	}
	got := paths(v, "")
	slices.Sort(got)
	require.ElementsMatch(t, want, slices.Compact(got))
}

// paths are the keys that a file sets, as ManifestFields writes them.
func paths(v any, at string) []string {
	var all []string
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			all = append(all, paths(item, at+"[]")...)
		}
	case map[string]any:
		for key, value := range v {
			switch {
			case at == "extra-data":
				all = append(all, paths(value, at+".<name>")...)
				continue
			case at != "":
				key = at + "." + key
			}
			all = append(append(all, key), paths(value, key)...)
		}
	}
	return all
}
