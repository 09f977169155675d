package ams

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestManifestFieldsAreComplete compares the table with the type, whose fields
// name their keys.
func TestManifestFieldsAreComplete(t *testing.T) {
	want := map[string]string{} // the type of each path
	var walk func(typ reflect.Type, path string)
	walk = func(typ reflect.Type, path string) {
		for field := range typ.Fields() {
			key, _, _ := strings.Cut(field.Tag.Get("yaml"), ",")
			require.NotEmpty(t, key)
			stored, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			require.Equal(t, key, stored)
			at, kind := join(path, key), field.Type
			if kind.Kind() == reflect.Pointer {
				kind = kind.Elem()
			}
			switch {
			case kind == reflect.TypeFor[Size]():
				want[at] = "size"
			case kind.Kind() == reflect.String:
				want[at] = "text"
			case kind.Kind() == reflect.Int:
				want[at] = "int"
			case kind.Kind() == reflect.Bool:
				want[at] = "bool"
			case kind.Kind() == reflect.Struct:
				want[at] = "map"
				walk(kind, at)
			case kind.Kind() == reflect.Map:
				want[at] = "map of maps"
				walk(kind.Elem(), at+".<name>")
			case kind.Elem().Kind() == reflect.Struct:
				want[at] = "list of maps"
				walk(kind.Elem(), at+"[]")
			default:
				require.Equal(t, reflect.TypeFor[[]string](), kind, at)
				want[at] = "list of text"
			}
		}
	}
	walk(reflect.TypeFor[Manifest](), "")
	want["hooks.timeout"] = "duration" // which is stored as it was written

	got := map[string]string{}
	for _, f := range ManifestFields() {
		require.NotContains(t, got, f.Path)
		got[f.Path] = f.Type
		require.True(t, strings.HasSuffix(f.Effect, "."), f.Path)
		require.True(t, f.Rule == "" || strings.HasSuffix(f.Rule, "."), f.Path)
		if i := strings.LastIndexAny(f.Path, ".["); i > 0 && !strings.Contains(f.Path, "<") {
			require.Contains(t, got, f.Path[:strings.IndexAny(f.Path, ".[")], "a map stands before what is in it")
		}
	}
	require.Equal(t, want, got)
}

// TestManifestFieldsAreRead compares the table with the keys in the source of the
// decoder, other spellings included.
func TestManifestFieldsAreRead(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "manifest_decode.go", nil, 0)
	require.NoError(t, err)
	var read, listed []string
	for _, d := range file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || !slices.Contains([]string{"manifest", "services", "extraData"}, f.Name.Name) {
			continue
		}
		ast.Inspect(f, func(n ast.Node) bool {
			pair, ok := n.(*ast.KeyValueExpr)
			if !ok {
				return true
			}
			if key := pair.Key.(*ast.Ident).Name; key == "name" || key == "alias" {
				text, err := strconv.Unquote(pair.Value.(*ast.BasicLit).Value)
				require.NoError(t, err)
				read = append(read, text)
			}
			return true
		})
	}
	for _, f := range ManifestFields() {
		listed = append(listed, f.Path[strings.LastIndex(f.Path, ".")+1:])
		if f.Alias != "" {
			listed = append(listed, f.Alias)
		}
	}
	require.ElementsMatch(t, read, listed)
}

// manifestBound is a number in a rule, and manifests at it and beyond it.
type manifestBound struct{ number, at, beyond string }

