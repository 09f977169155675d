package fake

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"sync/atomic"

	"github.com/openams/ams"
)

// Publish implements ams.Publisher. The image has the architecture of the one
// the instance was made from, and a fingerprint of its own, which is the SHA-256
// of the small file that OpenImage returns.
func (b *Backend) Publish(ctx context.Context, ref ams.Ref, name string) (made ams.BackendImage, err error) {
	err = b.call(ctx, VerbPublish, ref.ID, func() error {
		unlock, err := b.lock(ctx, "alias "+name)
		if err != nil {
			return err
		}
		defer unlock()
		var done bool
		b.mu.Lock()
		epoch := b.epoch
		made, done, err = b.ownAlias(ref.Cluster, name)
		b.mu.Unlock()
		if done || err != nil {
			return err
		}
		unlockInstance, err := b.lock(ctx, "instance "+ref.ID)
		if err != nil {
			return err
		}
		defer unlockInstance()
		b.mu.Lock()
		img, err := b.publishable(ref)
		b.mu.Unlock()
		if err != nil {
			return err
		}
		if err := sleep(ctx, epoch, b.opts.PublishTime); err != nil {
			return err
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		made, err = b.addImage(img, name)
		return err
	})
	return made, err
}

// publishable returns the image to be made of a stopped instance. b.mu is held.
func (b *Backend) publishable(ref ams.Ref) (*image, error) {
	i, err := b.finds(ref)
	if err != nil {
		return nil, err
	}
	if i.Power != ams.PowerStopped {
		return nil, ams.Errorf(ams.ErrState, "instance %q is %s, not stopped", ref.ID, i.Power)
	}
	architecture := "x86_64"
	if parent := b.images[i.Fingerprint]; parent != nil {
		architecture = parent.Architecture
	}
	b.publishes++
	img := hashed(fmt.Appendf(nil, "architecture: %s\npublished: %s %s %d\n", architecture, ref.ID, i.Attempt, b.publishes))
	img.Cluster, img.PublishedOf = ref.Cluster, ref.ID
	return img, nil
}

// OpenImage implements ams.ImageExporter. What was published or imported can be
// read, unless it is in two files or larger than 1 MiB, which is ErrUnsupported.
// The reader ends with ctx.
func (b *Backend) OpenImage(ctx context.Context, cluster, name string) (r io.ReadCloser, err error) {
	err = b.call(ctx, VerbOpenImage, name, func() error {
		b.mu.Lock()
		defer b.mu.Unlock()
		made, found, err := b.ownAlias(cluster, name)
		if ams.CodeOf(err) == ams.ErrExists || err == nil && !found {
			return &ams.Error{Code: ams.ErrNotFound, Kind: "image", ID: name}
		}
		if err != nil {
			return err
		}
		switch img := b.images[made.Fingerprint]; {
		case img.Split:
			return ams.Errorf(ams.ErrUnsupported, "image %q is in two files", name)
		case int64(len(img.Content)) < img.Size:
			return ams.Errorf(ams.ErrUnsupported, "image %q is larger than %d bytes: its content was not kept", name, maxContent)
		default:
			r = &imageReader{ended: ctx.Err, content: bytes.NewReader(img.Content)}
		}
		return nil
	})
	return r, err
}

// imageReader is an open image.
type imageReader struct {
	ended   func() error // the error of the context
	closed  atomic.Bool
	content io.Reader
}

func (r *imageReader) Read(p []byte) (int, error) {
	if r.closed.Load() {
		return 0, os.ErrClosed
	}
	if err := r.ended(); err != nil {
		return 0, err
	}
	return r.content.Read(p)
}

func (r *imageReader) Close() error {
	r.closed.Store(true)
	return nil
}
