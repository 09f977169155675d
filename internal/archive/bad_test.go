package archive

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"encoding/binary"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// requireFault reads and checks an archive, which must be found faulty, and compares
// the fault.
func requireFault(t *testing.T, data []byte, lim Limits, kind Kind, want string) {
	t.Helper()
	_, err := read(data, lim)
	var fault *Error
	require.ErrorAs(t, err, &fault)
	require.EqualError(t, err, want)
	require.Equal(t, kind, fault.Kind)
	require.EqualError(t, check(data, lim), want)
}

// TestBadMembers makes each bad archive both as a zip and as a tar.
func TestBadMembers(t *testing.T) {
	long := strings.Repeat("a", 256)
	deep := strings.Repeat("d/", 64) + "f"
	for _, c := range []struct {
		name  string
		files []file
		want  string
	}{
		{"parent", []file{{name: "../x"}}, "../x: name leaves the package"},
		{"parent inside", []file{{name: "a/../../x"}}, "a/../../x: name leaves the package"},
		{"parent that stays", []file{{name: "a/../x"}}, "a/../x: name leaves the package"},
		{"parent directory", []file{{name: "../"}}, "../: name leaves the package"},
		{"only dots", []file{{name: ".."}}, "..: name leaves the package"},
		{"absolute", []file{{name: "/etc/passwd"}}, "/etc/passwd: name is an absolute path"},
		{"drive", []file{{name: "C:/x"}}, "C:/x: name is an absolute path"},
		{"backslash", []file{{name: `a\..\..\b`}}, `"a\\..\\..\\b": name contains a backslash`},
		{"newline", []file{{name: "a\nb"}}, `"a\nb": name contains a control character`},
		{"next line", []file{{name: "a\u0085b"}}, `"a\u0085b": name contains a control character`},
		{"long part", []file{{name: "x/" + long}}, "x/" + long[:62] + "…: a part of the name is longer than 255 bytes"},
		{"long name", []file{{name: strings.Repeat("abcdefg/", 513) + "x"}}, strings.Repeat("abcdefg/", 8) + "…: name is longer than 4096 bytes"},
		{"deep", []file{{name: deep}}, strings.Repeat("d/", 32) + "…: nested deeper than 64 directories"},
		{"twice", []file{{name: "a"}, {name: "./a"}}, "./a: is in the package twice"},
		{"case", []file{{name: "manifest.yaml"}, {name: "Manifest.YAML"}}, "Manifest.YAML: differs only by case from manifest.yaml"},
		{"case of a directory", []file{{name: "hooks/a"}, {name: "Hooks/b"}}, "Hooks/b: differs only by case from hooks"},
		{"case beyond ASCII", []file{{name: "straße\u212a"}, {name: "straßek"}}, `"straßek": differs only by case from "straße` + "\u212a" + `"`},
		{"file, then directory", []file{{name: "a"}, {name: "a/"}}, "a/: is both a file and a directory"},
		{"directory, then file", []file{{name: "a/"}, {name: "a"}}, "a: is both a file and a directory"},
		{"file, then inside", []file{{name: "a"}, {name: "a/b"}}, "a/b: a is a file"},
		{"inside, then file", []file{{name: "a/b"}, {name: "a"}}, "a: is both a file and a directory"},
		{"symbolic link", []file{{name: "l", mode: fs.ModeSymlink | 0o777, content: "/etc"}}, "l: is a symbolic link"},
		{"pipe", []file{{name: "p", mode: fs.ModeNamedPipe | 0o644}}, "p: is neither a file nor a directory"},
		{"device", []file{{name: "d", mode: fs.ModeDevice | fs.ModeCharDevice | 0o644}}, "d: is neither a file nor a directory"},
	} {
		t.Run(c.name, func(t *testing.T) {
			requireFault(t, zipOf(t, c.files...), Limits{}, Refused, c.want)
			requireFault(t, tarOf(t, c.files...), Limits{}, Refused, c.want)
		})
	}
}

func TestLimits(t *testing.T) {
	three := []file{{name: "a", content: "12345"}, {name: "b", content: "12345"}, {name: "c/d/e"}}
	for _, c := range []struct {
		lim  Limits
		want string
	}{
		{Limits{Entries: 2}, "the package has too many members or too long names (maximum 2 members)"},
		{Limits{Entries: 4}, "the package has too many members or too long names (maximum 4 members)"},
		{Limits{Bytes: 9}, "the package is larger than 9 bytes"},
	} {
		requireFault(t, zipOf(t, three...), c.lim, TooLarge, c.want)
		requireFault(t, tarOf(t, three...), c.lim, TooLarge, c.want)
	}
	for _, data := range [][]byte{zipOf(t, three...), tarOf(t, three...)} {
		_, err := read(data, Limits{Entries: 5, Bytes: 10})
		require.NoError(t, err)
	}
	zeros := strings.Repeat("\x00", 4<<20)
	requireFault(t, zipOf(t, file{name: "zero.bin", content: zeros}), Limits{}, TooLarge, "zero.bin: unpacks to more than 200 times its size")
	_, err := read(zipOf(t, file{name: "zero.bin", content: zeros[:1<<20]}), Limits{})
	require.NoError(t, err, "1 MiB is below the threshold")
	requireFault(t, fixture(t, "bomb.tar.bz2"), Limits{}, TooLarge, "the package unpacks to more than 200 times its size")
}

