package guides

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
)

func TestSettingsGuide(t *testing.T) {
	text := read(t, "guides/settings.md")
	text = splice(t, text, "keys", settingKeys())
	text = splice(t, text, "types", settingTypes())
	compare(t, "guides/settings.md", text)
}

func settingKeys() string {
	t := newTable("key", "type", "default", "allowed", "restart", "effect")
	for _, k := range ams.SettingKeys() {
		name, typ, restart := code(k.Name), k.Type, ""
		if k.Alias != "" {
			name += ", alias " + code(k.Alias)
		}
		if k.Secret {
			typ += ", **secret**"
		}
		if k.ReadOnly {
			typ += ", read-only"
		}
		if k.Restart {
			restart = "yes"
		}
		t.row(name, typ, code(k.Default), allowed(&k), restart, plain(k.Effect))
	}
	return t.String()
}

// allowed says which values of its type a key takes; empty is all.
func allowed(k *ams.SettingKey) string {
	switch k.Type {
	case "enum":
		return codes(k.Allowed)
	case "int":
		return fmt.Sprintf("%d to %d", k.Min, k.Max)
	case "duration":
		bounds, _, _ := strings.Cut(strings.TrimPrefix(k.Rule(), "a duration from "), ",")
		return bounds
	case "list":
		return plain(k.Rule())
	case "text":
		if !anyText(k) {
			return plain(k.Rule())
		}
	}
	return ""
}

// anyText reports whether a text has no rule of its own.
func anyText(k *ams.SettingKey) bool { return strings.HasPrefix(k.Rule(), "one line") }

// settingTypes explains the types whose rule is the same for all keys.
func settingTypes() string {
	rules := map[string]string{}
	for _, k := range ams.SettingKeys() {
		if allowed(&k) == "" {
			rules[k.Type] = k.Rule()
		}
	}
	t := newTable("type", "a value is")
	for _, typ := range []string{"bool", "text", "url", "address", "hostport", "fingerprint"} {
		t.row(typ, plain(rules[typ]))
	}
	return t.String()
}

// TestEveryTypeIsExplained makes a new type of setting show.
func TestEveryTypeIsExplained(t *testing.T) {
	for _, k := range ams.SettingKeys() {
		own := slices.Contains([]string{"enum", "int", "duration", "list"}, k.Type) || k.Type == "text" && !anyText(&k)
		require.Equal(t, own, allowed(&k) != "", k.Name)
		require.True(t, own || strings.Contains(settingTypes(), "| "+k.Type+" | "+plain(k.Rule())+" |"), k.Name)
	}
}
