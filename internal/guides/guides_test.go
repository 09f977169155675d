package guides

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "rewrite what is generated")

const docs = "../../docs" // of the repository

// compare compares a document with what it should be, or rewrites it.
func compare(t *testing.T, name, want string) {
	t.Helper()
	file := filepath.Join(docs, name)
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(want), 0o644))
	}
	require.Equal(t, want, read(t, name), "write it with: go test ./internal/guides -update")
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(docs, name))
	require.NoError(t, err)
	return string(text)
}

// splice puts a body between the two marks of a part of a document.
func splice(t *testing.T, text, part, body string) string {
	t.Helper()
	begin, end := "<!-- generated: "+part+" -->\n", "<!-- end of "+part+" -->\n"
	before, rest, ok := strings.Cut(text, begin)
	_, after, ended := strings.Cut(rest, end)
	require.True(t, ok && ended, "the document has no part %q", part)
	return before + begin + "\n" + body + "\n" + end + after
}

// table is a table in Markdown.
type table struct{ strings.Builder }

func newTable(columns ...string) *table {
	t := &table{}
	t.row(columns...)
	t.WriteString(strings.Repeat("|---", len(columns)) + "|\n")
	return t
}

func (t *table) row(cells ...string) { t.WriteString("| " + strings.Join(cells, " | ") + " |\n") }

// plain escapes what Markdown would take for more than text.
func plain(s string) string {
	return strings.NewReplacer("|", `\|`, "<", `\<`, "*", `\*`).Replace(s)
}

// code is s as code, empty if there is none.
func code(s string) string {
	if s == "" {
		return ""
	}
	return "`" + s + "`"
}

// codes is each of list as code.
func codes(list []string) string {
	var all []string
	for _, s := range list {
		all = append(all, code(s))
	}
	return strings.Join(all, ", ")
}
