package apk

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const mainAction, launcherCategory = "android.intent.action.MAIN", "android.intent.category.LAUNCHER"

// name makes the attribute android:name.
func name(text string) attr { return attr{id: idName, name: "name", text: text} }

// launcher makes an activity with the launcher's intent filter.
func launcher(attributes ...attr) tag {
	return tag{"activity", attributes, []tag{{"intent-filter", nil, []tag{
		{"action", []attr{name(mainAction)}, nil},
		{"category", []attr{name(launcherCategory)}, nil},
	}}}}
}

// app makes a manifest with one application.
func app(children ...tag) tag {
	return tag{"manifest", []attr{{name: "package", text: "org.example"}}, []tag{{"application", nil, children}}}
}

func helloTag() tag {
	root := app(launcher(name(".Main")))
	root.attributes = append(root.attributes,
		attr{id: idVersionCode, name: "versionCode", kind: typeDecimal, data: 3},
		attr{id: idVersionName, name: "versionName", text: "1.5 größer 😀"})
	root.children = append(root.children, tag{"uses-permission", []attr{name("android.permission.CAMERA")}, nil})
	return root
}

func TestReadManifestLayouts(t *testing.T) {
	for _, l := range []layout{{}, {utf8: true}, {noIDs: true}, {utf8: true, noIDs: true}} {
		t.Run(fmt.Sprintf("%+v", l), func(t *testing.T) {
			info, err := readManifest(encode(helloTag(), l))
			require.NoError(t, err)
			require.Equal(t, &Info{
				Package:      "org.example",
				MainActivity: "org.example.Main",
				VersionName:  "1.5 größer 😀",
				VersionCode:  3,
				Permissions:  []string{"android.permission.CAMERA"},
			}, info)
		})
	}
}

func TestMainActivity(t *testing.T) {
	const reference = 0x01
	enabled := func(kind byte, data uint32) attr { return attr{id: idEnabled, name: "enabled", kind: kind, data: data} }
	target := attr{id: idTargetActivity, name: "targetActivity", text: ".Real"}
	alias := func(attributes ...attr) tag {
		a := launcher(attributes...)
		a.name = "activity-alias"
		return a
	}
	disabled := app(launcher(name(".A")))
	disabled.children[0].attributes = []attr{enabled(typeBool, 0)}
	second := app()
	second.children = append(second.children, app(launcher(name(".A"))).children...)
	deep := app(tag{"wrapper", nil, []tag{launcher(name(".A"))}})
	nested := app(tag{"activity", []attr{name(".A")}, []tag{{"wrapper", nil, launcher().children}}})

	for _, test := range []struct {
		name string
		root tag
		want string
	}{
		{"dot", app(launcher(name(".A"))), "org.example.A"},
		{"bare", app(launcher(name("A"))), "org.example.A"},
		{"full", app(launcher(name("com.other.A"))), "com.other.A"},
		{"first of two", app(launcher(name(".A")), launcher(name(".B"))), "org.example.A"},
		{"no name", app(launcher(), launcher(name(".B"))), "org.example.B"},
		{"name is a reference", app(launcher(attr{id: idName, name: "name", kind: reference, data: 1}), launcher(name(".B"))), "org.example.B"},
		{"disabled", app(launcher(name(".A"), enabled(typeBool, 0)), launcher(name(".B"))), "org.example.B"},
		{"enabled", app(launcher(name(".A"), enabled(typeBool, 0xFFFFFFFF)), launcher(name(".B"))), "org.example.A"},
		{"enabled by a resource", app(launcher(name(".A"), enabled(reference, 0x7f010000))), "org.example.A"},
		{"a certain one before one by a resource", app(launcher(name(".A"), enabled(reference, 1)), launcher(name(".B"))), "org.example.B"},
		{"alias", app(alias(name(".A"), target)), "org.example.A"},
		{"alias of nothing", app(alias(name(".A")), launcher(name(".B"))), "org.example.B"},
		{"disabled alias", app(alias(name(".A"), target, enabled(typeBool, 0)), launcher(name(".B"))), "org.example.B"},
		{"disabled application", disabled, ""},
		{"second application", second, ""},
		{"too deep", deep, ""},
		{"filter too deep", nested, ""},
		{"none", app(tag{"activity", []attr{name(".A")}, nil}), ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			info, err := readManifest(encode(test.root, layout{}))
			require.NoError(t, err)
			require.Equal(t, test.want, info.MainActivity)
		})
	}
}

