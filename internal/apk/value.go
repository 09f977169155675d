package apk

import (
	"encoding/binary"
	"strconv"
)

// The types of an attribute's value. References to resources are among the others.
const (
	typeString  = 0x03
	typeDecimal = 0x10
	typeHex     = 0x11
	typeBool    = 0x12
)

// value is the typed value of an attribute.
type value struct {
	kind byte
	data uint32
	pool *stringPool
}

// newValue reads the value of the attribute record a, of at least attributeSize bytes.
func newValue(d *decoder, a []byte) value {
	return value{kind: a[15], data: binary.LittleEndian.Uint32(a[16:]), pool: &d.pool}
}

// text returns a string, or a number as one. Anything else, such as a reference to a
// resource, is "". A string that is damaged or too long is an error.
func (v value) text() (string, error) {
	switch v.kind {
	case typeString:
		return v.pool.at(v.data)
	case typeDecimal, typeHex:
		return strconv.FormatInt(int64(int32(v.data)), 10), nil
	}
	return "", nil
}

// number returns an integer of 32 bits, also if it is written as a string, or 0.
func (v value) number() uint32 {
	switch v.kind {
	case typeDecimal, typeHex:
		return v.data
	case typeString:
		s, err := v.pool.at(v.data)
		if err != nil {
			return 0
		}
		n, err := strconv.ParseUint(s, 0, 32)
		if err != nil {
			return 0
		}
		return uint32(n)
	}
	return 0
}

// boolean returns a truth value; ok is false if only a resource could tell.
func (v value) boolean() (b, ok bool) {
	switch v.kind {
	case typeBool, typeDecimal, typeHex:
		return v.data != 0, true
	case typeString:
		s, err := v.pool.at(v.data)
		return s == "true" || s == "TRUE" || s == "1", err == nil
	}
	return false, false
}
