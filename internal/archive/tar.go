package archive

import (
	"archive/tar"
	"bufio"
	"compress/bzip2"
	"context"
	"errors"
	"io"
	"strings"
)

// blockSize is the unit of a tar archive; one block of zeros ends it.
const blockSize = 512

// headerAllowance is what a member of a tar archive may take beside its content.
const headerAllowance = 8 << 10

func (a *Archive) walkTar(ctx context.Context, fn func(Entry, io.Reader) error) error {
	stream := a.tarStream(ctx)
	archive := tar.NewReader(stream)
	names := newNames(a.limits)
	var total int64
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return classify("", err)
		}
		if header.Typeflag == tar.TypeXGlobalHeader {
			continue // only comments; archive/tar does not apply it
		}
		e, err := tarEntry(header, names)
		if err != nil {
			return err
		}
		if e.Size > a.limits.Bytes-total {
			return tooLarge("", "is larger than %s", formatBytes(a.limits.Bytes))
		}
		total += e.Size
		if e.Name == "" {
			continue
		}
		content := &contentReader{ctx: ctx, r: archive, name: e.Name, left: e.Size}
		if err := fn(e, content); err != nil {
			return err
		}
		if content.err != nil {
			return content.err
		}
	}
	if _, err := io.Copy(io.Discard, stream); err != nil {
		return classify("", err)
	}
	switch {
	case stream.zeros < blockSize:
		return malformed("", "is truncated")
	case len(names.seen) == 0:
		return malformed("", "is empty")
	}
	return nil
}

// tarEntry checks what the header of one member says.
func tarEntry(h *tar.Header, names *names) (Entry, error) {
	dir := h.Typeflag == tar.TypeDir
	name, err := names.add(h.Name, dir)
	if err != nil {
		return Entry{}, err
	}
	switch h.Typeflag {
	case tar.TypeReg, tar.TypeDir:
	case tar.TypeLink:
		return Entry{}, refused(h.Name, "is a hard link")
	case tar.TypeGNUSparse:
		return Entry{}, refused(h.Name, "is a sparse file")
	default:
		if err := checkType(h.Name, h.FileInfo().Mode()); err != nil {
			return Entry{}, err
		}
		return Entry{}, refused(h.Name, "is of an unknown type")
	}
	for record := range h.PAXRecords {
		if strings.HasPrefix(record, "GNU.sparse.") {
			return Entry{}, refused(h.Name, "is a sparse file")
		}
	}
	e := Entry{Name: name, Mode: permissions(h.FileInfo().Mode(), dir), Dir: dir}
	if !dir {
		e.Size = h.Size
	}
	return e, nil
}

// tarStream returns the tar archive, unpacked if need be.
func (a *Archive) tarStream(ctx context.Context) *tarStream {
	packed := &counter{ctx: ctx, r: io.NewSectionReader(a.r, 0, a.size)}
	s := &tarStream{r: packed, packed: packed, limits: a.limits}
	if a.format == TarBzip2 {
		s.r, s.compressed = bzip2.NewReader(bufio.NewReaderSize(packed, 64<<10)), true
	}
	return s
}

// counter counts what is read and stops when the context ends.
type counter struct {
	ctx context.Context
	r   io.Reader
	n   int64
}

func (c *counter) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// tarStream bounds a tar archive by the bytes that really come, and counts the
// zeros at its end.
type tarStream struct {
	r          io.Reader
	packed     *counter
	compressed bool
	limits     Limits
	n          int64
	zeros      int64
}

func (s *tarStream) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	s.n += int64(n)
	tail := int64(n)
	for tail > 0 && p[tail-1] == 0 {
		tail--
	}
	if tail > 0 {
		s.zeros = 0
	}
	s.zeros += int64(n) - tail
	switch {
	case s.n-s.limits.Bytes > int64(s.limits.Entries)*headerAllowance:
		return n, tooLarge("", "is larger than %s", formatBytes(s.limits.Bytes))
	case s.compressed && s.n > ratioThreshold && s.n/s.limits.Ratio > s.packed.n:
		return n, tooLarge("", "unpacks to more than %d times its size", s.limits.Ratio)
	}
	return n, err
}
