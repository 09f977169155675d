package lxd

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLines(t *testing.T) {
	for tail, want := range map[int64]string{
		0: "", 1: "", 3: "", 4: "two\n", 5: "two\n", 7: "two\n", 8: "one\ntwo\n", 9: "one\ntwo\n",
	} {
		require.Equal(t, want, string(lines([]byte("one\ntwo\n"), tail)), "%d", tail)
	}
	require.Equal(t, "end", string(lines([]byte("one\nend"), 3)))
	require.Empty(t, lines([]byte("one\nend"), 2))
}

func TestAdded(t *testing.T) {
	long := strings.Repeat("0123456789", 1000)
	for _, c := range [][3]string{
		{"", "", ""},
		{"", "a", "a"},
		{"a", "a", ""},
		{"a\n", "a\nb\n", "b\n"},
		{long + "end", (long + "end" + "more")[5000:], "more"},
		{long + "end", long[5000:] + "end", ""},
		{"old\n", "new\n", "new\n"},
	} {
		require.Equal(t, c[2], string(added([]byte(c[0]), []byte(c[1]))))
	}
}
