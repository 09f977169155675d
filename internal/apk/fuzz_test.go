package apk

import (
	"archive/zip"
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// maxSeed bounds the seeds: the fuzzer spends minutes making a large input smaller.
const maxSeed = 4 << 10

func FuzzManifest(f *testing.F) {
	for _, l := range []layout{{}, {utf8: true}, {noIDs: true}} {
		f.Add(encode(helloTag(), l))
	}
	for _, document := range hostile() {
		if len(document.data) <= maxSeed {
			f.Add(document.data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		before := allocated()
		info, err := readManifest(data)
		require.Less(t, allocated()-before, allocationBound(len(data)))
		checkResult(t, info, err)
	})
}

func FuzzRead(f *testing.F) {
	files, err := filepath.Glob("testdata/*.apk")
	require.NoError(f, err)
	require.NotEmpty(f, files)
	for _, name := range files {
		data, err := os.ReadFile(name)
		require.NoError(f, err)
		f.Add(data)
	}
	stored := func(h *zip.FileHeader) { h.Method = zip.Store }
	for _, document := range hostile() {
		if len(document.data) <= maxSeed {
			f.Add(archive(f, entry{name: manifestName, data: document.data, change: stored}))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		before := allocated()
		info, err := Read(bytes.NewReader(data), int64(len(data)))
		// A manifest of up to 4 MiB can be packed into a few KB.
		require.Less(t, allocated()-before, allocationBound(len(data))+64*maxManifest)
		checkResult(t, info, err)
	})
}

// checkResult checks what holds for every result.
func checkResult(t *testing.T, info *Info, err error) {
	t.Helper()
	if err != nil {
		require.Nil(t, info)
		require.True(t, utf8.ValidString(err.Error()))
		require.Less(t, len(err.Error()), 8<<10)
		return
	}
	require.True(t, validPackage(info.Package))
	require.True(t, validClass(info.MainActivity))
	require.True(t, info.MainActivity == "" || strings.Contains(info.MainActivity, "."))
	require.GreaterOrEqual(t, info.VersionCode, int64(0))
	require.GreaterOrEqual(t, info.MinSDK, 0)
	require.LessOrEqual(t, len(info.Permissions), maxPermissions)
	for _, text := range append(info.Permissions, info.VersionName) {
		require.True(t, utf8.ValidString(text))
		require.LessOrEqual(t, len(text), 3*maxString)
	}
	require.True(t, slices.IsSorted(info.ABIs))
	require.LessOrEqual(t, len(info.ABIs), 5)
}
