// Package blobdir is an ams.BlobStore in a directory: a file for each blob, named
// by the SHA-256 of its content, in subdirectories named by the first two digits.
//
// A blob is written to a temporary file beside, made durable, and then renamed:
// it is there whole or not at all, also after a power cut.
package blobdir

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/openams/ams"
)

// tmpName is the subdirectory of the blobs that are being written.
const tmpName = "tmp"

// Dir is an ams.BlobStore in a directory. It is safe for concurrent use, and has
// nothing to close. A directory belongs to one Dir at a time.
type Dir struct {
	path    string
	buffers sync.Pool // of *[]byte
}

var _ ams.BlobStore = (*Dir)(nil)

// Open returns the store in the directory, and makes the directory if it is not
// there. What killed writers left is removed.
func Open(path string) (*Dir, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, classify("find blobs", err)
	}
	d := &Dir{path: path}
	d.buffers.New = func() any {
		b := make([]byte, bufferSize)
		return &b
	}
	tmp := filepath.Join(path, tmpName)
	err = os.RemoveAll(tmp)
	if err == nil {
		err = os.MkdirAll(tmp, 0o700)
	}
	if err == nil {
		err = syncDir(filepath.Dir(path))
	}
	if err != nil {
		return nil, classify("open blobs", err)
	}
	return d, nil
}

// Open implements ams.BlobStore. A digest that is not 64 lower-case hexadecimal
// digits is ErrInvalid.
func (d *Dir) Open(ctx context.Context, digest string) (ams.Blob, error) {
	path, err := d.file(ctx, digest)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &ams.Error{Code: ams.ErrNotFound, Kind: "blob", ID: digest}
	}
	if err != nil {
		return nil, classify("open blob", err)
	}
	info, err := f.Stat()
	if err != nil {
		return nil, classify("open blob", errors.Join(err, f.Close()))
	}
	return &blob{f, info.Size()}, nil
}

// Delete implements ams.BlobStore. Who has the blob open can still read it. A
// digest that is not 64 lower-case hexadecimal digits is ErrInvalid.
func (d *Dir) Delete(ctx context.Context, digest string) error {
	path, err := d.file(ctx, digest)
	if err != nil {
		return err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return classify("delete blob", err)
	}
	return nil
}

// List implements ams.BlobStore. A blob that is written or deleted meanwhile may
// or may not be listed. Files that are not blobs are left out.
func (d *Dir) List(ctx context.Context, fn func(ams.BlobInfo) error) error {
	return eachName(d.path, func(prefix string) error {
		if !isHex(prefix, 2) {
			return nil
		}
		dir := filepath.Join(d.path, prefix)
		return eachName(dir, func(digest string) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			if !isHex(digest, 64) || digest[:2] != prefix {
				return nil
			}
			info, err := os.Stat(filepath.Join(dir, digest))
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err != nil {
				return classify("list blobs", err)
			}
			return fn(ams.BlobInfo{Digest: digest, Size: info.Size(), Written: info.ModTime().UTC()})
		})
	})
}

// eachName calls fn for the names in a directory, some at a time.
func eachName(dir string, fn func(string) error) error {
	f, err := os.Open(dir)
	if err != nil {
		return classify("list blobs", err)
	}
	defer f.Close()
	for {
		names, err := f.Readdirnames(256)
		for _, name := range names {
			if err := fn(name); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return classify("list blobs", err)
		}
	}
}

// file returns the path of a blob's file, or why there can be none.
func (d *Dir) file(ctx context.Context, digest string) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	if !isHex(digest, 64) {
		return "", &ams.Error{Code: ams.ErrInvalid, Kind: "blob", ID: digest,
			Err: errors.New("digest must be 64 lower-case hexadecimal digits")}
	}
	return filepath.Join(d.path, digest[:2], digest), nil
}

// isHex reports whether s is n lower-case hexadecimal digits.
func isHex(s string, n int) bool {
	if len(s) != n {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// blob is the content of a blob.
type blob struct {
	file *os.File
	size int64
}

func (b *blob) Read(p []byte) (int, error)             { return b.file.Read(p) }
func (b *blob) ReadAt(p []byte, at int64) (int, error) { return b.file.ReadAt(p, at) }
func (b *blob) Close() error                           { return b.file.Close() }
func (b *blob) Size() int64                            { return b.size }

// classify gives an error of the file system its code.
func classify(what string, err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return ams.Errorf(ams.ErrNoSpace, "%s: %w", what, err)
	}
	return ams.Errorf(ams.ErrInternal, "%s: %w", what, err)
}
