package android

import (
	"fmt"
	"math/rand/v2"
	"os/exec"
	"path"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
	"github.com/openams/ams/internal/lxdtest"
)

func TestShellPattern(t *testing.T) {
	for in, want := range map[string]string{
		"*.txt":        "*.txt",
		"a/b?/":        "a/b?",
		"[^a-c]x":      "[!a-c]x",
		"[!a]":         `[\!a]`,
		"[a^]":         `[a\^]`,
		"[[^]":         `[\[\^]`,
		"[[:alpha:]":   `[\[\:alpha\:]`,
		`\*lit\[eral`:  `\*lit\[eral`,
		`[\]\-x]`:      `[\]\-x]`,
		"$(reboot)`;'": "$(reboot)`;'",
	} {
		got, err := shellPattern(in)
		require.NoError(t, err, in)
		require.Equal(t, want, got)
	}
	for _, in := range []string{"", "/", "[a", "../x", "/abs", "a/../b", "a//b", `a\`, "[a/b]", `a\/b`, "./a"} {
		_, err := shellPattern(in)
		require.ErrorIs(t, err, ams.ErrInvalid, in)
	}
}

// The driver's idea of a match is that of path.Match.
func TestMatch(t *testing.T) {
	const alphabet = `aab*?[]^!-\/.:,`
	seed := rand.Uint64()
	t.Log("seed", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	word := func(letters string) string {
		b := make([]byte, 1+r.IntN(6))
		for i := range b {
			b[i] = letters[r.IntN(len(letters))]
		}
		return string(b)
	}
	var patterns []string
	for range 20000 {
		p := word(alphabet)
		if _, err := shellPattern(p); err == nil {
			patterns = append(patterns, p)
		}
	}
	require.Greater(t, len(patterns), 1000)
	var in, want strings.Builder
	for _, p := range patterns {
		for range 3 {
			name := path.Clean(strings.Trim(word(alphabet), "/"))
			if r.IntN(2) == 0 { // more likely to match
				name = path.Clean(strings.Trim(strings.NewReplacer("*", "ab", "?", "a", "\\", "", "[", "", "]", "").Replace(p), "/"))
			}
			glob, err := shellPattern(p)
			require.NoError(t, err)
			matched, err := path.Match(strings.TrimSuffix(p, "/"), name)
			require.NoError(t, err)
			fmt.Fprintf(&in, "%s\t%s\n", glob, name)
			fmt.Fprintf(&want, "%s %s %t\n", glob, name, matched)
		}
	}
	for _, shell := range [][]string{{"busybox", "sh"}, {"dash"}} {
		t.Run(shell[0], func(t *testing.T) {
			lxdtest.Programs(t, shell[0])
			args := append(shell[1:], "-c", bootstrap+`
tab='	' nl='
'
while IFS=$tab read -r keep name; do
	match "$name"
	case $verdict in
	keep) printf '%s %s true\n' "$keep" "$name" ;;
	*) printf '%s %s false\n' "$keep" "$name" ;;
	esac
done`)
			cmd := exec.CommandContext(t.Context(), shell[0], args...)
			cmd.Stdin = strings.NewReader(in.String())
			out, err := cmd.Output()
			require.NoError(t, err)
			got, wants := strings.Split(string(out), "\n"), strings.Split(want.String(), "\n")
			require.Len(t, got, len(wants))
			for i := range got {
				require.Equal(t, wants[i], got[i])
			}
		})
	}
}
