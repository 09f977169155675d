package archive

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/stretchr/testify/require"
)

// check opens and checks an archive of which nothing is wanted.
func check(data []byte, lim Limits) error {
	a, err := Open(bytes.NewReader(data), int64(len(data)), lim)
	if err != nil {
		return err
	}
	return a.Check(context.Background(), func(Entry) (func(io.Reader) error, error) { return nil, nil })
}

// manyFiles are files f0, f1 and so on, of different lengths.
func manyFiles(n int) []file {
	files := make([]file, n)
	for i := range files {
		files[i] = file{name: fmt.Sprint("f", i), content: fmt.Sprint(i, string(bytes.Repeat([]byte("x"), 5000*(i%5))))}
	}
	return files
}

// bothOf makes an archive of either kind.
func bothOf(t *testing.T, files ...file) map[string]*Archive {
	archives := map[string]*Archive{}
	for name, data := range map[string][]byte{"zip": zipOf(t, files...), "tar": tarOf(t, files...)} {
		a, err := Open(bytes.NewReader(data), int64(len(data)), Limits{})
		require.NoError(t, err)
		archives[name] = a
	}
	return archives
}

func TestCheck(t *testing.T) {
	files := manyFiles(50)
	for name, a := range bothOf(t, files...) {
		looked, got := 0, map[string]string{}
		err := a.Check(t.Context(), func(e Entry) (func(io.Reader) error, error) {
			require.Equal(t, files[looked].name, e.Name, "in the order of the archive")
			looked++
			if looked%3 > 0 {
				return nil, nil
			}
			return func(content io.Reader) error {
				data, err := io.ReadAll(content)
				got[e.Name] = string(data) // the race detector sees whether it is one at a time
				return err
			}, nil
		})
		require.NoError(t, err, name)
		require.Equal(t, len(files), looked)
		for i, f := range files {
			if i%3 == 2 {
				require.Equal(t, f.content, got[f.name], name)
			}
		}
	}
}

// TestCheckFindsTheFirst has errors of all kinds in all places, of which the first
// one in the archive must be returned whoever is faster.
func TestCheckFindsTheFirst(t *testing.T) {
	refusal, failure := errors.New("refused"), errors.New("failed")
	files := manyFiles(20)
	for damagedAt := range files {
		data := zipOf(t, files...)
		at := 0
		for range damagedAt + 1 {
			at += bytes.Index(data[at:], []byte("PK\x01\x02")) + 4
		}
		data[at+12] ^= 1 // the checksum
		a, err := Open(bytes.NewReader(data), int64(len(data)), Limits{})
		require.NoError(t, err)
		for other := range files {
			for _, where := range []string{"look", "read"} {
				i := -1
				err := a.Check(t.Context(), func(Entry) (func(io.Reader) error, error) {
					i++
					switch {
					case i != other:
						return nil, nil
					case where == "look":
						return nil, refusal
					}
					return func(io.Reader) error { return failure }, nil
				})
				switch {
				case damagedAt < other:
					require.EqualError(t, err, files[damagedAt].name+": checksum mismatch")
				case where == "look":
					require.Same(t, refusal, err)
				default:
					require.Same(t, failure, err)
				}
			}
		}
	}
}

// TestCheckReadsTheRest checks that what a function leaves is verified too, and
// that hiding an error does not help.
func TestCheckReadsTheRest(t *testing.T) {
	data := zipOf(t, file{name: "a", content: "0123456789"})
	data[bytes.Index(data, []byte("PK\x01\x02"))+16] ^= 1
	a, err := Open(bytes.NewReader(data), int64(len(data)), Limits{})
	require.NoError(t, err)
	for _, n := range []int64{0, 5, 100} {
		err := a.Check(t.Context(), func(Entry) (func(io.Reader) error, error) {
			return func(content io.Reader) error { _, _ = io.CopyN(io.Discard, content, n); return nil }, nil
		})
		require.EqualError(t, err, "a: checksum mismatch")
	}
}

// TestCheckEnds checks what a context and a panic do to a check.
func TestCheckEnds(t *testing.T) {
	for name, a := range bothOf(t, manyFiles(20)...) {
		ctx, cancel := context.WithCancel(t.Context())
		look := func(e Entry) (func(io.Reader) error, error) {
			if e.Name != "f7" {
				return nil, nil
			}
			return func(io.Reader) error { cancel(); return nil }, nil
		}
		require.ErrorIs(t, a.Check(ctx, look), context.Canceled, name)
		require.ErrorIs(t, a.Check(ctx, look), context.Canceled, name)
		require.PanicsWithValue(t, "own panic", func() {
			_ = a.Check(t.Context(), func(Entry) (func(io.Reader) error, error) {
				return func(io.Reader) error { panic("own panic") }, nil
			})
		}, "in the goroutine of the caller")
	}
}

// TestStoredInPlace reads a file in a zip at any place, if it is not compressed.
func TestStoredInPlace(t *testing.T) {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, method := range []uint16{zip.Store, zip.Deflate} {
		out, err := w.CreateHeader(&zip.FileHeader{Name: fmt.Sprint(method), Method: method})
		require.NoError(t, err)
		_, err = io.WriteString(out, "0123456789")
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	a, err := Open(bytes.NewReader(b.Bytes()), int64(b.Len()), Limits{})
	require.NoError(t, err)
	visits := 0
	require.NoError(t, a.Check(t.Context(), func(e Entry) (func(io.Reader) error, error) {
		return func(content io.Reader) error {
			visits++
			at, ok := content.(io.ReaderAt)
			require.Equal(t, e.Name == fmt.Sprint(zip.Store), ok)
			if !ok {
				return nil
			}
			part := make([]byte, 4)
			n, err := at.ReadAt(part, 3)
			require.NoError(t, err)
			require.Equal(t, "3456", string(part[:n]))
			n, err = at.ReadAt(part, 8)
			require.Equal(t, io.EOF, err, "it ends where the file does")
			require.Equal(t, "89", string(part[:n]))
			all, err := io.ReadAll(content)
			require.Equal(t, "0123456789", string(all), "and can be read from the start as well")
			return err
		}, nil
	}))
	require.Equal(t, 2, visits)
}
