package android_test

import (
	"archive/tar"
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
)

// TestGuideQuotes compares the examples in the guide with the files tested here.
func TestGuideQuotes(t *testing.T) {
	guide, err := os.ReadFile("../../docs/guides/hooks.md")
	require.NoError(t, err)
	quotes := strings.Split(string(guide), "```sh\n")[1:]
	require.Len(t, quotes, 2)
	for n, name := range []string{"pre-start", "post-stop"} {
		quote, _, closed := strings.Cut(quotes[n], "```")
		require.True(t, closed)
		require.Equal(t, example(t, name).content, quote)
	}
}

// TestGuideExamples runs them through the life of an instance.
func TestGuideExamples(t *testing.T) {
	onShells(t, func(t *testing.T, m *machine) {
		v := application()
		v.Manifest.Bootstrap.Keep = []string{"levels", "defaults.ini"}
		var pack bytes.Buffer
		tw := tar.NewWriter(&pack)
		require.NoError(t, tw.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "one.map", Mode: 0o600, Size: 1}))
		_, err := tw.Write([]byte("1"))
		require.NoError(t, err)
		require.NoError(t, tw.Close())
		m.addons = []ams.GuestAddon{{Name: "runs", Write: packageOf(map[string]member{"hooks/post-stop": example(t, "post-stop")})}}
		require.NoError(t, m.run(ams.PhaseBootstrap, v, map[string]member{
			"hooks/pre-start": example(t, "pre-start"), "packs/one.tar": {0o600, pack.String()}, "defaults.ini": {0o600, "sound=on\n"},
		}))
		app, addon := "var/lib/anbox/app/", "var/lib/anbox/addons/runs/"
		require.Equal(t, "1", m.read(app+"levels/one.map"))
		require.Empty(t, m.read(app+"packs/one.tar"))
		require.Empty(t, m.read(addon+"runs.log"))

		m.addons[0].Write = nil
		for range 2 { // as after a lost answer
			require.NoError(t, m.run(ams.PhaseStart, v, nil))
			require.Equal(t, "sound=on\nuser data", m.read(app+"settings.ini"))
		}
		m.env = []string{"STOP_CODE=9"}
		require.ErrorContains(t, m.run(ams.PhaseStop, v, nil), "stop android exited with code 9")
		require.Equal(t, "Android ended with 9\n", m.read("var/lib/anbox/logs/post-stop.runs.log"))
		m.env = nil
		require.Equal(t, "com.example.candy 9\n", m.read(addon+"runs.log"))
		m.write(addon+"runs.log", 0o644, strings.Repeat("com.example.candy 9\n", 100))
		require.NoError(t, m.run(ams.PhaseStop, nil, nil))
		require.Equal(t, strings.Repeat("com.example.candy 9\n", 99)+"no application 0\n", m.read(addon+"runs.log"))
	})
}

// example is one of the hooks in the guide.
func example(t *testing.T, name string) member {
	t.Helper()
	b, err := os.ReadFile("testdata/hooks/" + name)
	require.NoError(t, err)
	return member{0o755, string(b)}
}
