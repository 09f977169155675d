package archive

import (
	"archive/tar"
	"bytes"
	"context"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// makeDir writes the files, directories and symbolic links below a new directory.
func makeDir(t *testing.T, files ...file) string {
	dir := t.TempDir()
	for _, f := range files {
		at := filepath.Join(dir, f.name)
		require.NoError(t, os.MkdirAll(filepath.Dir(at), 0o755))
		switch mode := f.fullMode(); {
		case mode.IsDir():
			require.NoError(t, os.MkdirAll(at, 0o755))
		case mode&fs.ModeSymlink != 0:
			require.NoError(t, os.Symlink(f.content, at))
		default:
			require.NoError(t, os.WriteFile(at, []byte(f.content), mode.Perm()))
			require.NoError(t, os.Chmod(at, mode.Perm()))
		}
	}
	return dir
}

func pack(t *testing.T, dir string) ([]byte, error) {
	var b bytes.Buffer
	err := PackDir(t.Context(), &b, dir)
	return b.Bytes(), err
}

func TestPackDir(t *testing.T) {
	files := []file{
		{name: "manifest.yaml", mode: 0o600, content: "name: candy\n"},
		{name: "hooks/pre-start", mode: 0o777, content: "#!/bin/sh\n"},
		{name: "hooks/post-start", mode: fs.ModeSymlink, content: "pre-start"},
		{name: "empty/"},
		{name: "extra-data/ä b.obb", content: strings.Repeat("x", 100_000)},
	}
	data, err := pack(t, makeDir(t, files...))
	require.NoError(t, err)
	lines, err := read(data, Limits{})
	require.NoError(t, err)
	require.Equal(t, []string{
		`empty -rwxr-xr-x 0 true ""`,
		`extra-data -rwxr-xr-x 0 true ""`,
		`extra-data/ä b.obb -rw-r--r-- 100000 false "xxxxxxxxxxxxxxxxxxxx"`,
		`hooks -rwxr-xr-x 0 true ""`,
		`hooks/post-start -rwxr-xr-x 10 false "#!/bin/sh\n"`,
		`hooks/pre-start -rwxr-xr-x 10 false "#!/bin/sh\n"`,
		`manifest.yaml -rw------- 12 false "name: candy\n"`,
	}, lines)

	again, err := pack(t, makeDir(t, files[4], files[3], files[2], files[1], files[0]))
	require.NoError(t, err)
	require.Equal(t, data, again, "equal directories must give equal bytes")
}

func TestPackDirRefuses(t *testing.T) {
	link := func(to string) []file {
		return []file{{name: "in/file"}, {name: "l", mode: fs.ModeSymlink, content: to}}
	}
	for want, files := range map[string][]file{
		"l: is a symbolic link that leaves the directory":                 link("/etc/passwd"),
		"l: is a symbolic link to nothing":                                link("none"),
		"l: is a symbolic link to a directory":                            link("in"),
		"b: differs only by case from B":                                  {{name: "B"}, {name: "b"}},
		`"a\nb": name contains a control character`:                       {{name: "a\nb"}},
		`"a\\b": name contains a backslash`:                               {{name: `a\b`}},
		"loop: is a symbolic link that leaves the directory":              {{name: "loop", mode: fs.ModeSymlink, content: "loop"}},
		"in/up: is a symbolic link that leaves the directory":             {{name: "in/up", mode: fs.ModeSymlink, content: "../../x"}},
		"in/dots: is a symbolic link to a directory":                      {{name: "in/dots", mode: fs.ModeSymlink, content: ".."}},
		"hooks: is a symbolic link that leaves the directory":             {{name: "hooks", mode: fs.ModeSymlink, content: "/"}},
		strings.Repeat("d/", 32) + "…: nested deeper than 64 directories": {{name: strings.Repeat("d/", 64) + "f"}},
	} {
		_, err := pack(t, makeDir(t, files...))
		var fault *Error
		require.ErrorAs(t, err, &fault, want)
		require.EqualError(t, err, want)
		require.Equal(t, Refused, fault.Kind)
	}

	dir := makeDir(t)
	require.NoError(t, syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o644))
	_, err := pack(t, dir)
	require.EqualError(t, err, "pipe: is neither a file nor a directory")
	_, err = pack(t, filepath.Join(dir, "none"))
	require.ErrorIs(t, err, fs.ErrNotExist)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, PackDir(ctx, io.Discard, makeDir(t, goodFiles[1])), context.Canceled)
}

func TestWriteTar(t *testing.T) {
	for name, data := range map[string][]byte{"zip": zipOf(t, goodFiles...), "tar": tarOf(t, goodFiles...)} {
		a, err := Open(bytes.NewReader(data), int64(len(data)), Limits{})
		require.NoError(t, err)
		var b bytes.Buffer
		keep := func(e Entry) bool { return !strings.HasPrefix(e.Name, "extra-data/") }
		require.NoError(t, WriteTar(t.Context(), &b, a, "var/lib/anbox/app", keep))

		r := tar.NewReader(&b)
		var got []string
		for h, err := r.Next(); err != io.EOF; h, err = r.Next() {
			require.NoError(t, err)
			content, err := io.ReadAll(r)
			require.NoError(t, err)
			got = append(got, h.FileInfo().Mode().String()+" "+h.Name+" "+string(content))
			require.Zero(t, h.Uid+h.Gid)
			require.Zero(t, h.ModTime.Unix())
		}
		require.Equal(t, []string{
			"-rw-r--r-- var/lib/anbox/app/manifest.yaml name: candy\n",
			"drwxr-xr-x var/lib/anbox/app/hooks/ ",
			"drwxr-xr-x var/lib/anbox/app/hooks/ ",
			"-rwxr-xr-x var/lib/anbox/app/hooks/pre-start #!/bin/sh\n",
			"-rw-r--r-- var/lib/anbox/app/empty ",
		}, got, name)

		b.Reset()
		require.NoError(t, WriteTar(t.Context(), &b, a, "", nil))
		lines, err := read(b.Bytes(), Limits{})
		require.NoError(t, err)
		require.Equal(t, goodLines, lines, name)
	}
}

// TestWriteTarReportsDamage checks that a bad file in the middle is not sent as a good one.
func TestWriteTarReportsDamage(t *testing.T) {
	data := zipOf(t, file{name: "a", content: "0123456789"}, file{name: "b"})
	at := bytes.Index(data, []byte("PK\x01\x02"))
	data[at+16] ^= 1 // the checksum
	a, err := Open(bytes.NewReader(data), int64(len(data)), Limits{})
	require.NoError(t, err)
	require.EqualError(t, WriteTar(t.Context(), io.Discard, a, "", nil), "a: checksum mismatch")
}
