package fake

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/openams/ams"
)

// image is an image as the cluster holds it, and as the journal keeps it.
type image struct {
	Fingerprint  string
	Cluster      string // the mark; empty in a foreign one
	Architecture string
	Size         int64
	PublishedOf  string // the id of the instance it was made from
	CreatedAt    time.Time
}

// alias is a name of an image. It has a mark of its own, for our alias may be on
// an image that is not ours.
type alias struct {
	Name        string
	Fingerprint string
	Cluster     string
}

// headSize is how much of an image is looked at.
const headSize = 1024

// ImportImage implements ams.ImageKeeper. Any bytes are an image, but none, and
// those that begin with "not an image". An image that says "architecture: NAME"
// in its first KiB has that architecture, others "x86_64". The content is hashed
// and not kept.
func (b *Backend) ImportImage(ctx context.Context, cluster, name string, files ams.ImageFiles) (made ams.BackendImage, err error) {
	err = b.call(ctx, VerbImportImage, name, func() error {
		unlock, err := b.lock(ctx, "alias "+name)
		if err != nil {
			return err
		}
		defer unlock()
		var done bool
		b.mu.Lock()
		epoch := b.epoch
		made, done, err = b.ownAlias(cluster, name)
		b.mu.Unlock()
		if done || err != nil {
			return err
		}
		img, err := readImage(ctx, files.Meta)
		if err != nil {
			return err
		}
		if err := sleep(ctx, epoch, b.opts.ImportTime); err != nil {
			return err
		}
		img.Cluster = cluster
		b.mu.Lock()
		defer b.mu.Unlock()
		made, err = b.addImage(img, name)
		return err
	})
	return made, err
}

// readImage reads and hashes an image.
func readImage(ctx context.Context, r io.Reader) (*image, error) {
	var head bytes.Buffer
	hash := sha256.New()
	var size int64
	buf := make([]byte, 64<<10)
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		n, err := r.Read(buf)
		hash.Write(buf[:n])
		head.Write(buf[:min(n, headSize-head.Len())])
		size += int64(n)
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("reading the image: %w", err)
		}
	}
	if size == 0 || bytes.HasPrefix(head.Bytes(), []byte("not an image")) {
		return nil, ams.Errorf(ams.ErrInvalid, "this is not an image")
	}
	return newImage(hash.Sum(nil), head.Bytes(), size), nil
}

// newImage returns the image with that hash, head and size.
func newImage(hash, head []byte, size int64) *image {
	img := &image{Fingerprint: hex.EncodeToString(hash), Architecture: "x86_64", Size: size}
	if _, after, ok := bytes.Cut(head, []byte("architecture:")); ok {
		if words := bytes.Fields(after); len(words) > 0 {
			img.Architecture = string(bytes.Trim(words[0], `"`))
		}
	}
	return img
}

// hashed returns the image with that content.
func hashed(content []byte) *image {
	sum := sha256.Sum256(content)
	return newImage(sum[:], content[:min(headSize, len(content))], int64(len(content)))
}

// ownAlias returns the image behind an alias, if that exists and is ours. b.mu
// is held.
func (b *Backend) ownAlias(cluster, name string) (ams.BackendImage, bool, error) {
	if name == "" || cluster == "" {
		return ams.BackendImage{}, false, ams.Errorf(ams.ErrInvalid, "image: cluster and alias must be set")
	}
	a := b.aliases[name]
	switch {
	case a == nil:
		return ams.BackendImage{}, false, nil
	case a.Cluster != cluster:
		return ams.BackendImage{}, false, &ams.Error{Code: ams.ErrExists, Kind: "image alias", ID: name}
	}
	return b.images[a.Fingerprint].as(name), true, nil
}

