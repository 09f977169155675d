package apk

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

const (
	poolHeaderSize = 28 // chunk header, string and style counts, flags, two starts
	poolUTF8       = 1 << 8

	maxString = 1024 // bytes of a string that is looked at, in UTF-8
)

var (
	errCutString  = errors.New("damaged: a string does not end within the pool")
	errLongString = fmt.Errorf("a string is longer than %d bytes", maxString)
)

// stringPool holds the strings of a document. They are decoded when asked for: a few
// bytes of offsets can point at the same long string many times.
type stringPool struct {
	offsets []byte // where each string starts in data, 4 bytes each
	data    []byte
	utf8    bool
}

func newStringPool(c chunk) (stringPool, error) {
	if len(c.header) < poolHeaderSize {
		return stringPool{}, fmt.Errorf("damaged: the string pool's header has %d bytes", len(c.header))
	}
	count := int64(binary.LittleEndian.Uint32(c.header[8:]))
	flags := binary.LittleEndian.Uint32(c.header[16:])
	start := int64(binary.LittleEndian.Uint32(c.header[20:])) - int64(len(c.header)) // from the body
	if count == 0 {
		return stringPool{}, nil
	}
	if count*4 > int64(len(c.body)) {
		return stringPool{}, fmt.Errorf("damaged: a string pool of %d bytes cannot have %d strings", len(c.body), count)
	}
	if start < count*4 || start > int64(len(c.body)) {
		return stringPool{}, errors.New("damaged: the strings are outside of their pool")
	}
	return stringPool{offsets: c.body[:count*4], data: c.body[start:], utf8: flags&poolUTF8 != 0}, nil
}

// at returns string i as valid UTF-8. It is an error if the string is not there,
// leaves the pool or is longer than maxString.
func (p *stringPool) at(i uint32) (string, error) {
	b, err := p.raw(i)
	if err != nil {
		return "", err
	}
	if len(b) > 2*maxString || p.utf8 && len(b) > maxString {
		return "", errLongString
	}
	if p.utf8 {
		return strings.ToValidUTF8(string(b), "\uFFFD"), nil
	}
	text := decodeUTF16(b)
	if len(text) > maxString {
		return "", errLongString
	}
	return text, nil
}

// is tells whether string i is want, which must be ASCII. It allocates nothing.
func (p *stringPool) is(i uint32, want string) bool {
	b, err := p.raw(i)
	if err != nil {
		return false
	}
	if p.utf8 {
		return string(b) == want
	}
	if len(b) != 2*len(want) {
		return false
	}
	for j := range len(want) {
		if binary.LittleEndian.Uint16(b[2*j:]) != uint16(want[j]) {
			return false
		}
	}
	return true
}

// raw returns the bytes of string i in the pool's encoding.
func (p *stringPool) raw(i uint32) ([]byte, error) {
	if int64(i) >= int64(len(p.offsets)/4) {
		return nil, fmt.Errorf("damaged: string %d of %d", i, len(p.offsets)/4)
	}
	offset := binary.LittleEndian.Uint32(p.offsets[i*4:])
	if int64(offset) >= int64(len(p.data)) {
		return nil, fmt.Errorf("damaged: string %d is outside of the pool", i)
	}
	b := p.data[offset:]
	if p.utf8 {
		return cutUTF8(b)
	}
	return cutUTF16(b)
}

// cutUTF8 returns the string at the start of b. Two lengths are before it, in UTF-16
// units and in bytes; each takes one byte, or two if the first has its high bit set.
func cutUTF8(b []byte) ([]byte, error) {
	length := 0
	for range 2 {
		if len(b) == 0 || b[0]&0x80 != 0 && len(b) == 1 {
			return nil, errCutString
		}
		length, b = int(b[0]), b[1:]
		if length&0x80 != 0 {
			length, b = length&0x7F<<8|int(b[0]), b[1:]
		}
	}
	if length > len(b) {
		return nil, errCutString
	}
	return b[:length], nil
}

// cutUTF16 returns the string at the start of b. Its length in units is before it, in
// one unit, or two if the first has its high bit set.
func cutUTF16(b []byte) ([]byte, error) {
	if len(b) < 2 {
		return nil, errCutString
	}
	length, b := int64(binary.LittleEndian.Uint16(b)), b[2:]
	if length&0x8000 != 0 {
		if len(b) < 2 {
			return nil, errCutString
		}
		length, b = length&0x7FFF<<16|int64(binary.LittleEndian.Uint16(b)), b[2:]
	}
	if 2*length > int64(len(b)) {
		return nil, errCutString
	}
	return b[:2*length], nil
}

// decodeUTF16 returns b, of an even length, in UTF-8.
func decodeUTF16(b []byte) string {
	text := make([]byte, 0, len(b)/2)
	for len(b) > 0 {
		r := rune(binary.LittleEndian.Uint16(b))
		b = b[2:]
		if utf16.IsSurrogate(r) && len(b) > 0 {
			if pair := utf16.DecodeRune(r, rune(binary.LittleEndian.Uint16(b))); pair != utf8.RuneError {
				r, b = pair, b[2:]
			}
		}
		text = utf8.AppendRune(text, r) // half a pair becomes U+FFFD
	}
	return string(text)
}
