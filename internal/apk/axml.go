package apk

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// The chunk types of a binary XML document. All numbers are little endian.
const (
	chunkStringPool   = 0x0001
	chunkXML          = 0x0003
	chunkStartElement = 0x0102
	chunkEndElement   = 0x0103
	chunkResourceMap  = 0x0180
)

const (
	chunkHeaderSize = 8  // type, header size (2 bytes each), size of the whole chunk
	nodeHeaderSize  = 16 // chunk header, line number, comment
	elementSize     = 20 // namespace, name, attribute start, size and count, three indexes
	attributeSize   = 20 // namespace, name, raw value, typed value

	maxDepth = 100 // open elements
	noString = 0xFFFFFFFF

	androidNamespace = "http://schemas.android.com/apk/res/android"
)

// chunk is one length-prefixed part of a document.
type chunk struct {
	kind   uint16
	header []byte // at least chunkHeaderSize bytes
	body   []byte // what follows the header
}

// cutChunk splits b into its first chunk and what comes after. Each call that
// succeeds takes at least chunkHeaderSize bytes off b.
func cutChunk(b []byte) (c chunk, rest []byte, err error) {
	if len(b) < chunkHeaderSize {
		return chunk{}, nil, fmt.Errorf("truncated: %d bytes left where a chunk should start", len(b))
	}
	headerSize, size := int64(binary.LittleEndian.Uint16(b[2:])), int64(binary.LittleEndian.Uint32(b[4:]))
	if headerSize < chunkHeaderSize || size < headerSize {
		return chunk{}, nil, fmt.Errorf("damaged: a chunk of %d bytes with a header of %d", size, headerSize)
	}
	if size > int64(len(b)) {
		return chunk{}, nil, fmt.Errorf("truncated: a chunk of %d bytes where %d are left", size, len(b))
	}
	c = chunk{kind: binary.LittleEndian.Uint16(b), header: b[:headerSize], body: b[headerSize:size]}
	return c, b[size:], nil
}

// decoder walks the elements of a binary XML document.
type decoder struct {
	rest  []byte // the chunks not read yet
	pool  stringPool
	ids   []byte // resource ids of the first strings of the pool, 4 bytes each
	depth int    // elements open now
}

// event is what decoder.next found.
type event int

const (
	elementStart event = iota
	elementEnd
	documentEnd
)

// element is a start tag.
type element struct {
	name       string // empty if the document gives none that can be read
	attributes []byte // whole records of stride bytes
	stride     int
}

func newDecoder(data []byte) (*decoder, error) {
	if text := bytes.TrimLeft(data, "\xef\xbb\xbf \t\r\n"); len(text) > 0 && text[0] == '<' {
		return nil, errors.New("is text, not binary XML: build the APK with the Android tools")
	}
	if len(data) >= 2 && binary.LittleEndian.Uint16(data) != chunkXML {
		return nil, fmt.Errorf("is not binary XML (starts with %q)", data[:min(4, len(data))])
	}
	document, _, err := cutChunk(data)
	if err != nil {
		return nil, err
	}
	return &decoder{rest: document.body}, nil
}

// next goes to the next start or end of an element. The element is set for a start.
func (d *decoder) next() (event, element, error) {
	for len(d.rest) > 0 {
		c, rest, err := cutChunk(d.rest)
		if err != nil {
			return 0, element{}, err
		}
		d.rest = rest
		switch c.kind {
		case chunkStringPool:
			if d.pool, err = newStringPool(c); err != nil {
				return 0, element{}, err
			}
		case chunkResourceMap:
			d.ids = c.body
		case chunkStartElement:
			if d.depth == maxDepth {
				return 0, element{}, fmt.Errorf("more than %d elements inside one another", maxDepth)
			}
			d.depth++
			el, err := d.element(c)
			return elementStart, el, err
		case chunkEndElement:
			if d.depth == 0 {
				return 0, element{}, errors.New("damaged: an element ends that did not start")
			}
			d.depth--
			return elementEnd, element{}, nil
		}
	}
	if d.depth > 0 {
		return 0, element{}, fmt.Errorf("truncated: %d elements do not end", d.depth)
	}
	return documentEnd, element{}, nil
}

// element reads a start tag.
func (d *decoder) element(c chunk) (element, error) {
	if len(c.header) < nodeHeaderSize || len(c.body) < elementSize {
		return element{}, errors.New("truncated: an element's start is too short")
	}
	start := int(binary.LittleEndian.Uint16(c.body[8:]))
	stride := int(binary.LittleEndian.Uint16(c.body[10:]))
	count := int(binary.LittleEndian.Uint16(c.body[12:]))
	if count == 0 {
		start = len(c.body)
	} else if start < elementSize || stride < attributeSize || start+count*stride > len(c.body) {
		return element{}, fmt.Errorf("damaged: %d attributes of %d bytes do not fit their element", count, stride)
	}
	name, _ := d.pool.at(binary.LittleEndian.Uint32(c.body[4:])) // no name: an element we do not look for
	return element{name: name, attributes: c.body[start:][:count*stride], stride: stride}, nil
}

// attribute finds the attribute of the android namespace with a resource id, as
// Android does. If there is none it looks for an attribute without an id by its name,
// which must be in the android namespace, or in none if id is 0.
func (d *decoder) attribute(el element, id uint32, name string) (value, bool) {
	if id != 0 {
		for a := el.attributes; len(a) > 0; a = a[el.stride:] {
			if d.resourceID(binary.LittleEndian.Uint32(a[4:])) == id {
				return newValue(d, a), true
			}
		}
	}
	for a := el.attributes; len(a) > 0; a = a[el.stride:] {
		space, index := binary.LittleEndian.Uint32(a), binary.LittleEndian.Uint32(a[4:])
		if d.resourceID(index) != 0 || !d.pool.is(index, name) {
			continue
		}
		if id == 0 && space == noString || id != 0 && d.pool.is(space, androidNamespace) {
			return newValue(d, a), true
		}
	}
	return value{}, false
}

// resourceID returns the resource id that stands for a string, or 0.
func (d *decoder) resourceID(index uint32) uint32 {
	if int64(index) >= int64(len(d.ids)/4) {
		return 0
	}
	return binary.LittleEndian.Uint32(d.ids[index*4:])
}
