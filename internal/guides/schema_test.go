package guides

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
)

// schema is the part of JSON Schema that a manifest needs.
type schema struct {
	Dialect     string     `json:"$schema,omitempty"`
	Title       string     `json:"title,omitempty"`
	Description string     `json:"description,omitempty"`
	Deprecated  bool       `json:"deprecated,omitempty"`
	Type        any        `json:"type,omitempty"` // a name, or several
	Enum        []string   `json:"enum,omitempty"`
	Default     any        `json:"default,omitempty"`
	Pattern     string     `json:"pattern,omitempty"`
	MinLength   int        `json:"minLength,omitempty"`
	MaxLength   int        `json:"maxLength,omitempty"`
	Minimum     *int       `json:"minimum,omitempty"`
	Maximum     *int       `json:"maximum,omitempty"`
	MinItems    int        `json:"minItems,omitempty"`
	MaxItems    int        `json:"maxItems,omitempty"`
	UniqueItems bool       `json:"uniqueItems,omitempty"`
	Items       *schema    `json:"items,omitempty"`
	Properties  properties `json:"properties,omitempty"`
	Required    []string   `json:"required,omitempty"`
	Others      any        `json:"additionalProperties,omitempty"` // false, or a *schema
}

// properties are the keys of a mapping, which keep their order.
type properties []property

type property struct {
	key    string
	schema *schema
}

func (p properties) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	for i, one := range p {
		if i > 0 {
			b.WriteByte(',')
		}
		if err := encode(&b, one.key); err != nil {
			return nil, err
		}
		b.WriteByte(':')
		if err := encode(&b, one.schema); err != nil {
			return nil, err
		}
	}
	return []byte("{" + b.String() + "}"), nil
}

// encode writes JSON without making codes of <, > and &.
func encode(b *bytes.Buffer, v any) error {
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// manifestSchema is the JSON Schema of a manifest.yaml.
func manifestSchema() *schema {
	root := mapping()
	root.Dialect, root.Title = "http://json-schema.org/draft-07/schema#", "manifest.yaml of an application"
	at := map[string]*schema{"": root} // the mapping that each path leads to
	for _, f := range ams.ManifestFields() {
		around, key := "", f.Path
		if i := strings.LastIndexByte(f.Path, '.'); i >= 0 {
			around, key = f.Path[:i], f.Path[i+1:]
		}
		s, in := fieldSchema(&f), at[around]
		in.Properties = append(in.Properties, property{key, s})
		if f.Required {
			in.Required = append(in.Required, key)
		}
		if f.Alias != "" {
			old := *s
			old.Deprecated, old.Description = true, "Another spelling of "+key+"."
			in.Properties = append(in.Properties, property{f.Alias, &old})
		}
		switch f.Type {
		case "map":
			at[f.Path] = s
		case "list of maps":
			at[f.Path+"[]"] = s.Items
		case "map of maps":
			at[f.Path+".<name>"] = s.Others.(*schema)
		}
	}
	return root
}

// mapping is a mapping that has no other keys than those it is given.
func mapping() *schema { return &schema{Type: "object", Others: false} }

// fieldSchema is the schema of one key. A text may be written without quotes, and
// be a number to a reader of YAML.
func fieldSchema(f *ams.ManifestField) *schema {
	s := &schema{Description: strings.TrimSpace(f.Effect + " " + f.Rule)}
	text := &schema{Type: []string{"string", "number"}}
	if len(f.Allowed) > 0 {
		text = &schema{Type: "string", Enum: f.Allowed}
	}
	switch f.Type {
	case "text":
		s.Type, s.Enum, s.MinLength, s.MaxLength = text.Type, text.Enum, f.Min, f.Max
	case "duration":
		s.Type = "string"
	case "size":
		s.Type, s.Pattern = "string", "^[0-9]+(B|kB|MB|GB|TB)$"
	case "bool":
		s.Type, s.Default = "boolean", f.Default == "true"
	case "int":
		s.Type, s.Minimum = "integer", &f.Min
		if f.Max > 0 {
			s.Maximum = &f.Max
		}
	case "list of text":
		s.Type, s.Items, s.MaxItems, s.UniqueItems = "array", text, f.Max, true
		if f.Required {
			s.MinItems = 1
		}
	case "list of maps":
		s.Type, s.Items, s.MaxItems = "array", mapping(), f.Max
	case "map":
		s.Type, s.Others = "object", false
	case "map of maps":
		s.Type, s.Others = "object", mapping()
	}
	return s
}

func TestManifestSchema(t *testing.T) {
	var b bytes.Buffer
	require.NoError(t, encode(&b, manifestSchema()))
	compare(t, "manifest.schema.json", b.String())
}
