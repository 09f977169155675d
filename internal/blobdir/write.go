package blobdir

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/openams/ams"
)

// maxEmptyReads is how often in a row a reader may return nothing at all.
const maxEmptyReads = 100

// Write implements ams.BlobStore. It looks at ctx between reads: to end a Write
// whose reader hangs, let the reader fail.
func (d *Dir) Write(ctx context.Context, r io.Reader) (info ams.BlobInfo, err error) {
	f, err := os.CreateTemp(filepath.Join(d.path, tmpName), "")
	if err != nil {
		return info, classify("write blob", err)
	}
	placed := false
	defer func() {
		f.Close() // before its end f is thrown away; after it, closed already
		if !placed {
			os.Remove(f.Name()) // else the next Open does
		}
	}()
	sum := sha256.New()
	size, err := d.copy(ctx, f, sum, r)
	if err != nil {
		return info, err
	}
	// The age is set by our clock, not by that of the file system, because it is
	// our clock that it is compared with.
	now := time.Now().UTC().Truncate(time.Millisecond)
	digest := hex.EncodeToString(sum.Sum(nil))
	err = os.Chtimes(f.Name(), now, now)
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = f.Close()
	}
	if err == nil {
		placed, err = d.place(f.Name(), digest)
	}
	if err != nil {
		return info, classify("write blob", err)
	}
	return ams.BlobInfo{Digest: digest, Size: size, Written: now}, nil
}

// place gives a finished file its name. A file of that name has the same content
// and is replaced, so that the blob is as young as the new one.
func (d *Dir) place(tmp, digest string) (placed bool, err error) {
	dir := filepath.Join(d.path, digest[:2])
	switch err := os.Mkdir(dir, 0o700); {
	case err == nil:
		if err := syncDir(d.path); err != nil {
			return false, err
		}
	case !errors.Is(err, os.ErrExist):
		return false, err
	}
	if err := os.Rename(tmp, filepath.Join(dir, digest)); err != nil {
		return false, err
	}
	return true, syncDir(dir)
}

// copy writes all of r to f and to the hash.
func (d *Dir) copy(ctx context.Context, f *os.File, sum hash.Hash, r io.Reader) (size int64, err error) {
	h := d.newHasher(sum)
	defer h.end()
	for {
		buffer := h.buffer()
		n, err := fill(ctx, r, buffer)
		if err != nil && err != io.EOF { //nolint:errorlint // a reader ends with io.EOF itself
			return 0, err
		}
		h.hash(buffer[:n])
		if _, err := f.Write(buffer[:n]); err != nil {
			return 0, classify("write blob", err)
		}
		size += int64(n)
		if err != nil {
			return size, nil
		}
	}
}

// fill reads from r until the buffer is full. The error is that of r, also when it
// has ended.
func fill(ctx context.Context, r io.Reader, buffer []byte) (n int, err error) {
	for empty := 0; n < len(buffer) && err == nil; {
		if err := ctx.Err(); err != nil {
			return n, err
		}
		if empty == maxEmptyReads {
			return n, io.ErrNoProgress
		}
		var more int
		more, err = r.Read(buffer[n:])
		if n += more; more > 0 {
			empty = 0
		} else {
			empty++
		}
	}
	return n, err
}

// syncDir makes the names in a directory durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
