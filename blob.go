package ams

import (
	"context"
	"io"
	"time"
)

// BlobStore keeps packages, images on their way in, and logs: byte strings named
// by the SHA-256 of their content. A Store that also has a method
// Blobs() BlobStore brings its own, and Config.Blobs may stay nil.
type BlobStore interface {
	// Write streams r into the store. The blob exists only once Write has
	// returned nil; a failed or abandoned Write leaves nothing behind. Writing
	// content that is there already is not an error and renews its age.
	// Errors: ErrNoSpace, and r's own error as it is.
	Write(ctx context.Context, r io.Reader) (BlobInfo, error)
	// Open returns the blob's content, or ErrNotFound. The caller closes it.
	Open(ctx context.Context, digest string) (Blob, error)
	// Delete removes the blob. Deleting what is not there is not an error.
	Delete(ctx context.Context, digest string) error
	// List calls fn for each blob, in no order, until fn returns an error.
	List(ctx context.Context, fn func(BlobInfo) error) error
}

// BlobInfo describes a blob.
type BlobInfo struct {
	Digest  string    // SHA-256 of the content, 64 lower-case hexadecimal digits
	Size    int64     // bytes
	Written time.Time // when it was last written; the sweep leaves young blobs alone
}

// Blob is the content of a blob, readable from any place in it.
type Blob interface {
	io.Reader
	io.ReaderAt
	io.Closer
	Size() int64
}
