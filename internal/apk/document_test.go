package apk

import (
	"encoding/binary"
	"slices"
	"unicode/utf16"
)

// tag is an element of a document that a test makes.
type tag struct {
	name       string
	attributes []attr
	children   []tag
}

// attr is an attribute in the android namespace if id is set, else in none. If kind is
// 0 it is the string text.
type attr struct {
	id   uint32
	name string
	text string
	kind byte
	data uint32
}

// layout says how encode lays out a document.
type layout struct{ utf8, noIDs bool }

// encode makes the binary XML of a document, as the Android tools do.
func encode(root tag, l layout) []byte {
	e := &encoder{layout: l}
	e.collect(root)
	e.strings = slices.Concat(e.names, e.strings)
	e.element(root)

	ids := []byte{}
	for _, id := range e.ids {
		ids = le32(ids, id)
	}
	body := append(e.pool(), e.chunk(chunkResourceMap, nil, ids)...)
	return e.chunk(chunkXML, nil, append(body, e.nodes...))
}

type encoder struct {
	layout
	names   []string // of attributes with an id; ids has theirs
	ids     []uint32
	strings []string
	nodes   []byte
}

// collect puts attribute names with resource ids first in the pool, where the resource
// map can number them.
func (e *encoder) collect(t tag) {
	for _, a := range t.attributes {
		if a.id != 0 && !e.noIDs && !slices.Contains(e.ids, a.id) {
			e.names, e.ids = append(e.names, a.name), append(e.ids, a.id)
		}
	}
	for _, c := range t.children {
		e.collect(c)
	}
}

// index returns the index of a string in the pool.
func (e *encoder) index(s string) uint32 {
	if i := slices.Index(e.strings[len(e.names):], s); i >= 0 {
		return uint32(len(e.names) + i)
	}
	e.strings = append(e.strings, s)
	return uint32(len(e.strings) - 1)
}

func (e *encoder) element(t tag) {
	head := le32(nil, 1, noString) // line, comment
	body := le32(nil, noString, e.index(t.name))
	body = le16(body, elementSize, attributeSize, uint16(len(t.attributes)), 0, 0, 0)
	for _, a := range t.attributes {
		namespace, name := uint32(noString), uint32(slices.Index(e.ids, a.id))
		if a.id != 0 {
			namespace = e.index(androidNamespace)
		}
		if a.id == 0 || e.noIDs {
			name = e.index(a.name)
		}
		if a.kind == 0 {
			a.kind, a.data = typeString, e.index(a.text)
		}
		body = le32(body, namespace, name, noString)
		body = le16(body, 8)
		body = le32(append(body, 0, a.kind), a.data)
	}
	e.nodes = append(e.nodes, e.chunk(chunkStartElement, head, body)...)
	for _, c := range t.children {
		e.element(c)
	}
	end := le32(nil, noString, e.index(t.name))
	e.nodes = append(e.nodes, e.chunk(chunkEndElement, head, end)...)
}

func (e *encoder) pool() []byte {
	var offsets, data []byte
	for _, s := range e.strings {
		offsets = le32(offsets, uint32(len(data)))
		units := utf16.Encode([]rune(s))
		if e.utf8 {
			data = append(length8(length8(data, len(units)), len(s)), s...)
			data = append(data, 0)
			continue
		}
		if len(units) >= 0x8000 {
			data = le16(data, uint16(len(units)>>16)|0x8000)
		}
		data = le16(data, uint16(len(units)))
		data = append(le16(data, units...), 0, 0)
	}
	for len(data)%4 != 0 {
		data = append(data, 0)
	}
	flags := uint32(0)
	if e.utf8 {
		flags = poolUTF8
	}
	start := uint32(poolHeaderSize + len(offsets))
	head := le32(nil, uint32(len(e.strings)), 0, flags, start, 0)
	return e.chunk(chunkStringPool, head, append(offsets, data...))
}

// chunk makes a chunk of what follows its first eight bytes.
func (e *encoder) chunk(kind uint16, head, body []byte) []byte {
	headerSize := chunkHeaderSize + len(head)
	b := le16(nil, kind, uint16(headerSize))
	b = le32(b, uint32(headerSize+len(body)))
	return slices.Concat(b, head, body)
}

func length8(b []byte, n int) []byte {
	if n >= 0x80 {
		b = append(b, byte(n>>8)|0x80)
	}
	return append(b, byte(n))
}

func le16(b []byte, values ...uint16) []byte {
	for _, v := range values {
		b = binary.LittleEndian.AppendUint16(b, v)
	}
	return b
}

func le32(b []byte, values ...uint32) []byte {
	for _, v := range values {
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	return b
}