// TestAttributeByID pins that a decoy with the right name but no resource id, which
// Android does not see, does not hide the real attribute.
func TestAttributeByID(t *testing.T) {
	root := app(launcher(name(".Real")))
	activity := &root.children[0].children[0]
	activity.attributes = []attr{{name: "name", text: ".Decoy"}, name(".Real")}
	info, err := readManifest(encode(root, layout{}))
	require.NoError(t, err)
	require.Equal(t, "org.example.Real", info.MainActivity)
}

// hostile returns documents that must be refused, each with the reason.
func hostile() map[string]struct {
	data []byte
	want string
} {
	type refused = struct {
		data []byte
		want string
	}
	valid := encode(helloTag(), layout{})
	pool := chunkHeaderSize
	poolSize := int(binary.LittleEndian.Uint32(valid[pool+4:]))
	resources := pool + poolSize
	root := resources + int(binary.LittleEndian.Uint32(valid[resources+4:]))

	strs := poolOf(valid)
	packageOffset := pool + poolHeaderSize + 4*strs.index("org.example")

	patch := func(offset int, value uint32) []byte {
		b := slices.Clone(valid)
		binary.LittleEndian.PutUint32(b[offset:], value)
		return b
	}
	with := func(attributes ...attr) []byte {
		return encode(tag{"manifest", attributes, nil}, layout{})
	}
	pkg := func(s string) attr { return attr{name: "package", text: s} }
	many := app()
	for i := range maxPermissions + 1 {
		many.children = append(many.children, tag{"uses-permission", []attr{name(fmt.Sprint("p", i))}, nil})
	}
	deep := tag{name: "x"}
	for range maxDepth {
		deep = tag{"x", nil, []tag{deep}}
	}
	deepApp := app(deep)
	e := encoder{}
	endFirst := e.chunk(chunkXML, nil, e.chunk(chunkEndElement, le32(nil, 1, noString), le32(nil, noString, 0)))

	return map[string]refused{
		"only-a-header":        {le32(le16(nil, chunkXML, 8), 8), "it has no elements"},
		"short-header":         {[]byte{3, 0, 8}, "truncated: 3 bytes left"},
		"half":                 {valid[:len(valid)/2], "truncated: a chunk of"},
		"last-byte-missing":    {valid[:len(valid)-1], "truncated: a chunk of"},
		"document-size-0":      {patch(4, 0), "damaged: a chunk of 0 bytes"},
		"document-size-max":    {patch(4, 0xFFFFFFFF), "truncated: a chunk of 4294967295 bytes"},
		"header-larger":        {patch(0, 0xFFFF0003), "with a header of 65535"},
		"pool-size-0":          {patch(pool+4, 0), "damaged: a chunk of 0 bytes"},
		"pool-size-max":        {patch(pool+4, 0xFFFFFFFF), "truncated: a chunk of 4294967295 bytes"},
		"pool-size-into-tags":  {patch(pool+4, uint32(poolSize+4)), "damaged: a chunk of"},
		"pool-header-short":    {patch(pool, 0x0008_0001), "damaged: the string pool's header has 8 bytes"},
		"string-count-max":     {patch(pool+8, 0xFFFFFFFF), "cannot have 4294967295 strings"},
		"string-count-2-30":    {patch(pool+8, 1<<30), "cannot have 1073741824 strings"},
		"string-count-0":       {patch(pool+8, 0), `the root element is "", not "manifest"`},
		"strings-start-0":      {patch(pool+20, 0), "damaged: the strings are outside of their pool"},
		"strings-start-max":    {patch(pool+20, 0xFFFFFFFF), "damaged: the strings are outside of their pool"},
		"element-size-0":       {patch(root+4, 0), "damaged: a chunk of 0 bytes"},
		"element-header-short": {patch(root, 0x0008_0102), "truncated: an element's start is too short"},
		"attributes-65535":     {patch(root+16+12, 0xFFFF), "damaged: 65535 attributes of 20 bytes"},
		"attribute-size-0":     {patch(root+16+8, 20), "attributes of 0 bytes"},
		"attribute-start-max":  {patch(root+16+8, 20<<16|0xFFFF), "attributes of 20 bytes do not fit"},
		"string-index-max":     {patch(root+16+20+16, 0xFFFFFFFE), "attribute package: damaged: string 4294967294 of"},
		"string-offset-max":    {patch(packageOffset, 0xFFFFFFFF), "is outside of the pool"},
		"string-offset-end":    {patch(packageOffset, uint32(len(strs.data)-1)), "damaged: a string does not end within the pool"},
		"end-first":            {endFirst, "damaged: an element ends that did not start"},
		"not-closed":           {resized(valid[:len(valid)-24]), "truncated: 1 elements do not end"},
		"two-roots":            {resized(slices.Concat(valid, valid[root:])), "damaged: it has two root elements"},
		"deep":                 {encode(deepApp, layout{}), "more than 100 elements inside one another"},
		"wrong-root":           {encode(tag{name: "resources"}, layout{}), `the root element is "resources", not "manifest"`},
		"no-package":           {with(), "it has no package attribute"},
		"package-reference":    {with(attr{name: "package", kind: 1, data: 1}), "it has no package attribute"},
		"package-android":      {with(attr{id: idName, name: "package", text: "a.b"}), "it has no package attribute"},
		"package-one-part":     {with(pkg("hello")), `the package name "hello" is not valid`},
		"package-shell":        {with(pkg("a.b;reboot")), "is not valid"},
		"package-digit":        {with(pkg("a.1b")), "is not valid"},
		"package-empty-part":   {with(pkg("a..b")), "is not valid"},
		"package-long":         {with(pkg("a." + strings.Repeat("b", 254))), "at most 255 bytes"},
		"package-very-long":    {with(pkg("a." + strings.Repeat("b", 40_000))), "attribute package: a string is longer than 1024 bytes"},
		"split":                {with(pkg("a.b"), attr{name: "split", text: "config.x86"}), `the part "config.x86" of a split application`},
		"activity-shell":       {encode(app(launcher(name(".A;reboot"))), layout{}), `name "org.example.A;reboot" is not a class name`},
		"permissions":          {encode(tag{"manifest", many.attributes, many.children}, layout{}), "it asks for more than 1000 permissions"},
		"overlapping-strings":  {overlapping(), "it asks for more than 1000 permissions"},
	}
}