func TestManyMembers(t *testing.T) {
	var files []file
	for i := range 3000 {
		files = append(files, file{name: fmt.Sprintf("d%d/f", i)})
	}
	for _, data := range [][]byte{zipOf(t, files...), tarOf(t, files...)} {
		_, err := read(data, Limits{Entries: 6000})
		require.NoError(t, err)
		requireFault(t, data, Limits{Entries: 5999}, TooLarge, "the package has too many members or too long names (maximum 5999 members)")
	}
}

func fixture(t testing.TB, name string) []byte {
	data, err := os.ReadFile("testdata/" + name)
	require.NoError(t, err)
	return data
}

func TestWrongFormats(t *testing.T) {
	for want, data := range map[string]string{
		`is empty`: "",
		`is neither a zip nor a tar archive (starts with "7z")`:       "7z\xbc\xaf\x27\x1c",
		`is neither a zip nor a tar archive (starts with 0x1f8b0800)`: "\x1f\x8b\x08\x00\x00",
		`is neither a zip nor a tar archive (starts with "Rar!")`:     "Rar!\x1a\x07",
		`is neither a zip nor a tar archive (starts with "name: ca")`: "name: candy\n",
		`is neither a zip nor a tar archive (starts with "BZh")`:      "BZh",
		`is neither a zip nor a tar archive (starts with 0x00000000)`: strings.Repeat("\x00", 1024),
		`is truncated: it has no zip directory`:                       "PK\x03\x04",
	} {
		requireFault(t, []byte(data), Limits{}, Malformed, "the package "+want)
	}
	requireFault(t, zipOf(t), Limits{}, Malformed, "the package is empty")
	requireFault(t, tarOf(t, file{name: "./"}), Limits{}, Malformed, "the package is empty")
}

func TestDamagedTars(t *testing.T) {
	good := tarOf(t, goodFiles...)
	requireFault(t, fixture(t, "truncated.tar.bz2"), Limits{}, Malformed, "the package is truncated")
	requireFault(t, fixture(t, "damaged.tar.bz2"), Limits{}, Malformed, "the package is damaged: block checksum mismatch")
	requireFault(t, fixture(t, "nottar.tar.bz2"), Limits{}, Malformed, "the package is damaged: invalid tar header")
	requireFault(t, fixture(t, "sparse-gnu.tar.bz2"), Limits{}, Refused, "sparse.bin: is a sparse file")
	requireFault(t, fixture(t, "sparse-pax.tar.bz2"), Limits{}, Refused, "sparse.bin: is a sparse file")
	requireFault(t, good[:512+512+5], Limits{}, Malformed, "manifest.yaml: is truncated")
	requireFault(t, good[:512*3], Limits{}, Malformed, "the package is truncated")
	requireFault(t, good[:512*3+100], Limits{}, Malformed, "the package is truncated")
	damaged := bytes.Clone(good)
	damaged[512*3] ^= 1
	requireFault(t, damaged, Limits{}, Malformed, "the package is damaged: invalid tar header")
}

func TestTarHeaders(t *testing.T) {
	one := func(h tar.Header) []byte {
		return tarOfHeaders(t, []*tar.Header{&h}, func(int) string { return "x" })
	}
	requireFault(t, one(tar.Header{Typeflag: tar.TypeLink, Name: "l", Linkname: "/etc/passwd"}), Limits{}, Refused, "l: is a hard link")
	requireFault(t, one(tar.Header{Typeflag: tar.TypeCont, Name: "c"}), Limits{}, Refused, "c: is of an unknown type")
	requireFault(t, one(tar.Header{Typeflag: tar.TypeReg, Name: strings.Repeat("long/", 30) + "../../x", Size: 1, Format: tar.FormatPAX}), Limits{},
		Refused, strings.Repeat("long/", 12)+"long…: name leaves the package")
	requireFault(t, one(tar.Header{Typeflag: tar.TypeReg, Name: "../" + strings.Repeat("g", 120), Size: 1, Format: tar.FormatGNU}), Limits{},
		Refused, "../"+strings.Repeat("g", 61)+"…: name leaves the package")

	global := tarOfHeaders(t, []*tar.Header{
		{Typeflag: tar.TypeXGlobalHeader, PAXRecords: map[string]string{"path": "../evil", "comment": "x"}},
		{Typeflag: tar.TypeReg, Name: "a", Mode: 0o644},
	}, nil)
	lines, err := read(global, Limits{})
	require.NoError(t, err)
	require.Equal(t, []string{`a -rw-r--r-- 0 false ""`}, lines)
}

