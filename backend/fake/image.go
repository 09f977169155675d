package fake

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/openams/ams"
)

// image is an image as the cluster holds it, and as the journal keeps it.
type image struct {
	Fingerprint  string // the SHA-256 of its file, or of its two files one after the other
	Cluster      string // the mark; empty in a foreign one
	Architecture string
	Size         int64
	Split        bool   // it is in two files
	Content      []byte // its one file; nil if that is larger than maxContent
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
