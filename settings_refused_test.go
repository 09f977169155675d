package ams_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
)

// TestSettingsRefused compares the message for each bad value with
// testdata/golden/settings-refused.txt; go test -update rewrites the file.
func TestSettingsRefused(t *testing.T) {
	long := strings.Repeat("x", 4097)
	byType := map[string][]string{
		"bool":        {"yes", "1", "TRUE", " true"},
		"int":         {"0", "-1", "1000001", "1.5", "4x", "99999999999999999999", "0x10", "١"},
		"duration":    {"5", "-5m", "abc", "9s", "721h", "1d", "99999999999h"},
		"enum":        {"nosuch", "SPREAD", "spread,binpack", long},
		"list":        {",", "ssh,", "ssh,,adb", "ssh, ssh", "a\nb", "\xff", long},
		"text":        {"a\nb", "a\x00b", "\xff", long},
		"url":         {"images.anbox-cloud.io", "ftp://host/", "https://", "https:host", "https://host:0", "https://host:65536", "https://host:", "https://a b/", "https://host/a b", "https://host/#x", "https://-host", "https://a..b", "http://[::1", "file:///etc/passwd", "https://user:password@host/", "https://user@host/", "https://ho\x00st"},
		"address":     {"8444", "host", "host:", "host:0", "host:65536", "host:http", "host:+1", "[::1]", "::1:80", "[1.2.3.4]:80", "a b:80", "https://127.0.0.1:9090"},
		"hostport":    {":9090", "myproxy", "http://myproxy:9090", "user:password@myproxy:9090"},
		"fingerprint": {"abc", strings.Repeat("g", 64), strings.Repeat("a", 65), strings.Repeat("ab:", 32)},
	}
	byName := map[string][]string{
		"application.addons":      {"a b", "ab", "a:b", "-ssh", "..", strings.Repeat("a", 256)},
		"instance.features":       {"a b", "x;y", strings.Repeat("f", 256)},
		"registry.filter":         {strings.Repeat("t", 256)},
		"core.proxy_ignore_hosts": {"a b", "10.0.0.0/33", "http://host", "host:0", "a..b", "*foo*", ":80", "-a"},
		"images.auth":             {"user", ":password", "user:", "bearer"},
	}
	d := newDesk(t)
	var got strings.Builder
	refuse := func(key, value string, code ams.Code) {
		err := d.Settings.Set(t.Context(), key, value)
		require.ErrorIs(t, err, code, "%s %q", key, value)
		require.Less(t, len(err.Error()), 400)
		line := fmt.Sprintf("%s %s → %s", abridged(key, 80), abridged(value, 80), err)
		require.NotContains(t, line, "\n")
		got.WriteString(line + "\n")
	}
	seen := map[string]bool{}
	for _, k := range ams.SettingKeys() {
		if k.ReadOnly {
			refuse(k.Name, "127.0.0.1:8444", ams.ErrInvalid)
			refuse(k.Name, "", ams.ErrInvalid)
			continue
		}
		bad := byName[k.Name]
		if !seen[k.Type] || k.Name == "scheduler.strategy" {
			bad = append(byType[k.Type], bad...)
		}
		seen[k.Type] = true
		if k.Type == "int" || k.Type == "duration" {
			bad = append(bad, justBeyond(k)...)
		}
		if len(bad) == 0 { // at least one for each key
			bad = byType[k.Type][:1]
		}
		if k.Secret {
			bad = append(bad, "true", "false")
		}
		for _, value := range bad {
			refuse(k.Name, value, ams.ErrInvalid)
		}
	}
	for _, name := range []string{"", "nosuch", "_cluster", "_hold", "instance", "image.url", "Images.URL", "images-url", "instance.network-proxy",
		"register.filter", "instance.api_mirror", "container.network_proxy", "container.feature", "gpu.allocation_mode", "a\nb", long} {
		refuse(name, "x", ams.ErrNotFound)
		_, err := d.Settings.Get(t.Context(), name)
		require.ErrorIs(t, err, ams.ErrNotFound)
	}
	require.Empty(t, d.events)
	require.Empty(t, d.rows(t))
	compareGolden(t, "settings-refused.txt", got.String())
}

// justBeyond returns the values next to the bounds of a key.
func justBeyond(k ams.SettingKey) []string {
	unit := map[string]string{"duration": "s"}[k.Type]
	return []string{fmt.Sprint(k.Min-1) + unit, fmt.Sprint(k.Max+1) + unit}
}

// abridged quotes an input for a golden file.
func abridged(input string, most int) string {
	if len(input) > most {
		return fmt.Sprintf("%q… (%d bytes)", input[:most/4], len(input))
	}
	return fmt.Sprintf("%q", input)
}

// compareGolden compares with a file of testdata/golden, or rewrites it.
func compareGolden(t *testing.T, name, got string) {
	t.Helper()
	file := "testdata/golden/" + name
	if *ams.UpdateGolden {
		require.NoError(t, os.WriteFile(file, []byte(got), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err, "make it with: go test . -update")
	require.Equal(t, string(want), got, "if the change is meant: go test . -update")
}
