package archive

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// file is a member of an archive made by a test. A name that ends in a slash is a directory.
type file struct {
	name    string
	mode    fs.FileMode // 0 means 0644, or a directory
	content string
}

func (f file) fullMode() fs.FileMode {
	switch {
	case f.mode != 0:
		return f.mode
	case strings.HasSuffix(f.name, "/"):
		return fs.ModeDir | 0o755
	}
	return 0o644
}

// zipOf makes a zip as archive/zip does, without any check.
func zipOf(t testing.TB, files ...file) []byte {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, f := range files {
		h := &zip.FileHeader{Name: f.name, Method: zip.Deflate}
		if strings.HasSuffix(f.name, "/") {
			h.Method = zip.Store
		}
		h.SetMode(f.fullMode())
		out, err := w.CreateHeader(h)
		require.NoError(t, err)
		if f.content != "" {
			_, err = io.WriteString(out, f.content)
			require.NoError(t, err)
		}
	}
	require.NoError(t, w.Close())
	return b.Bytes()
}

// rawZip makes a zip of one stored member with the header as given.
func rawZip(t testing.TB, h zip.FileHeader, content string) []byte {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	out, err := w.CreateRaw(&h)
	require.NoError(t, err)
	_, err = io.WriteString(out, content)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return b.Bytes()
}

// tarOf makes a tar archive as archive/tar does, without any check.
func tarOf(t testing.TB, files ...file) []byte {
	var headers []*tar.Header
	for _, f := range files {
		h := &tar.Header{Name: f.name, Mode: int64(f.mode.Perm()), Typeflag: tar.TypeReg, Size: int64(len(f.content))}
		mode := f.fullMode()
		h.Mode = int64(mode.Perm())
		if mode&fs.ModeSetuid != 0 {
			h.Mode |= 0o4000
		}
		switch {
		case mode.IsDir():
			h.Typeflag = tar.TypeDir
		case mode&fs.ModeSymlink != 0:
			h.Typeflag, h.Linkname, h.Size = tar.TypeSymlink, f.content, 0
		case mode&fs.ModeNamedPipe != 0:
			h.Typeflag, h.Size = tar.TypeFifo, 0
		case mode&fs.ModeCharDevice != 0:
			h.Typeflag, h.Size = tar.TypeChar, 0
		}
		headers = append(headers, h)
	}
	return tarOfHeaders(t, headers, func(i int) string { return files[i].content })
}

func tarOfHeaders(t testing.TB, headers []*tar.Header, content func(int) string) []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i, h := range headers {
		require.NoError(t, w.WriteHeader(h))
		if h.Size > 0 {
			_, err := io.WriteString(w, content(i))
			require.NoError(t, err)
		}
	}
	require.NoError(t, w.Close())
	return b.Bytes()
}

// read opens and walks an archive and returns a line for each member.
func read(data []byte, lim Limits) (lines []string, err error) {
	a, err := Open(bytes.NewReader(data), int64(len(data)), lim)
	if err != nil {
		return nil, err
	}
	err = a.Walk(context.Background(), func(e Entry, r io.Reader) error {
		content, err := io.ReadAll(io.LimitReader(r, 1<<20))
		if err != nil {
			return err
		}
		lines = append(lines, fmt.Sprintf("%s %v %d %v %q", e.Name, e.Mode, e.Size, e.Dir, cutText(string(content))))
		_, err = io.Copy(io.Discard, r)
		return err
	})
	return lines, err
}

func cutText(s string) string { return s[:min(len(s), 20)] }
