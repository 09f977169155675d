package archive

import (
	"archive/zip"
	"cmp"
	"context"
	"io"
	"slices"
	"strings"
)

// The bits of a zip member's flags that say that it is encrypted.
const zipEncrypted = 1<<0 | 1<<6 | 1<<13

// localHeaderSize is the least size of what precedes a member's data.
const localHeaderSize = 30

// openZip reads and checks the directory of a zip.
func (a *Archive) openZip() error {
	end, err := scanZipDirectory(a.r, a.size, a.limits)
	if err != nil {
		return err
	}
	r, err := zip.NewReader(a.r, a.size)
	if err != nil {
		return classify("", err)
	}
	if len(r.File) == 0 {
		return malformed("", "is empty")
	}
	var (
		names = newNames(a.limits)
		total int64
		spans []span
	)
	for _, f := range r.File {
		e, err := a.zipEntry(f, names)
		if err != nil {
			return err
		}
		if total += e.Size; e.Size > a.limits.Bytes || total > a.limits.Bytes {
			return tooLarge("", "is larger than %s", formatBytes(a.limits.Bytes))
		}
		offset, err := f.DataOffset()
		if err != nil {
			return classify(f.Name, err)
		}
		spans = append(spans, span{f.Name, offset - localHeaderSize, offset + int64(f.CompressedSize64)})
		if e.Name == "" {
			continue
		}
		z := zipFile{Entry: e, file: f}
		if f.Method == zip.Store {
			z.stored = io.NewSectionReader(a.r, offset, e.Size)
		}
		a.files = append(a.files, z)
	}
	return checkSpans(spans, end)
}

// zipEntry checks what the directory says of one member.
func (a *Archive) zipEntry(f *zip.File, names *names) (Entry, error) {
	mode := f.Mode()
	name, err := names.add(f.Name, mode.IsDir())
	if err != nil {
		return Entry{}, err
	}
	if err := checkType(f.Name, mode); err != nil {
		return Entry{}, err
	}
	e := Entry{Name: name, Mode: permissions(mode, mode.IsDir()), Dir: mode.IsDir()}
	size, packed := f.UncompressedSize64, f.CompressedSize64
	switch {
	case f.Flags&zipEncrypted != 0:
		return e, refused(f.Name, "is encrypted; packages with a password are not supported")
	case f.Method != zip.Store && f.Method != zip.Deflate:
		return e, refused(f.Name, "uses compression method %d, which is not supported", f.Method)
	case packed > uint64(a.size):
		return e, malformed(f.Name, "is truncated")
	case f.Method == zip.Store && size != packed:
		return e, malformed(f.Name, "is stored with two different sizes")
	case size > uint64(a.limits.Bytes):
		return e, tooLarge("", "is larger than %s", formatBytes(a.limits.Bytes))
	case size > ratioThreshold && size > uint64(a.limits.Ratio)*packed:
		return e, tooLarge(f.Name, "unpacks to more than %d times its size", a.limits.Ratio)
	case e.Dir && size > 0:
		return e, malformed(f.Name, "is a directory with content")
	}
	e.Size = int64(size)
	return e, nil
}

// span is where a member's header and data lie in the file.
type span struct {
	name       string
	start, end int64
}

// checkSpans refuses members that share bytes with another or with the directory:
// that is how a small zip unpacks to a great deal.
func checkSpans(spans []span, directory int64) error {
	slices.SortFunc(spans, func(a, b span) int { return cmp.Compare(a.start, b.start) })
	for i, s := range spans {
		if s.end > directory || i+1 < len(spans) && s.end > spans[i+1].start {
			return malformed(s.name, "overlaps another part of the zip")
		}
	}
	return nil
}

func (a *Archive) walkZip(ctx context.Context, fn func(Entry, io.Reader) error) error {
	for _, f := range a.files {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := f.visit(ctx, fn); err != nil {
			return err
		}
	}
	return nil
}

func (f zipFile) visit(ctx context.Context, fn func(Entry, io.Reader) error) error {
	if f.Dir {
		return fn(f.Entry, strings.NewReader(""))
	}
	content, err := f.file.Open()
	if err != nil {
		return classify(f.file.Name, err)
	}
	defer content.Close()
	r := &contentReader{ctx: ctx, r: content, name: f.file.Name, left: f.Size}
	var shown io.Reader = r
	if f.stored != nil {
		shown = storedReader{r, f.stored}
	}
	if err := fn(f.Entry, shown); err != nil {
		return err
	}
	return r.err
}

// storedReader reads a file that is not compressed, from its start to its end or at
// any place; only the former verifies it.
type storedReader struct {
	*contentReader
	io.ReaderAt
}

// contentReader reads a file of exactly the stated size and keeps the first error.
type contentReader struct {
	ctx  context.Context
	r    io.Reader
	name string
	left int64
	err  error // never io.EOF
}

func (c *contentReader) Read(p []byte) (int, error) {
	if c.err == nil {
		c.err = c.ctx.Err()
	}
	if c.err != nil {
		return 0, c.err
	}
	n, err := c.r.Read(p)
	c.left -= int64(n)
	switch {
	case c.left < 0:
		c.err = malformed(c.name, "holds more than its stated size")
		return 0, c.err
	case err == io.EOF && c.left == 0:
		return n, io.EOF
	}
	c.err = classify(c.name, err)
	return n, c.err
}
