package apk

import (
	"archive/zip"
	"bytes"
	"cmp"
	"compress/flate"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// fixture is an APK made by the Android tools; testdata/build.sh says how.
type fixture struct {
	name string // of testdata/<name>.badging, what aapt says of it
	path string
	want Info

	// aapt lists every activity with MAIN and LAUNCHER anywhere, enabled or not, and
	// no alias. These are the names where a first-of-its-list reader is wrong.
	aaptMain string
	// aapt does not know the major part of a version code.
	aaptCode string
}

func fixtures() []fixture {
	several := Info{
		Package:      "com.example.several",
		MainActivity: "com.example.several.Outer$Game",
		VersionName:  "größer 1.2 😀",
		VersionCode:  123456789,
		MinSDK:       19,
		Permissions: []string{
			"android.permission.CAMERA",
			"android.permission.INTERNET",
			"android.permission.WRITE_EXTERNAL_STORAGE",
			"android.permission.RECORD_AUDIO",
			"com.example.several.PRIVATE",
		},
	}
	return []fixture{
		{
			name: "hello", path: "../../examples/apps/hello/package/app.apk",
			want: Info{
				Package:      "org.openams.hello",
				MainActivity: "org.openams.hello.MainActivity",
				VersionName:  "1.0",
				VersionCode:  1,
				MinSDK:       24,
				Permissions:  []string{"android.permission.CAMERA", "android.permission.INTERNET"},
			},
		},
		{name: "several", path: "testdata/several.apk", want: several, aaptMain: "com.example.several.Splash"},
		{name: "several-utf8", path: "testdata/several-utf8.apk", want: several, aaptMain: "com.example.several.Splash"},
		{
			name: "alias", path: "testdata/alias.apk", aaptMain: "(none)", aaptCode: "7",
			want: Info{
				Package:      "com.example.alias",
				MainActivity: "com.example.alias.Launcher",
				VersionCode:  2<<32 | 7,
				MinSDK:       21,
			},
		},
		{
			name: "native", path: "testdata/native.apk",
			want: Info{
				Package:      "com.example.native_code",
				MainActivity: "android.app.NativeActivity",
				VersionName:  "1",
				VersionCode:  1,
				ABIs:         []string{"arm64-v8a", "armeabi", "armeabi-v7a", "x86", "x86_64"},
			},
		},
		{name: "service", path: "testdata/service.apk", want: Info{Package: "com.example.service"}},
	}
}

func TestRead(t *testing.T) {
	for _, f := range fixtures() {
		t.Run(f.name, func(t *testing.T) {
			data, err := os.ReadFile(f.path)
			require.NoError(t, err)
			got, err := Read(bytes.NewReader(data), int64(len(data)))
			require.NoError(t, err)
			require.Equal(t, f.want, *got)
		})
	}
}

// TestReadAgreesWithAapt holds the wanted results against aapt's, recorded and, where
// aapt is installed, fresh.
func TestReadAgreesWithAapt(t *testing.T) {
	aapt, missing := exec.LookPath("aapt")
	for _, f := range fixtures() {
		t.Run(f.name, func(t *testing.T) {
			recorded, err := os.ReadFile(filepath.Join("testdata", f.name+".badging"))
			require.NoError(t, err)
			if missing == nil {
				fresh, err := exec.CommandContext(t.Context(), aapt, "dump", "badging", f.path).Output()
				require.NoError(t, err)
				require.Equal(t, string(recorded), string(fresh))
			}
			b := string(recorded)

			require.Equal(t, []string{f.want.Package}, badging(b, `^package: name='([^']*)'`))
			code := cmp.Or(f.aaptCode, strconv.FormatInt(f.want.VersionCode, 10))
			require.Equal(t, []string{code}, orZero(badging(b, `^package:.* versionCode='([^']*)'`)))
			if names := badging(b, `^package:.* versionName='([^']*)'`); f.name != "alias" { // a resource's text
				require.Equal(t, []string{f.want.VersionName}, names)
			}
			minSDK := orZero(badging(b, `^sdkVersion:'(\d*)'`))
			require.Equal(t, strconv.Itoa(f.want.MinSDK), append(minSDK, "0")[0])

			implied := badging(b, `^uses-implied-permission: name='([^']*)'`)
			var permissions []string
			for _, p := range badging(b, `^uses-permission(?:-sdk-23)?: name='([^']*)'`) {
				if !slices.Contains(implied, p) && !slices.Contains(permissions, p) {
					permissions = append(permissions, p)
				}
			}
			require.Equal(t, f.want.Permissions, permissions)

			activities := append(badging(b, `^launchable-activity: name='([^']*)'`), "(none)")
			if f.aaptMain != "" {
				require.Equal(t, f.aaptMain, activities[0])
			}
			if f.aaptMain == "" && f.want.MainActivity != "" {
				require.Equal(t, f.want.MainActivity, activities[0])
			} else if activities[0] != "(none)" {
				require.Contains(t, activities, f.want.MainActivity)
			}

			var abis []string
			for _, line := range badging(b, `^native-code: (.*)`) {
				abis = strings.Fields(strings.ReplaceAll(line, "'", ""))
			}
			abis = slices.DeleteFunc(abis, func(abi string) bool { return abi == "mips" })
			require.Equal(t, f.want.ABIs, abis)
		})
	}
}

// badging returns the first group of every match of a line of aapt's output.
func badging(output, pattern string) []string {
	var found []string
	for _, m := range regexp.MustCompile("(?m)"+pattern).FindAllStringSubmatch(output, -1) {
		found = append(found, m[1])
	}
	return found
}

// orZero replaces empty numbers by "0".
func orZero(numbers []string) []string {
	for i, n := range numbers {
		numbers[i] = cmp.Or(n, "0")
	}
	return numbers
}

func TestReadRejects(t *testing.T) {
	valid := encode(helloTag(), layout{})
	good := archive(t, entry{name: manifestName, data: valid})
	store := func(h *zip.FileHeader) { h.Method = zip.Store }

	damaged := slices.Clone(archive(t, entry{name: manifestName, data: valid, change: store}))
	damaged[bytes.Index(damaged, []byte("org"))+100]++

	tests := []struct {
		name string
		data []byte
		want string
	}{
		{"empty", nil, "the APK is empty"},
		{"not a zip", []byte("7z\xbc\xaf\x27\x1c"), `not an APK: the file is not a zip archive (starts with "7z\xbc\xaf")`},
		{"one byte", []byte("P"), `not an APK: the file is not a zip archive (starts with "P")`},
		{"cut", good[:len(good)-30], "the APK is truncated or damaged: it has no valid zip directory at its end"},
		{"no manifest", archive(t, entry{name: "classes.dex"}), "the APK has no AndroidManifest.xml"},
		{"manifest elsewhere", archive(t, entry{name: "x/AndroidManifest.xml", data: valid}), "the APK has no AndroidManifest.xml"},
		{"empty zip", archive(t), "the APK has no AndroidManifest.xml"},
		{"two manifests", archive(t, entry{name: manifestName, data: valid}, entry{name: manifestName, data: valid}), "the APK has two files named AndroidManifest.xml"},
		{"aab", archive(t, entry{name: "BundleConfig.pb"}, entry{name: "base/manifest/AndroidManifest.xml"}), "Android App Bundles are not supported, build an APK"},
		{"apks", archive(t, entry{name: "toc.pb"}, entry{name: "splits/base-master.apk"}), "Android App Bundles are not supported, build an APK"},
		{"xapk", archive(t, entry{name: "manifest.json"}, entry{name: "com.example.apk"}), "Android App Bundles are not supported, build an APK"},
		{"text manifest", archive(t, entry{name: manifestName, data: []byte("\xef\xbb\xbf<?xml version='1.0'?>\n<manifest/>")}), "AndroidManifest.xml: is text, not binary XML: build the APK with the Android tools"},
		{"protobuf manifest", archive(t, entry{name: manifestName, data: []byte("\x0a\x12\x0a\x07android")}), `AndroidManifest.xml: is not binary XML (starts with "\n\x12\n\a")`},
		{"empty manifest", archive(t, entry{name: manifestName}), "AndroidManifest.xml: truncated: 0 bytes left where a chunk should start"},
		{"checksum", damaged, "AndroidManifest.xml: checksum mismatch"},
		{"bomb", archive(t, entry{name: manifestName, data: make([]byte, maxManifest+1)}), "AndroidManifest.xml: larger than 4194304 bytes"},
		{"bomb that lies", lyingBomb(t), "AndroidManifest.xml: damaged in the zip"},
		{"no local header", slices.Concat([]byte("XX"), good[2:]), "AndroidManifest.xml: damaged in the zip"},
		{"method", archive(t, entry{name: manifestName, data: valid, change: func(h *zip.FileHeader) { h.Method = 14 }}), "AndroidManifest.xml: uses compression method 14, which is not supported"},
		{"long name", archive(t, entry{name: strings.Repeat("a", maxEntryName+1)}), "the APK has a file name of 4097 bytes, more than 4096"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			info, err := Read(bytes.NewReader(test.data), int64(len(test.data)))
			require.Nil(t, info)
			require.ErrorContains(t, err, test.want)
		})
	}
}

