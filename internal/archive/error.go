package archive

import (
	"archive/tar"
	"archive/zip"
	"compress/bzip2"
	"compress/flate"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Kind says what is wrong with an archive.
type Kind int

// The kinds of errors.
const (
	Malformed Kind = iota + 1 // damaged, cut off, or of another format
	Refused                   // well made, but holds what is not allowed
	TooLarge                  // over one of the Limits
)

// Error is a fault of an archive.
type Error struct {
	Kind   Kind
	Name   string // the member at fault, as the archive names it; empty for the archive
	Reason string // what is wrong, without the name
}

// Error returns "app.apk: checksum mismatch", or "the package is empty" if
// the error is about the archive as a whole.
func (e *Error) Error() string {
	if e.Name == "" {
		return "the package " + e.Reason
	}
	return show(e.Name) + ": " + e.Reason
}

// show returns a member's name for a message: cut, and quoted unless it is plain.
func show(name string) string {
	const limit = 64
	shown := name
	if len(shown) > limit {
		shown = strings.ToValidUTF8(shown[:limit], "") + "…"
	}
	for _, r := range name {
		if r <= ' ' || r > '~' || r == '"' || r == '\\' {
			return fmt.Sprintf("%q", shown)
		}
	}
	return shown
}

func malformed(name, format string, args ...any) error {
	return &Error{Kind: Malformed, Name: name, Reason: fmt.Sprintf(format, args...)}
}

func refused(name, format string, args ...any) error {
	return &Error{Kind: Refused, Name: name, Reason: fmt.Sprintf(format, args...)}
}

func tooLarge(name, format string, args ...any) error {
	return &Error{Kind: TooLarge, Name: name, Reason: fmt.Sprintf(format, args...)}
}

// classify turns an error of a decoder into an *Error. Errors of the reader below
// and of the context are passed on.
func classify(name string, err error) error {
	var (
		known      *Error
		below      *sourceError
		structural bzip2.StructuralError
		corrupt    flate.CorruptInputError
	)
	switch {
	case err == nil, errors.As(err, &known), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.As(err, &below):
		return fmt.Errorf("read the package: %w", below.err)
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return malformed(name, "is truncated")
	case errors.Is(err, zip.ErrChecksum):
		return malformed(name, "checksum mismatch")
	case errors.As(err, &structural):
		return malformed(name, "is damaged: %s", strings.TrimPrefix(structural.Error(), "bzip2 data invalid: "))
	case errors.As(err, &corrupt):
		return malformed(name, "is damaged: its compressed data is invalid")
	case errors.Is(err, zip.ErrFormat):
		return malformed(name, "is damaged: invalid zip structure")
	case errors.Is(err, tar.ErrHeader):
		return malformed(name, "is damaged: invalid tar header")
	}
	return malformed(name, "is damaged: %v", err)
}

// formatBytes prints a limit: 10GB, 300kB, 1000 bytes.
func formatBytes(n int64) string {
	for i, unit := range []string{"TB", "GB", "MB", "kB"} {
		if size := int64(1) << (40 - 10*i); n >= size && n%size == 0 {
			return fmt.Sprintf("%d%s", n/size, unit)
		}
	}
	return fmt.Sprintf("%d bytes", n)
}
