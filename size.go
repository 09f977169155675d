package ams

import (
	"math"
	"strconv"
	"strings"
)

// Size is an amount of memory or disk in bytes.
//
// Its text form is that of AMS: a whole number and one of the units B, kB, MB,
// GB and TB, which are powers of 1024: 3GB is 3·1024³ = 3221225472 bytes. LXD
// reads the same text differently, its GB being 1000³, so a backend hands LXD
// plain bytes and never this text. In JSON and YAML a Size is its text.
type Size int64

// The units of Size.
const (
	Byte     Size = 1
	Kilobyte      = 1024 * Byte
	Megabyte      = 1024 * Kilobyte
	Gigabyte      = 1024 * Megabyte
	Terabyte      = 1024 * Gigabyte
)

// unitOf returns how many bytes the named unit has, or 0 if there is no such unit.
func unitOf(name string) Size {
	switch name {
	case "B":
		return Byte
	case "kB":
		return Kilobyte
	case "MB":
		return Megabyte
	case "GB":
		return Gigabyte
	case "TB":
		return Terabyte
	}
	return 0
}

// ParseSize reads a size such as "3GB": decimal digits directly followed by one
// of the units B, kB, MB, GB and TB. Signs, fractions, spaces and a missing unit
// are refused, and so is a size of 2⁶³ bytes or more. The error is ErrInvalid.
func ParseSize(s string) (Size, error) {
	size, fault := parseSize(s)
	if fault != "" {
		return 0, Errorf(ErrInvalid, "size %s %s", quote(s), fault)
	}
	return size, nil
}

// parseSize returns the size that s is, or what is wrong with s.
func parseSize(s string) (size Size, fault string) {
	digits := strings.TrimRight(s, "BkMGT")
	unit := unitOf(s[len(digits):])
	if unit == 0 || digits == "" || strings.Trim(digits, "0123456789") != "" {
		return 0, "is invalid: use a whole number with B, kB, MB, GB or TB, e.g. 3GB"
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n > math.MaxInt64/int64(unit) {
		return 0, "is out of range"
	}
	return Size(n) * unit, ""
}

// String returns the size in the largest unit that expresses it exactly, so that
// ParseSize gives the same size back: "3GB", "1536MB", "1000B". A negative size,
// which ParseSize never returns, prints with its sign.
func (s Size) String() string {
	unit, name := Byte, "B"
	for _, larger := range []string{"kB", "MB", "GB", "TB"} {
		if s == 0 || s%unitOf(larger) != 0 {
			break
		}
		unit, name = unitOf(larger), larger
	}
	return strconv.FormatInt(int64(s/unit), 10) + name
}

// MarshalText returns String. A negative size is ErrInvalid.
func (s Size) MarshalText() ([]byte, error) {
	if s < 0 {
		return nil, Errorf(ErrInvalid, "size %d is negative", int64(s))
	}
	return []byte(s.String()), nil
}

// UnmarshalText sets the size as ParseSize reads it.
func (s *Size) UnmarshalText(text []byte) error {
	size, err := ParseSize(string(text))
	if err != nil {
		return err
	}
	*s = size
	return nil
}
