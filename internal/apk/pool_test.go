package apk

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestStringsInUTF8(t *testing.T) {
	long := strings.Repeat("x", maxString)
	for _, test := range []struct {
		name, in, want string
		err            error
	}{
		{"empty", "\x00\x00", "", nil},
		{"short", "\x02\x02hi\x00", "hi", nil},
		{"no terminator", "\x02\x02hi", "hi", nil},
		{"two-byte lengths", "\x81\x00\x81\x00" + strings.Repeat("a", 256), strings.Repeat("a", 256), nil},
		{"longest", "\x84\x00\x84\x00" + long, long, nil},
		{"invalid bytes", "\x03\x03a\xffb", "a\uFFFDb", nil},
		{"too long", "\x84\x01\x84\x01" + long + "x", "", errLongString},
		{"no length", "\x81", "", errCutString},
		{"one length", "\x02", "", errCutString},
		{"half of a length", "\x02\x81", "", errCutString},
		{"cut", "\x03\x03hi", "", errCutString},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := stringPool{offsets: make([]byte, 4), data: []byte(test.in), utf8: true}
			got, err := p.at(0)
			require.ErrorIs(t, err, test.err)
			require.Equal(t, test.want, got)
			require.False(t, p.is(0, test.want+"x"))
			require.False(t, p.is(1, test.want))
		})
	}
}

func TestStringsInUTF16(t *testing.T) {
	for _, test := range []struct {
		name string
		in   []uint16
		want string
		err  error
	}{
		{"empty", []uint16{0}, "", nil},
		{"short", []uint16{2, 'h', 'i', 0}, "hi", nil},
		{"pair", []uint16{2, 0xD83D, 0xDE00}, "😀", nil},
		{"half a pair", []uint16{2, 0xD83D, 'a'}, "\uFFFDa", nil},
		{"half a pair at the end", []uint16{1, 0xD83D, 0xDE00}, "\uFFFD", nil},
		{"two-unit length", []uint16{0x8000, 2, 'h', 'i'}, "hi", nil},
		{"largest length", []uint16{0xFFFF, 0xFFFF, 'h', 'i'}, "", errCutString},
		{"half of a length", []uint16{0x8000}, "", errCutString},
		{"cut", []uint16{3, 'h', 'i'}, "", errCutString},
		{"too long in UTF-8", append([]uint16{600}, repeat('ü', 600)...), "", errLongString},
		{"too long", append([]uint16{maxString + 1}, repeat('u', maxString+1)...), "", errLongString},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := stringPool{offsets: make([]byte, 4), data: le16(nil, test.in...)}
			got, err := p.at(0)
			require.ErrorIs(t, err, test.err)
			require.Equal(t, test.want, got)
			require.False(t, p.is(0, test.want+"x"))
			require.False(t, p.is(1, test.want))
		})
	}
}

func repeat(unit uint16, n int) []uint16 {
	units := make([]uint16, n)
	for i := range units {
		units[i] = unit
	}
	return units
}
