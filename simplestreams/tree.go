package simplestreams

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/canonical/lxd/shared/simplestreams"
)

// tree is the directory that a Handler serves.
type tree struct {
	root *os.Root

	mu     sync.Mutex
	hashes map[string]hashed // by name
}

// hashed is the hash of a file as it was.
type hashed struct {
	size    int64
	changed time.Time
	sum     string
}

func newTree(root *os.Root) *tree { return &tree{root: root, hashes: map[string]hashed{}} }

// index is the file that says where the products are.
func (t *tree) index(r *http.Request) (any, error) {
	found, err := t.find(r.Context())
	return simplestreams.Stream{Format: "index:1.0", Index: map[string]simplestreams.StreamIndex{
		"images": {
			DataType: "image-downloads", Path: productsPath, Format: "products:1.0",
			Products: slices.Sorted(maps.Keys(found)),
		},
	}}, err
}

// products is the file that lists them.
func (t *tree) products(r *http.Request) (any, error) {
	found, err := t.find(r.Context())
	return simplestreams.Products{ContentID: "images", DataType: "image-downloads", Format: "products:1.0", Products: found}, err
}

// find looks through the directory.
func (t *tree) find(ctx context.Context) (map[string]simplestreams.Product, error) {
	dirs, err := fs.Glob(t.root.FS(), "*/*/*/*")
	if err != nil {
		return nil, err
	}
	found := map[string]simplestreams.Product{}
	seen := map[string]bool{}
	for _, dir := range dirs {
		parts := strings.Split(dir, "/")
		name := strings.Join(parts[:3], ":")
		if !validName(name) || hidden(parts[3]) {
			continue
		}
		items, err := t.items(ctx, dir, seen)
		if err != nil {
			return nil, err
		}
		if filesOf(items, false) == nil && filesOf(items, true) == nil {
			continue
		}
		product, ok := found[name]
		if !ok {
			product = simplestreams.Product{
				Aliases: name, Release: parts[0], ReleaseTitle: parts[0], OperatingSystem: parts[1], Architecture: parts[2],
				Versions: map[string]simplestreams.ProductVersion{},
			}
		}
		product.Versions[parts[3]] = simplestreams.ProductVersion{Items: items}
		found[name] = product
	}
	t.forget(seen)
	return found, nil
}

// items lists the files of a version, none if one of them is not finished.
func (t *tree) items(ctx context.Context, dir string, seen map[string]bool) (map[string]simplestreams.ProductVersionItem, error) {
	entries, err := fs.ReadDir(t.root.FS(), dir)
	if err != nil {
		return nil, nil //nolint:nilerr // not a directory, or gone meanwhile
	}
	if slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return hidden(e.Name()) }) {
		return nil, nil
	}
	items := map[string]simplestreams.ProductVersionItem{}
	for _, e := range entries {
		kind := typeOf(e.Name())
		name := path.Join(dir, e.Name())
		if kind == "" || !e.Type().IsRegular() || !validPath(name) {
			continue
		}
		h, err := t.hash(ctx, name)
		if err != nil {
			return nil, err
		}
		seen[name] = true
		items[e.Name()] = simplestreams.ProductVersionItem{FileType: kind, Path: imagesPrefix + name, Size: h.size, HashSha256: h.sum}
	}
	return items, nil
}

// typeOf says what a stream calls a file. Compression shows in the file itself.
func typeOf(name string) string {
	for prefix, kind := range map[string]string{"image.tar": "lxd_combined.tar.gz", "metadata.tar": "lxd.tar.xz", "rootfs.tar": "root.tar.xz"} {
		if rest, ok := strings.CutPrefix(name, prefix); ok && slices.Contains([]string{"", ".gz", ".xz", ".bz2", ".zst"}, rest) {
			return kind
		}
	}
	switch name {
	case "rootfs.squashfs":
		return "squashfs"
	case "disk.qcow2":
		return "disk-kvm.img"
	}
	return ""
}

// hash returns the hash of a file, from memory if the file has not changed.
func (t *tree) hash(ctx context.Context, name string) (hashed, error) {
	f, err := t.root.Open(name)
	if err != nil {
		return hashed{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return hashed{}, err
	}
	now := hashed{size: info.Size(), changed: info.ModTime()}
	t.mu.Lock()
	old, ok := t.hashes[name]
	t.mu.Unlock()
	if ok && old.size == now.size && old.changed.Equal(now.changed) {
		return old, nil
	}
	sum := sha256.New()
	if n, err := io.Copy(sum, &while{ctx, f}); err != nil || n != now.size {
		return hashed{}, fmt.Errorf("%s changed while it was read: %w", name, err)
	}
	now.sum = hex.EncodeToString(sum.Sum(nil))
	t.mu.Lock()
	defer t.mu.Unlock()
	t.hashes[name] = now
	return now, nil
}

// forget drops the hashes of files that are gone.
func (t *tree) forget(seen map[string]bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	maps.DeleteFunc(t.hashes, func(name string, _ hashed) bool { return !seen[name] })
}

// while reads as long as its context goes on.
type while struct {
	ctx context.Context //nolint:containedctx // of the request that reads
	r   io.Reader
}

// Read implements io.Reader.
func (w *while) Read(p []byte) (int, error) {
	if err := w.ctx.Err(); err != nil {
		return 0, err
	}
	return w.r.Read(p)
}
