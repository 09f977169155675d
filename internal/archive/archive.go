// Package archive reads packages from strangers: zip files, tar archives and
// bzip2-compressed tar archives. It streams, bounds everything, and refuses
// whatever could harm the one who unpacks: links, devices, names that lead
// elsewhere, and archives that are small but unpack to a lot.
package archive

import (
	"archive/zip"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"
)

// Limits bounds what an archive may hold. A zero field means its default.
type Limits struct {
	Entries int   // members, with directories that only appear in names; default 100,000
	Bytes   int64 // sum of the sizes of all files; default 10 GiB
	Ratio   int64 // unpacked to packed size, above 1 MiB unpacked; default 200
}

// The bounds that no caller changes.
const (
	maxComponent   = 255
	maxName        = 4096
	maxDepth       = 64
	maxNames       = 32 << 20 // bytes of all names together
	ratioThreshold = 1 << 20
)

func (l Limits) withDefaults() Limits {
	l.Entries = cmp.Or(l.Entries, 100_000)
	l.Bytes = cmp.Or(l.Bytes, 10<<30)
	l.Ratio = cmp.Or(l.Ratio, 200)
	return l
}

// Format is the kind of an archive.
type Format string

// The formats.
const (
	Zip      Format = "zip"
	Tar      Format = "tar"
	TarBzip2 Format = "tar.bz2"
)

// Entry is one member of an archive.
type Entry struct {
	Name string      // relative, clean, with slashes, never "."
	Mode fs.FileMode // permission bits only, without those of setuid, of sticky and of writing by others
	Size int64       // of a file, exact; 0 for a directory
	Dir  bool
}

// Archive is an opened archive. It may be walked any number of times, also at the
// same time. It holds no resources but the reader that it was opened with.
type Archive struct {
	r      io.ReaderAt
	size   int64
	limits Limits
	format Format
	files  []zipFile // of a zip, in the order of its directory
}

// Open looks at an archive of the given size and tells its format by its first
// bytes. The directory of a zip is checked here as a whole; a tar archive, which
// has none, only when it is walked. Errors about the archive are *Error; others
// come from r and are passed on.
func Open(r io.ReaderAt, size int64, lim Limits) (*Archive, error) {
	a := &Archive{r: source{r}, size: size, limits: lim.withDefaults()}
	head := make([]byte, min(size, 512))
	if _, err := a.r.ReadAt(head, 0); err != nil && !(errors.Is(err, io.EOF)) {
		return nil, classify("", err)
	}
	switch format, known := detect(head); {
	case size == 0:
		return nil, malformed("", "is empty")
	case !known:
		return nil, malformed("", "is neither a zip nor a tar archive (starts with %s)", magic(head))
	default:
		a.format = format
	}
	if a.format == Zip {
		if err := a.openZip(); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// Format returns the archive's format.
func (a *Archive) Format() Format { return a.format }

// Walk calls fn for each member in the order of the archive, with a reader of its
// content, valid until fn returns. What fn does not read is skipped; in a zip it
// is then not verified. fn may return fs.SkipAll to end the walk without an error;
// any other error ends it and is returned as it is.
//
// A file read to its end had exactly Entry.Size bytes and, in a zip, the right
// checksum; otherwise the reader fails, and so does Walk even if fn hides it.
// Walk without error means that the whole archive was good. Errors about the
// archive are *Error; an ended context is its own error.
func (a *Archive) Walk(ctx context.Context, fn func(Entry, io.Reader) error) error {
	walk := a.walkTar
	if a.format == Zip {
		walk = a.walkZip
	}
	err := walk(ctx, fn)
	if errors.Is(err, fs.SkipAll) {
		return nil
	}
	return err
}

// detect tells the format by the first 512 bytes.
func detect(head []byte) (Format, bool) {
	text := string(head)
	switch {
	case strings.HasPrefix(text, "PK\x03\x04"), strings.HasPrefix(text, "PK\x05\x06"):
		return Zip, true
	case len(head) > 4 && strings.HasPrefix(text, "BZh") && '1' <= head[3] && head[3] <= '9':
		return TarBzip2, true
	case len(head) == 512 && tarChecksum(head):
		return Tar, true
	}
	return "", false
}

// tarChecksum reports whether a block is a tar header: its bytes, those of the
// checksum itself counted as spaces, must sum up to the checksum.
func tarChecksum(block []byte) bool {
	stored, err := strconv.ParseInt(strings.Trim(string(block[148:156]), " \x00"), 8, 64)
	sum := int64(8 * ' ')
	for i, b := range block {
		if i < 148 || i >= 156 {
			sum += int64(b)
		}
	}
	return err == nil && stored == sum
}

// magic shows how a file starts: its printable characters, or else four bytes in hex.
func magic(head []byte) string {
	end := 0
	for end < min(len(head), 8) && ' ' <= head[end] && head[end] <= '~' {
		end++
	}
	if end > 0 {
		return strconv.Quote(string(head[:end]))
	}
	return fmt.Sprintf("0x%x", head[:min(len(head), 4)])
}

// source marks the errors of the reader below, so that they are told from faults
// of the archive.
type source struct{ io.ReaderAt }

func (s source) ReadAt(p []byte, off int64) (int, error) {
	n, err := s.ReaderAt.ReadAt(p, off)
	if err != nil && err != io.EOF {
		err = &sourceError{err}
	}
	return n, err
}

type sourceError struct{ err error }

func (e *sourceError) Error() string { return e.err.Error() }
func (e *sourceError) Unwrap() error { return e.err }

// zipFile is a member of a zip that was found good.
type zipFile struct {
	Entry
	file   *zip.File
	stored io.ReaderAt // its content, if it is not compressed
}
