package ams

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// This file is the only one that knows the YAML library.

// The bounds of a YAML file.
const (
	maxYAMLSize  = 64 << 10
	maxYAMLDepth = 32
	maxYAMLKeys  = 256
	maxYAMLItems = 1000
	maxYAMLNodes = 10_000
)

type yamlKind int

const (
	yamlNull yamlKind = iota
	yamlText          // also dates and times
	yamlInt
	yamlFloat
	yamlBool
	yamlList
	yamlMap
)

// yamlNode is one value of a YAML file. A scalar's text is as written, unquoted.
type yamlNode struct {
	kind  yamlKind
	line  int
	text  string
	keys  []*yamlNode // the keys of a mapping, all scalars, in the order of the file
	items []*yamlNode // the items of a list, or the values of a mapping
}

// describe names the value in a message: a list, the text "true", 2.0.
func (n *yamlNode) describe() string {
	switch n.kind {
	case yamlList:
		return "a list"
	case yamlMap:
		return "a mapping"
	case yamlNull:
		return "nothing"
	case yamlText:
		return "the text " + quote(n.text)
	}
	return cut(n.text)
}

// decodeYAML reads the one document of a file, which must be a mapping. When the
// file itself is at fault the faults say so and the node is nil.
func decodeYAML(data []byte) (*yamlNode, *manifestFaults) {
	f := newManifestFaults()
	if len(data) > maxYAMLSize {
		f.put(&FieldError{Rule: "manifest.yaml is too large: " + strconv.Itoa(len(data)) +
			" bytes (maximum " + strconv.Itoa(maxYAMLSize) + ")"})
		return nil, f
	}
	if line, what := foreignByte(data); line > 0 {
		f.malformed(line, "%s", what)
		return nil, f
	}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var document, second yaml.Node
	switch err := decoder.Decode(&document); {
	case errors.Is(err, io.EOF):
		f.malformed(0, "file is empty")
		return nil, f
	case err != nil:
		f.parserFault(err)
		return nil, f
	}
	if err := decoder.Decode(&second); err == nil {
		f.put(&FieldError{Line: second.Line, placed: true, Rule: "manifest.yaml is malformed: " +
			"only one YAML document is allowed (second starts at line " + strconv.Itoa(second.Line) + ")"})
		return nil, f
	} else if !errors.Is(err, io.EOF) {
		f.parserFault(err)
		return nil, f
	}
	c := yamlConverter{faults: f}
	root := c.convert(document.Content[0], 1)
	switch {
	case len(f.list) > 0:
		return nil, f
	case root.kind == yamlNull:
		f.malformed(0, "file is empty")
		return nil, f
	case root.kind != yamlMap:
		f.put(&FieldError{Line: root.line, Found: cut(root.text), placed: true, Rule: "manifest.yaml is malformed: " +
			"expected a mapping at line " + strconv.Itoa(root.line) + ", got " + root.describe()})
		return nil, f
	}
	return root, f
}

// foreignByte returns the first line that is not UTF-8 or has a control character.
func foreignByte(data []byte) (line int, what string) {
	line = 1
	for len(data) > 0 {
		r, size := utf8.DecodeRune(data)
		switch {
		case r == utf8.RuneError && size == 1:
			return line, "not UTF-8: byte 0x" + strconv.FormatUint(uint64(data[0]), 16)
		case r == '\n':
			line++
		case r != '\t' && r != '\r' && unicode.IsControl(r):
			return line, controlCharacter(r)
		}
		data = data[size:]
	}
	return 0, ""
}

// controlCharacter says that r is in a text that may not have it.
func controlCharacter(r rune) string {
	hex := strconv.FormatInt(int64(r), 16)
	return "contains a control character (0x" + strings.Repeat("0", max(0, 2-len(hex))) + hex + ")"
}

// parserFault records what the YAML parser says, with the line it names.
func (f *manifestFaults) parserFault(err error) {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	line := 0
	if m := regexp.MustCompile(`^line (\d+): `).FindStringSubmatch(text); m != nil {
		line, _ = strconv.Atoi(m[1])
	}
	f.put(&FieldError{Line: line, placed: true, Rule: "manifest.yaml is malformed: " + text})
}

// yamlConverter makes yamlNodes of the library's nodes and refuses what a file may not have.
type yamlConverter struct {
	faults *manifestFaults
	nodes  int
}

func (c *yamlConverter) convert(y *yaml.Node, depth int) *yamlNode {
	n := &yamlNode{line: y.Line}
	c.nodes++
	switch {
	case c.nodes > maxYAMLNodes:
		if c.nodes == maxYAMLNodes+1 {
			c.faults.malformed(y.Line, "more than %d values", maxYAMLNodes)
		}
		return n
	case depth > maxYAMLDepth:
		if !c.faults.has("") {
			c.faults.malformed(y.Line, "nested deeper than %d levels", maxYAMLDepth)
		}
		return n
	case y.Kind == yaml.AliasNode:
		c.faults.malformed(y.Line, "aliases are not allowed")
		return n
	case y.Anchor != "":
		c.faults.malformed(y.Line, "anchors are not allowed")
	case y.ShortTag() == "!!merge":
		c.faults.malformed(y.Line, "merge keys are not allowed")
		return n
	case y.Style&yaml.TaggedStyle != 0:
		c.faults.malformed(y.Line, "tags are not allowed, found %s", quote(y.ShortTag()))
		return n
	}
	switch y.Kind {
	case yaml.MappingNode:
		n.kind = yamlMap
		if len(y.Content)/2 > maxYAMLKeys {
			c.faults.malformed(y.Line, "a mapping has %d keys (maximum %d)", len(y.Content)/2, maxYAMLKeys)
			return n
		}
		for i := 0; i+1 < len(y.Content); i += 2 {
			key := c.convert(y.Content[i], depth+1)
			if key.kind == yamlMap || key.kind == yamlList {
				c.faults.malformed(key.line, "a key must be text, got %s", key.describe())
			}
			n.keys = append(n.keys, key)
			n.items = append(n.items, c.convert(y.Content[i+1], depth+1))
		}
	case yaml.SequenceNode:
		n.kind = yamlList
		if len(y.Content) > maxYAMLItems {
			c.faults.malformed(y.Line, "a list has %d items (maximum %d)", len(y.Content), maxYAMLItems)
			return n
		}
		for _, item := range y.Content {
			n.items = append(n.items, c.convert(item, depth+1))
		}
	default:
		n.text, n.kind = y.Value, scalarKind(y.ShortTag())
	}
	return n
}

func scalarKind(tag string) yamlKind {
	switch tag {
	case "!!null":
		return yamlNull
	case "!!bool":
		return yamlBool
	case "!!int":
		return yamlInt
	case "!!float":
		return yamlFloat
	}
	return yamlText
}

// encodeYAML prints a value by its yaml field tags.
func encodeYAML(v any) ([]byte, error) {
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	if err := e.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