func TestDamagedZips(t *testing.T) {
	content := strings.Repeat("0123456789", 50)
	good := rawZip(t, zip.FileHeader{Name: "app.apk", Method: zip.Store, CRC32: 0x1, UncompressedSize64: 500, CompressedSize64: 500}, content)
	requireFault(t, good, Limits{}, Malformed, "app.apk: checksum mismatch")

	packed := zipOf(t, file{name: "app.apk", content: content})
	requireFault(t, packed[:len(packed)-10], Limits{}, Malformed, "the package is truncated: it has no zip directory")
	requireFault(t, packed[:40], Limits{}, Malformed, "the package is truncated: it has no zip directory")
	requireFault(t, append([]byte("PK\x03\x04 and more"), packed...), Limits{}, Malformed,
		"the package is damaged: there is data before its first member, or its directory is misplaced")
	requireFault(t, append(bytes.Clone(packed), 'x'), Limits{}, Malformed, "the package is damaged: there is data after its end")

	raw := func(method uint16, flags uint16, size, stored uint64) []byte {
		return rawZip(t, zip.FileHeader{Name: "app.apk", Method: method, Flags: flags, UncompressedSize64: size, CompressedSize64: stored, CRC32: 7}, content)
	}
	requireFault(t, raw(14, 0, 500, 500), Limits{}, Refused, "app.apk: uses compression method 14, which is not supported")
	requireFault(t, raw(zip.Store, 1, 500, 500), Limits{}, Refused, "app.apk: is encrypted; packages with a password are not supported")
	requireFault(t, raw(zip.Store, 0, 501, 500), Limits{}, Malformed, "app.apk: is stored with two different sizes")
	requireFault(t, raw(zip.Store, 0, 5000, 5000), Limits{}, Malformed, "app.apk: is truncated")
	requireFault(t, raw(zip.Store, 0, 510, 510), Limits{}, Malformed, "app.apk: overlaps another part of the zip")
	requireFault(t, raw(zip.Deflate, 0, 500, 500), Limits{}, Malformed, "app.apk: is damaged: its compressed data is invalid")
	requireFault(t, raw(zip.Deflate, 0, 1<<60, 500), Limits{}, TooLarge, "the package is larger than 10GB")

	// The directory says fewer, then more bytes than come.
	for size, want := range map[uint64]string{499: "app.apk: is damaged: invalid zip structure", 501: "app.apk: is truncated"} {
		lying := bytes.Clone(packed)
		at := bytes.LastIndex(lying, []byte("PK\x01\x02"))
		binary.LittleEndian.PutUint32(lying[at+24:], uint32(size))
		requireFault(t, lying, Limits{}, Malformed, want)
	}
	// The directory counts more, then fewer members than there are.
	for count, want := range map[uint16]string{2: "is truncated", 0: "is damaged: its directory has more members than it says"} {
		lying := bytes.Clone(packed)
		binary.LittleEndian.PutUint16(lying[len(lying)-12:], count)
		requireFault(t, lying, Limits{}, Malformed, "the package "+want)
	}
	split := bytes.Clone(packed)
	split[len(split)-18] = 1
	requireFault(t, split, Limits{}, Refused, "the package is split over several files")
}

// TestOverlap makes a zip with two members that share the same data.
func TestOverlap(t *testing.T) {
	data := zipOf(t, file{name: "a", content: "0123456789"}, file{name: "b", content: "0123456789"})
	at := bytes.LastIndex(data, []byte("PK\x01\x02"))
	binary.LittleEndian.PutUint32(data[at+42:], 0) // the second member starts where the first does
	requireFault(t, data, Limits{}, Malformed, "a: overlaps another part of the zip")
}

func TestZipNameWithNUL(t *testing.T) {
	requireFault(t, zipOf(t, file{name: "manifest.yaml\x00.txt"}), Limits{}, Refused, `"manifest.yaml\x00.txt": name contains a control character`)
}

// TestZipOfDOS reads a zip without Unix modes.
func TestZipOfDOS(t *testing.T) {
	data := rawZip(t, zip.FileHeader{Name: "hooks/pre-start", Method: zip.Store}, "")
	lines, err := read(data, Limits{})
	require.NoError(t, err)
	require.Equal(t, []string{`hooks/pre-start -rw-r--r-- 0 false ""`}, lines)
}
