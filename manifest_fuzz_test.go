package ams

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func FuzzParseManifest(f *testing.F) {
	f.Add([]byte(fullManifest))
	for _, c := range badManifests() {
		if len(c.Text) < 2000 {
			f.Add([]byte(c.Text))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		start := time.Now()
		m, err := ParseManifest(data)
		require.Less(t, time.Since(start), 2*time.Second)
		if err != nil {
			require.ErrorIs(t, err, ErrInvalid)
			require.Nil(t, m)
			return
		}
		require.NoError(t, m.Validate())
		printed, err := m.YAML()
		require.NoError(t, err)
		again, err := ParseManifest(printed)
		require.NoError(t, err, "%s", printed)
		require.Equal(t, m, again)
	})
}

// TestParseManifestTime feeds files of the greatest size that are hard to parse.
func TestParseManifestTime(t *testing.T) {
	fill := func(unit string) string { return strings.Repeat(unit, maxYAMLSize/len(unit)) }
	for name, text := range map[string]string{
		"keys":        keys(6000),
		"one line":    "name: " + fill("a")[:60_000],
		"open lists":  fill("["),
		"open maps":   fill("{a: "),
		"dashes":      fill("- "),
		"questions":   fill("? "),
		"anchors":     fill("&a "),
		"comments":    fill("#\n"),
		"quotes":      fill("\"\\\n"),
		"spaces":      fill(" \n"),
		"directives":  fill("%a\n"),
		"documents":   fill("---\n"),
		"flow commas": "tags: [" + fill("a,")[:60_000] + "]",
		"services":    "name: abc\nservices:\n" + strings.Repeat("- {port: 1, protocols: [tcp, udp]}\n", 999),
		"block text":  "version: |\n" + fill(" x\n")[:60_000],
	} {
		start := time.Now()
		_, err := ParseManifest([]byte(text))
		require.Error(t, err, name)
		if took := time.Since(start); took > time.Second {
			t.Errorf("%s: took %v", name, took)
		} else {
			t.Logf("%s: %v", name, took)
		}
	}
}

func BenchmarkParseManifest(b *testing.B) {
	data := []byte(fullManifest)
	for b.Loop() {
		if _, err := ParseManifest(data); err != nil {
			b.Fatal(err)
		}
	}
}