// manifestBounds has every number of every rule, and the rule "Required" as "".
func manifestBounds() map[string][]manifestBound {
	x := func(n int) string { return strings.Repeat("x", n) }
	// many makes a list of n items, in which %d is the number of each.
	many := func(n int, item string) string {
		var b strings.Builder
		for i := range n {
			b.WriteString("\n  - " + strings.ReplaceAll(item, "%d", fmt.Sprint(i+1)))
		}
		return b.String()
	}
	items := func(key, item string) manifestBound {
		return manifestBound{"1000", key + many(1000, item), key + many(1001, item)}
	}
	service := func(rest string) string { return "services: [{protocols: [tcp], " + rest + "}]" }
	data := func(rest string) string { return "extra-data: {a: {target: /data/data/a.b, " + rest + "}}" }
	target := func(s string) string { return "extra-data: {a: {target: /data/data/a.b" + s + "}}" }
	files := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "\n  f%d: {target: /data/data/a.b}", i)
		}
		return "extra-data:" + b.String()
	}
	tags := func(key string) []manifestBound {
		return []manifestBound{items(key, "t%d"), {"1", key + " [a]", key + " ['']"}, {"255", key + " [" + x(255) + "]", key + " [" + x(256) + "]"}}
	}
	dirs := strings.Repeat("/"+x(99), 41)[:4096-len("/data/data/a.b")]
	return map[string][]manifestBound{
		"name":                          {{"", "name: abc", "version: x"}, {"3", "name: abc", "name: ab"}, {"255", "name: " + x(255), "name: " + x(256)}},
		"version":                       {{"50", "version: " + strings.Repeat("é", 50), "version: " + strings.Repeat("é", 51)}},
		"resources.cpus":                {{"1", "resources: {cpus: 1}", "resources: {cpus: 0}"}},
		"resources.memory":              {{"3GB", "resources: {memory: 3GB}", "resources: {memory: 3221225471B}"}},
		"resources.disk-size":           {{"3GB", "resources: {disk-size: 3GB}", "resources: {disk-size: 3221225471B}"}},
		"resources.gpu-slots":           {{"0", "resources: {gpu-slots: 0}", "resources: {gpu-slots: -1}"}},
		"resources.vpu-slots":           {{"0", "resources: {vpu-slots: 0}", "resources: {vpu-slots: -1}"}},
		"image":                         {{"3", "image: a:b", "image: ab"}, {"255", "image: " + x(255), "image: " + x(256)}},
		"addons":                        {items("addons:", "ssh%d")},
		"tags":                          tags("tags:"),
		"boot-package":                  {{"255", "boot-package: a." + x(253), "boot-package: a." + x(254)}},
		"boot-activity":                 {{"255", "boot-activity: a." + x(253), "boot-activity: a." + x(254)}},
		"required-permissions":          {items("required-permissions:", "a.b%d"), {"255", "required-permissions: [a." + x(253) + "]", "required-permissions: [a." + x(254) + "]"}},
		"watchdog.allowed-packages":     {items("watchdog:\n  allowed-packages:", "a.b%d"), {"255", "watchdog: {allowed-packages: [a." + x(253) + "]}", "watchdog: {allowed-packages: [a." + x(254) + "]}"}},
		"services":                      {items("services:", "{port: %d, protocols: [tcp]}")},
		"services[].name":               {{"63", service("port: 1, name: " + x(63)), service("port: 1, name: " + x(64))}},
		"services[].port":               {{"", service("port: 1"), service("expose: true")}, {"1", service("port: 1"), service("port: 0")}, {"65535", service("port: 65535"), service("port: 65536")}},
		"services[].port-end":           {{"65535", service("port: 9, port-end: 65535"), service("port: 9, port-end: 65536")}, {"port", service("port: 9, port-end: 9"), service("port: 9, port-end: 8")}},
		"services[].protocols":          {{"", "services: [{port: 1, protocols: [udp]}]", "services: [{port: 1}]"}},
		"extra-data":                    {{"256", files(256), files(257)}, {"255", "extra-data: {" + x(255) + ": {target: /data/data/a.b}}", "extra-data: {" + x(256) + ": {target: /data/data/a.b}}"}},
		"extra-data.<name>.target":      {{"", target(""), "extra-data: {a: {owner: 'a:b'}}"}, {"4096", target(dirs), target(dirs + "x")}},
		"extra-data.<name>.owner":       {{"9", data("owner: '999999999:0'"), data("owner: '1000000000:0'")}, {"32", data("owner: 'a:" + x(32) + "'"), data("owner: 'a:" + x(33) + "'")}},
		"extra-data.<name>.permissions": {{"0", data("permissions: 0777"), data("permissions: 1777")}},
		"hooks.timeout":                 {{"15m", "hooks: {timeout: 15m}", "hooks: {timeout: 15m0.001s}"}, {"0s", "hooks: {timeout: 0s}", "hooks: {timeout: -1ns}"}},
		"bootstrap.keep":                {items("bootstrap:\n  keep:", "k%d"), {"4096", "bootstrap: {keep: [" + x(4096) + "]}", "bootstrap: {keep: [" + x(4097) + "]}"}},
		"features":                      {items("features:", "f%d"), {"255", "features: [" + x(255) + "]", "features: [" + x(256) + "]"}},
		"node-selector":                 tags("node-selector:"),
	}
}

