package guides

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"

	"github.com/openams/ams"
)

// editorSchema is what an editor reads from docs/manifest.schema.json.
func editorSchema(t *testing.T) map[string]any {
	var b bytes.Buffer
	require.NoError(t, encode(&b, manifestSchema()))
	var s map[string]any
	require.NoError(t, json.Unmarshal(b.Bytes(), &s))
	return s
}

// faults says where a YAML file breaks a schema.
func faults(t *testing.T, s map[string]any, text string) []string {
	var v any
	require.NoError(t, yaml.Unmarshal([]byte(text), &v))
	return check(s, v, "manifest")
}

// check knows the words of JSON Schema that the generator uses.
func check(s map[string]any, v any, at string) (faults []string) {
	bad := func(format string, args ...any) { faults = append(faults, at+": "+fmt.Sprintf(format, args...)) }
	types, _ := s["type"].([]any)
	if one, ok := s["type"].(string); ok {
		types = []any{one}
	}
	if !slices.ContainsFunc(types, func(name any) bool { return isA(v, name.(string)) }) {
		bad("%T is not of type %v", v, types)
		return faults
	}
	bound := func(word string, n int, sign int) {
		if limit, ok := s[word].(float64); ok && sign*n > sign*int(limit) {
			bad("%d breaks %s %v", n, word, limit)
		}
	}
	if allowed, ok := s["enum"].([]any); ok && !slices.Contains(allowed, v) {
		bad("%v is none of %v", v, allowed)
	}
	switch v := v.(type) {
	case string:
		bound("minLength", utf8.RuneCountInString(v), -1)
		bound("maxLength", utf8.RuneCountInString(v), 1)
		if p, ok := s["pattern"].(string); ok && !regexp.MustCompile(p).MatchString(v) {
			bad("%q does not match %s", v, p)
		}
	case int:
		bound("minimum", v, -1)
		bound("maximum", v, 1)
	case []any:
		bound("minItems", len(v), -1)
		bound("maxItems", len(v), 1)
		for i, item := range v {
			faults = append(faults, check(s["items"].(map[string]any), item, fmt.Sprintf("%s[%d]", at, i))...)
			if s["uniqueItems"] == true && slices.Index(v, item) < i {
				bad("%v is there twice", item)
			}
		}
	case map[string]any:
		known, _ := s["properties"].(map[string]any)
		others, _ := s["additionalProperties"].(map[string]any)
		required, _ := s["required"].([]any)
		for _, key := range required {
			if _, ok := v[key.(string)]; !ok {
				bad("%s is required", key)
			}
		}
		for key, value := range v {
			sub, ok := known[key].(map[string]any)
			if !ok {
				sub = others
			}
			if sub == nil {
				bad("%s is not known", key)
				continue
			}
			faults = append(faults, check(sub, value, at+"."+key)...)
		}
	}
	return faults
}

func isA(v any, name string) bool {
	switch v.(type) {
	case string:
		return name == "string"
	case bool:
		return name == "boolean"
	case int:
		return name == "integer" || name == "number"
	case float64:
		return name == "number"
	case []any:
		return name == "array"
	case map[string]any:
		return name == "object"
	}
	return false
}

// TestExamplesConform holds each manifest in examples against the schema. Those of
// addons are of another kind.
func TestExamplesConform(t *testing.T) {
	s, seen := editorSchema(t), 0
	require.NoError(t, filepath.WalkDir("../../examples", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.Name() != "manifest.yaml" || strings.Contains(path, "addon") {
			return err
		}
		seen++
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Empty(t, faults(t, s, string(text)), path)
		_, err = ams.ParseManifest(text)
		require.NoError(t, err, path)
		return nil
	}))
	require.GreaterOrEqual(t, seen, 2)
}

// TestSchemaAndParserAgree holds the same manifests against both.
func TestSchemaAndParserAgree(t *testing.T) {
	s := editorSchema(t)
	for text, good := range map[string]bool{
		"name: abc":                        true,
		"name: 2048":                       true,
		"name: abc\nversion: 1.10":         true,
		"name: abc\nhooks: {timeout: 15m}": true,
		"name: abc\nresources: {cpus: 1, gpu-slots: 0, no_disk_reserve: true}":    true,
		"name: abc\nservices: [{port: 1, port_end: 2, protocols: [tcp, udp]}]":    true,
		"name: abc\nextra-data: {a: {target: /data/data/a.b, permissions: 0660}}": true,
		"version: x":         false,
		"[]":                 false,
		"name: ab":           false,
		"name: [abc]":        false,
		"name: abc\nnmae: x": false,
		"name: abc\nversion: " + strings.Repeat("x", 51):         false,
		"name: abc\ninstance-type: a3.3":                         false,
		"name: abc\nresources: {cpus: 0}":                        false,
		"name: abc\nresources: {cpus: 1.5}":                      false,
		"name: abc\nresources: {gpu-slots: -1}":                  false,
		"name: abc\nresources: {memory: 3GiB}":                   false,
		"name: abc\nresources: {no-disk-reserve: 'true'}":        false,
		"name: abc\ntags: x":                                     false,
		"name: abc\ntags: [a, a]":                                false,
		"name: abc\nwatchdog: {enabled: true}":                   false,
		"name: abc\nservices: [{port: 1, protocols: []}]":        false,
		"name: abc\nservices: [{port: 1}]":                       false,
		"name: abc\nservices: [{port: 65536, protocols: [tcp]}]": false,
		"name: abc\nservices: [{port: 1, protocols: [sctp]}]":    false,
		"name: abc\nextra-data: {a: {owner: 'x:y'}}":             false,
		"name: abc\nextra-data: {a: /data/data/a.b}":             false,
		"name: abc\nabi: mips":                                   false,
	} {
		_, err := ams.ParseManifest([]byte(text))
		require.Equal(t, good, err == nil, text)
		found := faults(t, s, text)
		require.Equal(t, good, len(found) == 0, "%s: %v", text, found)
	}
}
