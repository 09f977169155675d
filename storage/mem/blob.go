package mem

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/openams/ams"
)

// blobs is an ams.BlobStore in memory.
type blobs struct {
	mu      sync.Mutex
	content map[string]content // by digest
}

type content struct {
	data    []byte // never changed
	written time.Time
}

var _ ams.BlobStore = (*blobs)(nil)

func newBlobs() *blobs { return &blobs{content: make(map[string]content)} }

// Write implements ams.BlobStore.
func (b *blobs) Write(ctx context.Context, r io.Reader) (ams.BlobInfo, error) {
	data, err := io.ReadAll(reader{ctx, r})
	if err != nil {
		return ams.BlobInfo{}, err
	}
	sum := sha256.Sum256(data)
	info := ams.BlobInfo{
		Digest:  hex.EncodeToString(sum[:]),
		Size:    int64(len(data)),
		Written: time.Now().UTC().Truncate(time.Millisecond),
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.content[info.Digest] = content{data, info.Written}
	return info, nil
}

// Open implements ams.BlobStore.
func (b *blobs) Open(ctx context.Context, digest string) (ams.Blob, error) {
	if err := check(ctx, digest); err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	c, ok := b.content[digest]
	if !ok {
		return nil, &ams.Error{Code: ams.ErrNotFound, Kind: "blob", ID: digest}
	}
	return blob{bytes.NewReader(c.data)}, nil
}

// Delete implements ams.BlobStore.
func (b *blobs) Delete(ctx context.Context, digest string) error {
	if err := check(ctx, digest); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.content, digest)
	return nil
}

// List implements ams.BlobStore.
func (b *blobs) List(ctx context.Context, fn func(ams.BlobInfo) error) error {
	b.mu.Lock()
	infos := make([]ams.BlobInfo, 0, len(b.content))
	for digest, c := range b.content {
		infos = append(infos, ams.BlobInfo{Digest: digest, Size: int64(len(c.data)), Written: c.written})
	}
	b.mu.Unlock()
	for _, info := range infos {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := fn(info); err != nil {
			return err
		}
	}
	return nil
}

// check returns why there can be no blob of this digest.
func check(ctx context.Context, digest string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if raw, err := hex.DecodeString(digest); err != nil || hex.EncodeToString(raw) != digest || len(raw) != sha256.Size {
		return &ams.Error{Code: ams.ErrInvalid, Kind: "blob", ID: digest,
			Err: errors.New("digest must be 64 lower-case hexadecimal digits")}
	}
	return nil
}

// reader is a reader that ends with its context.
type reader struct {
	ctx context.Context
	r   io.Reader
}

func (r reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}

// blob is the content of a blob.
type blob struct{ *bytes.Reader }

func (blob) Close() error { return nil }