// TestManifestRulesHold parses manifests at and beyond each bound of each rule,
// with each value that is allowed, and with one that is not.
func TestManifestRulesHold(t *testing.T) {
	parse := func(f ManifestField, text string) error {
		if f.Path != "name" {
			text = "name: abc\n" + text
		}
		_, err := ParseManifest([]byte(text))
		return err
	}
	number := regexp.MustCompile(`\b\d+(GB|m|s)?\b`)
	bounds := manifestBounds()
	for _, f := range ManifestFields() {
		var stated, tested []string
		if f.Required {
			stated = append(stated, "")
		}
		if len(f.Allowed) == 0 {
			stated = append(stated, number.FindAllString(f.Rule, -1)...)
		}
		for _, bound := range []int{f.Min, f.Max} {
			if bound != 0 && len(f.Allowed) == 0 && f.Path != "services[].port-end" { // whose least is port
				require.Contains(t, stated, fmt.Sprint(bound), f.Path)
			}
		}
		for _, b := range bounds[f.Path] {
			require.NoError(t, parse(f, b.at), "%s at %s", f.Path, b.number)
			require.ErrorIs(t, parse(f, b.beyond), ErrInvalid, "%s beyond %s", f.Path, b.number)
			if b.number != "port" {
				tested = append(tested, b.number)
			}
		}
		require.ElementsMatch(t, stated, tested, "%s: each number of its rule has a manifest at it and one beyond", f.Path)

		for _, value := range f.Allowed {
			require.NoError(t, parse(f, with(f.Path, value)), f.Path)
		}
		if len(f.Allowed) > 0 {
			require.ErrorIs(t, parse(f, with(f.Path, f.Allowed[0]+"x")), ErrInvalid, f.Path)
		}
	}
}

// with is a line that gives a key a value.
func with(path, value string) string {
	if path == "services[].protocols" {
		return "services: [{port: 1, protocols: [" + value + "]}]"
	}
	group, key, ok := strings.Cut(path, ".")
	if ok {
		return group + ": {" + key + ": " + value + "}"
	}
	return path + ": " + value
}

// TestManifestDefaults compares each default with what the code does.
func TestManifestDefaults(t *testing.T) {
	empty, err := ParseManifest([]byte("name: abc\nservices: [{port: 7, protocols: [tcp]}]\n"))
	require.NoError(t, err)
	r, vm := empty.Requirements(false), empty.Requirements(true)
	want := map[string]string{
		"resources.cpus":            fmt.Sprint(r.CPUs),
		"resources.memory":          r.Memory.String(),
		"resources.disk-size":       r.DiskSize.String() + "; " + vm.DiskSize.String() + " in a virtual machine",
		"resources.gpu-slots":       fmt.Sprint(*r.GPUSlots),
		"resources.vpu-slots":       fmt.Sprint(*r.VPUSlots),
		"resources.no-disk-reserve": fmt.Sprint(r.NoDiskReserve),
		"video-encoder":             string(empty.Encoder(false)),
		"watchdog.disabled":         fmt.Sprint(empty.Watchdog.Disabled),
		"services[].expose":         fmt.Sprint(empty.Services[0].Expose),
		"hooks.timeout":             strings.TrimSuffix(empty.Hooks.Limit().String(), "0s"),
		// The rest is in words.
		"image":                         "the default image",
		"boot-package":                  "that of app.apk",
		"boot-activity":                 "the main activity of app.apk",
		"services[].port-end":           "the same as port",
		"extra-data.<name>.owner":       "the package's user and group; below /sdcard the group sdcard_rw",
		"extra-data.<name>.permissions": "0660 for files, 0770 for directories, 0771 for directories below /sdcard",
	}
	require.Equal(t, empty.Services[0].Port, empty.Services[0].last())
	require.Equal(t, [3]any{r.CPUs, r.Memory, EncoderSoftware}, [3]any{vm.CPUs, vm.Memory, empty.Encoder(true)})
	got := map[string]string{}
	for _, f := range ManifestFields() {
		if f.Default != "" {
			got[f.Path] = f.Default
		}
	}
	require.Equal(t, want, got)
}