// resized corrects the size of a document in its header.
func resized(document []byte) []byte {
	b := slices.Clone(document)
	binary.LittleEndian.PutUint32(b[4:], uint32(len(b)))
	return b
}

// testPool is the string pool of a document that a test made.
type testPool struct{ stringPool }

func poolOf(document []byte) testPool {
	c, _, err := cutChunk(document[chunkHeaderSize:])
	if err != nil {
		panic(err)
	}
	pool, err := newStringPool(c)
	if err != nil {
		panic(err)
	}
	return testPool{pool}
}

// index returns where a string is in the pool, which must have it.
func (p testPool) index(want string) int {
	for i := range len(p.offsets) / 4 {
		if s, err := p.at(uint32(i)); err == nil && s == want {
			return i
		}
	}
	panic("no string " + want)
}

// overlapping is a document of 80 KB in which 1001 permissions of about 900 bytes are
// parts of one string of 2 KB.
func overlapping() []byte {
	root := app()
	for i := range maxPermissions + 1 {
		root.children = append(root.children, tag{"uses-permission", []attr{name(fmt.Sprint("p", i))}, nil})
	}
	var long strings.Builder // read as UTF-16 from anywhere, it starts with a length of 384 to 511
	random := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		long.WriteRune(rune(0x180 + random.IntN(128)))
	}
	root.children = append(root.children, tag{name: long.String()})
	b := encode(root, layout{})

	pool := poolOf(b)
	first, last := pool.index("p0"), len(pool.offsets)/4-1
	offsets := b[chunkHeaderSize+poolHeaderSize:]
	start := binary.LittleEndian.Uint32(offsets[4*last:])
	for i := range maxPermissions + 1 {
		binary.LittleEndian.PutUint32(offsets[4*(first+i):], start+2*uint32(i+1))
	}
	return b
}

// TestAttributesCostNothing pins that looking through many attributes with long names
// takes no memory.
func TestAttributesCostNothing(t *testing.T) {
	root := app()
	for range 1000 {
		root.attributes = append(root.attributes, attr{name: strings.Repeat("n", 1000), kind: typeBool})
	}
	for _, l := range []layout{{}, {utf8: true}} {
		document := encode(root, l)
		before := allocated()
		_, err := readManifest(document)
		require.NoError(t, err)
		require.Less(t, allocated()-before, uint64(16<<10))
	}
}

func TestReadManifestRejects(t *testing.T) {
	for name, test := range hostile() {
		t.Run(name, func(t *testing.T) {
			before := allocated()
			info, err := readManifest(test.data)
			require.Less(t, allocated()-before, allocationBound(len(test.data)))
			require.True(t, info == nil)
			require.ErrorContains(t, err, test.want)
		})
	}
}

// allocationBound is what reading a manifest of so many bytes may take from the heap
// in all, most of it for a moment only.
func allocationBound(size int) uint64 { return 64<<10 + 64*uint64(size) }