func TestReadBoundsDirectory(t *testing.T) {
	var many, wide bytes.Buffer
	w := zip.NewWriter(&many)
	for i := range maxEntries + 1 {
		_, err := w.CreateHeader(&zip.FileHeader{Name: strconv.Itoa(i)})
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	_, err := Read(bytes.NewReader(many.Bytes()), int64(many.Len()))
	require.EqualError(t, err, "the APK has 65536 files, more than 65535")

	w = zip.NewWriter(&wide)
	for i := range 160 {
		_, err := w.CreateHeader(&zip.FileHeader{Name: fmt.Sprint(i, strings.Repeat("n", 60_000))})
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	before := allocated()
	_, err = Read(bytes.NewReader(wide.Bytes()), int64(wide.Len()))
	require.EqualError(t, err, "read the APK: its directory is larger than 8388608 bytes")
	require.Less(t, allocated()-before, uint64(4*maxDirectory))
}

// TestReadReadsLittle makes sure that an APK of any size costs its directory and its
// manifest only.
func TestReadReadsLittle(t *testing.T) {
	game := archive(t,
		entry{name: "assets/world", data: make([]byte, 5<<20), change: func(h *zip.FileHeader) { h.Method = zip.Store }},
		entry{name: manifestName, data: encode(helloTag(), layout{})})
	counter := &meter{r: bytes.NewReader(game), left: 1 << 40}
	_, err := Read(counter, int64(len(game)))
	require.NoError(t, err)
	require.Less(t, int64(1<<40)-counter.left, int64(100_000))
}

func TestReadPassesErrorsOn(t *testing.T) {
	broken := errors.New("disk on fire")
	_, err := Read(failing{broken}, 1000)
	require.ErrorIs(t, err, broken)
}

type failing struct{ err error }

func (f failing) ReadAt([]byte, int64) (int, error) { return 0, f.err }

func TestLibraryABI(t *testing.T) {
	for name, want := range map[string]string{
		"lib/x86/liba.so":         "x86",
		"lib/arm64-v8a/liba.so":   "arm64-v8a",
		"lib/armeabi/liba.so":     "armeabi",
		"lib/mips/liba.so":        "",
		"lib/x86/more/liba.so":    "",
		"lib/x86/liba.so.txt":     "",
		"lib/x86":                 "",
		"assets/lib/x86/liba.so":  "",
		"lib/../lib/x86/liba.so":  "",
		"LIB/x86/liba.so":         "",
		"lib/armeabi-v7a/wrap.sh": "",
	} {
		got, ok := libraryABI(name)
		require.Equal(t, want, got, name)
		require.Equal(t, want != "", ok, name)
	}
}

// entry is a file in a zip that a test makes.
type entry struct {
	name   string
	data   []byte
	change func(*zip.FileHeader) // of a deflated entry's header
}

func archive(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	w.RegisterCompressor(14, func(w io.Writer) (io.WriteCloser, error) { return flate.NewWriter(w, -1) })
	for _, e := range entries {
		h := &zip.FileHeader{Name: e.name, Method: zip.Deflate}
		if e.change != nil {
			e.change(h)
		}
		f, err := w.CreateHeader(h)
		require.NoError(t, err)
		_, err = f.Write(e.data)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return b.Bytes()
}

// lyingBomb is a manifest of 16 MiB whose directory entry says it has 100 bytes.
func lyingBomb(t testing.TB) []byte {
	t.Helper()
	b := archive(t, entry{name: manifestName, data: make([]byte, 16<<20)})
	directory := bytes.LastIndex(b, []byte("PK\x01\x02"))
	binary.LittleEndian.PutUint32(b[directory+24:], 100)
	return b
}

// allocated returns the bytes this process ever took from the heap.
func allocated() uint64 {
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.TotalAlloc
}
