package archive

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func FuzzOpen(f *testing.F) {
	f.Add(zipOf(f, goodFiles...))
	f.Add(tarOf(f, goodFiles...))
	f.Add(zipOf(f, file{name: "../x"}, file{name: "l", mode: fs.ModeSymlink, content: "/"}))
	f.Add(tarOf(f, file{name: strings.Repeat("n/", 60) + strings.Repeat("x", 200), content: "y"}))
	for _, name := range []string{"good", "bomb", "damaged", "truncated", "nottar", "sparse-gnu", "sparse-pax"} {
		f.Add(fixture(f, name+".tar.bz2"))
	}
	lim := Limits{Entries: 100, Bytes: 4 << 20}
	f.Fuzz(func(t *testing.T, data []byte) {
		a, err := Open(bytes.NewReader(data), int64(len(data)), lim)
		if err != nil {
			requireTyped(t, err)
			return
		}
		var total int64
		entries := 0
		first := map[string]int64{}
		err = a.Walk(context.Background(), func(e Entry, r io.Reader) error {
			entries++
			require.True(t, fs.ValidPath(e.Name) && e.Name != ".", "%q", e.Name)
			require.NotContains(t, e.Name, `\`)
			require.Zero(t, e.Mode&^fs.FileMode(0o755))
			n, err := io.Copy(io.Discard, r)
			total += n
			if err == nil {
				require.Equal(t, e.Size, n)
				first[e.Name] = n
			}
			return err
		})
		checked := check(data, lim)
		if err == nil {
			require.NoError(t, checked)
		} else {
			require.EqualError(t, checked, err.Error())
		}
		require.LessOrEqual(t, total, lim.Bytes)
		require.LessOrEqual(t, entries, lim.Entries)
		if err != nil {
			requireTyped(t, err)
			return
		}
		// A good archive reads the same again, and its tar does too.
		var b bytes.Buffer
		require.NoError(t, WriteTar(context.Background(), &b, a, "", nil))
		if entries == 0 {
			return
		}
		again, err := Open(bytes.NewReader(b.Bytes()), int64(b.Len()), lim)
		require.NoError(t, err)
		second := map[string]int64{}
		require.NoError(t, again.Walk(context.Background(), func(e Entry, r io.Reader) error {
			second[e.Name] = e.Size
			return nil
		}))
		require.Equal(t, first, second)
	})
}

func requireTyped(t *testing.T, err error) {
	var fault *Error
	require.True(t, errors.As(err, &fault), "%v", err)
	require.NotZero(t, fault.Kind)
	require.Less(t, len(err.Error()), 1000)
}
