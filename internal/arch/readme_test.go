package arch

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestReadmeExample keeps the README's program the one that is compiled.
func TestReadmeExample(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join(top, "README.md"))
	require.NoError(t, err)
	_, block, ok := strings.Cut(string(readme), "```go\n")
	require.True(t, ok)
	block, _, ok = strings.Cut(block, "```\n")
	require.True(t, ok)
	program, err := os.ReadFile(filepath.Join(top, "examples/minimal/main.go"))
	require.NoError(t, err)
	require.Equal(t, string(program), block)
}

// TestLinks follows the links between the documents.
func TestLinks(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#:\s]+)(#[^)]*)?\)`)
	docs, err := filepath.Glob(filepath.Join(top, "*.md"))
	require.NoError(t, err)
	more, err := filepath.Glob(filepath.Join(top, "docs/*/*.md"))
	require.NoError(t, err)
	for _, doc := range append(docs, more...) {
		text, err := os.ReadFile(doc)
		require.NoError(t, err)
		for _, m := range link.FindAllStringSubmatch(string(text), -1) {
			_, err := os.Stat(filepath.Join(filepath.Dir(doc), m[1]))
			require.NoError(t, err, "%s: link to %s", doc, m[1])
		}
	}
}
