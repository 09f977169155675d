package apk

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestValues pins what becomes of attribute values of every type: a type that does not
// fit leaves the field empty, as a reference to a resource does.
func TestValues(t *testing.T) {
	const reference, float = 0x01, 0x04
	version := func(kind byte, data uint32, text string) attr {
		return attr{id: idVersionName, name: "versionName", kind: kind, data: data, text: text}
	}
	code := func(kind byte, data uint32, text string) attr {
		return attr{id: idVersionCode, name: "versionCode", kind: kind, data: data, text: text}
	}
	for _, test := range []struct {
		name    string
		in      attr
		version string
		code    int64
	}{
		{"text", version(0, 0, "1.0"), "1.0", 0},
		{"number as text", version(typeDecimal, 12, ""), "12", 0},
		{"negative number as text", version(typeHex, 0xFFFFFFFF, ""), "-1", 0},
		{"reference as text", version(reference, 0x7f010000, ""), "", 0},
		{"float as text", version(float, 0x3f800000, ""), "", 0},
		{"number", code(typeDecimal, 7, ""), "", 7},
		{"hexadecimal number", code(typeHex, 0x10, ""), "", 16},
		{"largest number", code(typeDecimal, 0xFFFFFFFF, ""), "", 0xFFFFFFFF},
		{"text as number", code(0, 0, "42"), "", 42},
		{"hexadecimal text as number", code(0, 0, "0x2a"), "", 42},
		{"large text as number", code(0, 0, "4294967296"), "", 0},
		{"other text as number", code(0, 0, "Tiramisu"), "", 0},
		{"damaged text as number", code(typeString, 0xFFFF, ""), "", 0},
		{"reference as number", code(reference, 0x7f010000, ""), "", 0},
		{"major", attr{id: idVersionCodeMajor, name: "versionCodeMajor", kind: typeDecimal, data: 0xFFFFFFFF}, "", 0x7FFFFFFF << 32},
	} {
		t.Run(test.name, func(t *testing.T) {
			root := app()
			root.attributes = append(root.attributes, test.in)
			info, err := readManifest(encode(root, layout{}))
			require.NoError(t, err)
			require.Equal(t, test.version, info.VersionName)
			require.Equal(t, test.code, info.VersionCode)
		})
	}

	d, err := newDecoder(encode(app(tag{name: "true"}, tag{name: "false"}), layout{}))
	require.NoError(t, err)
	_, _, err = d.next()
	require.NoError(t, err)
	p := testPool{d.pool}
	for _, test := range []struct {
		in         value
		want, know bool
	}{
		{value{kind: typeBool, data: 0xFFFFFFFF}, true, true},
		{value{kind: typeBool}, false, true},
		{value{kind: typeDecimal, data: 1}, true, true},
		{value{kind: typeString, data: uint32(p.index("true")), pool: &d.pool}, true, true},
		{value{kind: typeString, data: uint32(p.index("false")), pool: &d.pool}, false, true},
		{value{kind: typeString, data: 0xFFFF, pool: &d.pool}, false, false},
		{value{kind: reference, data: 1}, false, false},
	} {
		got, known := test.in.boolean()
		require.Equal(t, test.want, got, test.in)
		require.Equal(t, test.know, known, test.in)
	}
}
