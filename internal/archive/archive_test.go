package archive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

var goodFiles = []file{
	{name: "./"},
	{name: "./manifest.yaml", content: "name: candy\n"},
	{name: "hooks//"},
	{name: "hooks/"},
	{name: "hooks/pre-start", mode: 0o755, content: "#!/bin/sh\n"},
	{name: "extra-data/a/b.obb", mode: fs.ModeSetuid | 0o777, content: "data"},
	{name: "empty"},
}

var goodLines = []string{
	`manifest.yaml -rw-r--r-- 12 false "name: candy\n"`,
	`hooks -rwxr-xr-x 0 true ""`,
	`hooks -rwxr-xr-x 0 true ""`,
	`hooks/pre-start -rwxr-xr-x 10 false "#!/bin/sh\n"`,
	`extra-data/a/b.obb -rwxr-xr-x 4 false "data"`,
	`empty -rw-r--r-- 0 false ""`,
}

func TestWalk(t *testing.T) {
	for name, data := range map[string][]byte{"zip": zipOf(t, goodFiles...), "tar": tarOf(t, goodFiles...)} {
		lines, err := read(data, Limits{})
		require.NoError(t, err, name)
		require.Equal(t, goodLines, lines, name)
	}
	data, err := os.ReadFile("testdata/good.tar.bz2")
	require.NoError(t, err)
	lines, err := read(data, Limits{})
	require.NoError(t, err)
	require.Equal(t, []string{
		`manifest.yaml -rw-r--r-- 12 false "name: candy\n"`,
		`hooks -rwxr-xr-x 0 true ""`,
		`hooks/pre-start -rwxr-xr-x 10 false "#!/bin/sh\n"`,
		`app.apk -rw-r--r-- 600 false "PK apkPK apkPK apkPK"`,
	}, lines)
}

// TestZip64 reads a zip with more members than its 16-bit fields can count.
func TestZip64(t *testing.T) {
	files := make([]file, 0xffff+1)
	for i := range files {
		files[i].name = fmt.Sprintf("%d/", i)
	}
	data := zipOf(t, files...)
	_, err := Open(bytes.NewReader(data), int64(len(data)), Limits{})
	require.NoError(t, err)
	requireFault(t, data, Limits{Entries: 0xffff}, TooLarge, "the package has too many members or too long names (maximum 65535 members)")

	place := bytes.LastIndex(data, []byte("PK\x06\x07"))
	misplaced := bytes.Clone(data)
	misplaced[place+15] = 0xff // the top byte of the place of the 64-bit end
	requireFault(t, misplaced, Limits{}, Malformed, "the package is damaged: its directory is misplaced")
	split := bytes.Clone(data)
	split[bytes.LastIndex(data, []byte("PK\x06\x06"))+16] = 1
	requireFault(t, split, Limits{}, Refused, "the package is split over several files")
}

func TestFormat(t *testing.T) {
	bz2, err := os.ReadFile("testdata/good.tar.bz2")
	require.NoError(t, err)
	for want, data := range map[Format][]byte{Zip: zipOf(t, goodFiles...), Tar: tarOf(t, goodFiles...), TarBzip2: bz2} {
		a, err := Open(bytes.NewReader(data), int64(len(data)), Limits{})
		require.NoError(t, err)
		require.Equal(t, want, a.Format())
	}
}

// TestWalkEnds checks what the callback and the context do to a walk.
func TestWalkEnds(t *testing.T) {
	for name, data := range map[string][]byte{"zip": zipOf(t, goodFiles...), "tar": tarOf(t, goodFiles...)} {
		a, err := Open(bytes.NewReader(data), int64(len(data)), Limits{})
		require.NoError(t, err)
		walk := func(ctx context.Context, result error) (visits int, err error) {
			err = a.Walk(ctx, func(Entry, io.Reader) error { visits++; return result })
			return visits, err
		}

		visits, err := walk(context.Background(), nil)
		require.NoError(t, err, name)
		require.Equal(t, len(goodLines), visits, "what is not read is skipped")

		visits, err = walk(context.Background(), fs.SkipAll)
		require.NoError(t, err, name)
		require.Equal(t, 1, visits)

		mine := errors.New("mine")
		_, err = walk(context.Background(), mine)
		require.Same(t, mine, err, name)

		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		visits, err = walk(ctx, nil)
		require.ErrorIs(t, err, context.Canceled, name)
		require.Zero(t, visits)

		ctx, cancel = context.WithCancel(context.Background())
		err = a.Walk(ctx, func(_ Entry, r io.Reader) error {
			cancel()
			_, _ = io.ReadAll(r)
			return nil
		})
		require.ErrorIs(t, err, context.Canceled, name)
	}
}

// TestSourceErrors checks that a failing disk is not taken for a damaged archive.
func TestSourceErrors(t *testing.T) {
	broken := errors.New("disk on fire")
	for name, data := range map[string][]byte{"zip": zipOf(t, goodFiles...), "tar": tarOf(t, goodFiles...)} {
		for failAfter := range 12 {
			r := &failingReader{r: bytes.NewReader(data), left: failAfter, err: broken}
			a, err := Open(r, int64(len(data)), Limits{})
			if err == nil {
				err = a.Walk(context.Background(), func(_ Entry, r io.Reader) error { return iotest.TestReader(r, nil) })
			}
			var fault *Error
			if err != nil && errors.As(err, &fault) {
				t.Errorf("%s, read %d: %v", name, failAfter, err)
			}
			if failAfter < 3 {
				require.ErrorIs(t, err, broken, name)
			}
		}
	}
}

type failingReader struct {
	r    io.ReaderAt
	left int
	err  error
}

func (f *failingReader) ReadAt(p []byte, off int64) (int, error) {
	if f.left--; f.left < 0 {
		return 0, f.err
	}
	return f.r.ReadAt(p, off)
}

func TestErrorText(t *testing.T) {
	require.EqualError(t, malformed("", "is empty"), "the package is empty")
	require.EqualError(t, malformed("app.apk", "checksum mismatch"), "app.apk: checksum mismatch")
	require.EqualError(t, refused("a b\x00", "x"), `"a b\x00": x`)
	require.EqualError(t, refused(strings.Repeat("é", 100), "x"), `"`+strings.Repeat("é", 32)+`…": x`)
	require.Equal(t, "10GB", formatBytes(10<<30))
	require.Equal(t, "1001 bytes", formatBytes(1001))
}
