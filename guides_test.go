package ams_test

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestGuidesQuoteExamples requires that the Go code in a guide is that of its
// examples: the lines of each block are there in that order, close to each other.
// Lines between them may be left out.
func TestGuidesQuoteExamples(t *testing.T) {
	for guide, files := range map[string][]string{
		"docs/guides/applications.md": {"example_application_test.go", "example_test.go"},
		"docs/guides/images.md":       {"example_image_test.go"},
		"docs/guides/metrics.md":      {"examples/metrics/main.go"},
		"docs/guides/trust.md":        {"example_trust_test.go"},
	} {
		text, err := os.ReadFile(guide)
		require.NoError(t, err)
		var code strings.Builder
		for _, file := range files {
			data, err := os.ReadFile(file)
			require.NoError(t, err)
			code.Write(data)
		}
		blocks := strings.Split(string(text), "```go\n")[1:]
		require.NotEmpty(t, blocks, guide)
		for _, block := range blocks {
			block, _, closed := strings.Cut(block, "```\n")
			require.True(t, closed, guide)
			require.True(t, quotes(code.String(), block), "%s: this is in no example:\n%s", guide, block)
		}
	}
}

// quotes reports whether code has the lines of a block in order, within sixty
// lines of it.
func quotes(code, block string) bool {
	lines, wanted := strings.Split(code, "\n"), strings.Split(strings.TrimSpace(block), "\n")
	for start := range lines {
		next := 0
		for _, line := range lines[start:min(start+60, len(lines))] {
			if next < len(wanted) && strings.TrimSpace(line) == strings.TrimSpace(wanted[next]) {
				next++
			}
		}
		if next == len(wanted) {
			return true
		}
	}
	return false
}
