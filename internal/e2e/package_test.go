package e2e_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openams/ams/internal/lxdtest"
)

// pack is a package with these files, by name and content in turn. Hooks are
// executable, and "@name" is the content of that file.
func pack(t testing.TB, files ...string) io.Reader {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i := 0; i < len(files); i += 2 {
		h := &zip.FileHeader{Name: files[i], Method: zip.Deflate}
		h.SetMode(0o644)
		if strings.HasPrefix(files[i], "hooks/") {
			h.SetMode(0o755)
		}
		f, err := z.CreateHeader(h)
		require.NoError(t, err)
		content := []byte(files[i+1])
		if name, ok := strings.CutPrefix(files[i+1], "@"); ok {
			content, err = os.ReadFile(name)
			require.NoError(t, err)
		}
		_, err = f.Write(content)
		require.NoError(t, err)
	}
	require.NoError(t, z.Close())
	return &b
}

// imageWith is the test image with the text in its file /etc/made-from.
func imageWith(t testing.TB, text string) io.Reader {
	t.Helper()
	base, err := os.Open(lxdtest.ImageFile(t))
	require.NoError(t, err)
	defer base.Close()
	unzipped, err := gzip.NewReader(base)
	require.NoError(t, err)
	var b bytes.Buffer
	zipped := gzip.NewWriter(&b)
	out := tar.NewWriter(zipped)
	for in := tar.NewReader(unzipped); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		require.NoError(t, out.WriteHeader(h))
		_, err = io.Copy(out, in)
		require.NoError(t, err)
	}
	require.NoError(t, out.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "rootfs/etc/made-from", Mode: 0o644, Size: int64(len(text))}))
	_, err = io.WriteString(out, text)
	require.NoError(t, err)
	require.NoError(t, out.Close())
	require.NoError(t, zipped.Close())
	return &b
}

// helloAPK is the APK of the example application.
var helloAPK = "@" + filepath.Join(helloPackage, "app.apk")

// nativeAPK has native libraries for every ABI.
const nativeAPK = "@../apk/testdata/native.apk"