// addImage stores an image under an alias; one of the same fingerprint is kept
// as it is. b.mu is held.
func (b *Backend) addImage(img *image, name string) (ams.BackendImage, error) {
	cluster := img.Cluster
	if have := b.images[img.Fingerprint]; have != nil {
		img = have
	} else {
		img.CreatedAt = time.Now().UTC()
		b.images[img.Fingerprint] = img
	}
	a := &alias{Name: name, Fingerprint: img.Fingerprint, Cluster: cluster}
	b.aliases[name] = a
	b.save(record{Image: img, Alias: a})
	return img.as(name), b.broken
}

func (i *image) as(name string) ams.BackendImage {
	return ams.BackendImage{Alias: name, Fingerprint: i.Fingerprint, Architecture: i.Architecture, Size: i.Size, CreatedAt: i.CreatedAt}
}

// DeleteImage implements ams.ImageKeeper. An alias that is not ours is left
// alone.
func (b *Backend) DeleteImage(ctx context.Context, cluster, name string) error {
	return b.call(ctx, VerbDeleteImage, name, func() error {
		unlock, err := b.lock(ctx, "alias "+name)
		if err != nil {
			return err
		}
		defer unlock()
		b.mu.Lock()
		defer b.mu.Unlock()
		a := b.aliases[name]
		if a == nil || a.Cluster != cluster {
			return nil
		}
		delete(b.aliases, name)
		b.save(record{RemoveAlias: name, RemoveImage: b.removeImage(cluster, a.Fingerprint)}) // both or neither
		return b.broken
	})
}

// DeleteFingerprint implements ams.ImageKeeper.
func (b *Backend) DeleteFingerprint(ctx context.Context, cluster, fingerprint string) error {
	return b.call(ctx, VerbDeleteFingerprint, fingerprint, func() error {
		b.mu.Lock()
		defer b.mu.Unlock()
		if removed := b.removeImage(cluster, fingerprint); removed != "" {
			b.save(record{RemoveImage: removed})
		}
		return b.broken
	})
}

// removeImage removes an image that is ours and has no alias, and returns its
// fingerprint for the journal, or "" if there is none. b.mu is held.
func (b *Backend) removeImage(cluster, fingerprint string) string {
	img := b.images[fingerprint]
	if img == nil || img.Cluster != cluster || b.named(fingerprint) {
		return ""
	}
	delete(b.images, fingerprint)
	return fingerprint
}

// named reports whether an image has an alias. b.mu is held.
func (b *Backend) named(fingerprint string) bool {
	for _, a := range b.aliases {
		if a.Fingerprint == fingerprint {
			return true
		}
	}
	return false
}

// ListImages implements ams.ImageKeeper. It is sorted by alias, then
// fingerprint.
func (b *Backend) ListImages(ctx context.Context, cluster string) (list []ams.BackendImage, err error) {
	err = b.call(ctx, VerbListImages, "", func() error {
		b.mu.Lock()
		defer b.mu.Unlock()
		named := map[string]bool{}
		for _, a := range b.aliases {
			named[a.Fingerprint] = true
			if a.Cluster == cluster {
				list = append(list, b.images[a.Fingerprint].as(a.Name))
			}
		}
		for _, img := range b.images {
			if img.Cluster == cluster && !named[img.Fingerprint] {
				list = append(list, img.as(""))
			}
		}
		return nil
	})
	slices.SortFunc(list, func(x, y ams.BackendImage) int {
		return cmp.Or(cmp.Compare(x.Alias, y.Alias), cmp.Compare(x.Fingerprint, y.Fingerprint))
	})
	return list, err
}

// Publish implements ams.Publisher. The image has the architecture of the one
// the instance was made from, and a fingerprint of its own.
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
	b.publishes++
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %s %d", ref.ID, i.Attempt, b.publishes))
	img := &image{
		Fingerprint:  hex.EncodeToString(sum[:]),
		Cluster:      ref.Cluster,
		Architecture: "x86_64",
		Size:         1 << 20,
		PublishedOf:  ref.ID,
	}
	if parent := b.images[i.Fingerprint]; parent != nil {
		img.Architecture, img.Size = parent.Architecture, parent.Size
	}
	return img, nil
}
