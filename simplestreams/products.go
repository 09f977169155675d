package simplestreams

import (
	"cmp"
	"encoding/hex"
	"maps"
	"slices"
	"strings"

	"github.com/canonical/lxd/shared/simplestreams"

	"github.com/openams/ams"
)

// The list of images that LXD's own client makes of a stream has no versions and
// no names of products, so its types are walked here instead.

// productFiles are the files that list images, sorted.
func productFiles(index *simplestreams.Stream) []string {
	var files []string
	for _, entry := range index.Index {
		if (entry.DataType == "image-downloads" || entry.DataType == "") && validPath(entry.Path) && !slices.Contains(files, entry.Path) {
			files = append(files, entry.Path)
		}
	}
	slices.Sort(files)
	return files
}

// images turns products into images, ordered by name.
func images(products map[string]simplestreams.Product) ([]ams.RemoteImage, error) {
	var list []ams.RemoteImage
	for _, key := range slices.Sorted(maps.Keys(products)) {
		product := products[key]
		if len(product.Versions) > maxVersions {
			return nil, ams.Errorf(ams.ErrInvalid, "product %q of the image server has %d versions (maximum %d)", key, len(product.Versions), maxVersions)
		}
		arch, ok := architectures[product.Architecture]
		name := nameOf(key, &product)
		if !ok || name == "" {
			continue
		}
		for _, vm := range []bool{false, true} {
			image := ams.RemoteImage{Name: name, Architecture: arch.long, Variant: variantOf(name, &product), VM: vm}
			for _, id := range slices.SortedFunc(maps.Keys(product.Versions), compareVersions) {
				if files := filesOf(product.Versions[id].Items, vm); files != nil && id != "" {
					image.Versions = append(image.Versions, ams.RemoteVersion{ID: id, Files: files})
				}
			}
			if len(image.Versions) > 0 {
				list = append(list, image)
			}
		}
	}
	slices.SortStableFunc(list, func(a, b ams.RemoteImage) int { return cmp.Compare(a.Name, b.Name) })
	return list, nil
}

// architecture is how streams and how nodes call one.
type architecture struct{ short, long string }

var architectures = map[string]architecture{
	"amd64": {"amd64", "x86_64"}, "x86_64": {"amd64", "x86_64"},
	"arm64": {"arm64", "aarch64"}, "aarch64": {"arm64", "aarch64"},
	"armhf": {"armhf", "armv7l"}, "armv7l": {"armhf", "armv7l"},
}

// nameOf is the image's name, "series:flavour:arch": an alias or the key if they are
// of that form, or else it is put together.
func nameOf(key string, p *simplestreams.Product) string {
	for _, name := range append(strings.Split(p.Aliases, ","), key) {
		if validName(strings.TrimSpace(name)) {
			return strings.TrimSpace(name)
		}
	}
	name := p.Release + ":" + cmp.Or(p.Variant, p.OperatingSystem) + ":" + architectures[p.Architecture].short
	if !validName(name) {
		return ""
	}
	return name
}

func validName(name string) bool {
	parts := strings.Split(name, ":")
	if len(parts) != 3 || len(name) > 255 || strings.HasPrefix(name, "-") {
		return false
	}
	_, known := architectures[parts[2]]
	return known && parts[0] != "" && parts[1] != "" && !strings.ContainsFunc(name, func(r rune) bool {
		return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:", r)
	})
}

// variantOf says what kind of Android it is.
func variantOf(name string, p *simplestreams.Product) string {
	flavour := strings.Split(name, ":")[1]
	switch {
	case slices.Contains([]string{"android", "aaos", "generic"}, p.Variant):
		return p.Variant
	case strings.HasPrefix(flavour, "aaos"):
		return "aaos"
	case strings.HasPrefix(flavour, "android"):
		return "android"
	}
	return "generic"
}

// filesOf returns the files to make a container or a virtual machine of, nil if
// there are none: one that holds everything, or metadata and root file system.
func filesOf(items map[string]simplestreams.ProductVersionItem, vm bool) []ams.RemoteFile {
	find := func(rootfs bool, types ...string) *ams.RemoteFile {
		for _, kind := range types {
			for _, key := range slices.Sorted(maps.Keys(items)) {
				item := items[key]
				if item.FileType == kind && validPath(item.Path) && item.Size > 0 && isSHA256(item.HashSha256) {
					return &ams.RemoteFile{Path: item.Path, Size: item.Size, SHA256: strings.ToLower(item.HashSha256), Rootfs: rootfs}
				}
			}
		}
		return nil
	}
	roots := []string{"squashfs", "root.tar.xz"}
	if vm {
		roots = []string{"disk-kvm.img", "disk.qcow2", "uefi1.img", "disk1.img"}
	} else if one := find(false, "lxd_combined.tar.gz", "incus_combined.tar.gz"); one != nil {
		return []ams.RemoteFile{*one}
	}
	meta, root := find(false, "lxd.tar.xz", "incus.tar.xz"), find(true, roots...)
	if meta == nil || root == nil {
		return nil
	}
	return []ams.RemoteFile{*meta, *root}
}

func isSHA256(s string) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(b) == 32
}

// compareVersions orders versions with the numbers in them as numbers: 1.9 comes
// before 1.30.
func compareVersions(first, second string) int {
	a, b := first, second
	for a != "" && b != "" {
		x, y := chunk(a), chunk(b)
		a, b = a[len(x):], b[len(y):]
		nx, ny := strings.TrimLeft(x, "0"), strings.TrimLeft(y, "0")
		if isDigit(x[0]) && isDigit(y[0]) {
			if c := cmp.Or(cmp.Compare(len(nx), len(ny)), cmp.Compare(nx, ny)); c != 0 {
				return c
			}
			continue
		}
		if c := cmp.Compare(x, y); c != 0 {
			return c
		}
	}
	return cmp.Or(cmp.Compare(a, b), cmp.Compare(first, second))
}

// chunk is the digits that s begins with, or else one byte.
func chunk(s string) string {
	n := 0
	for n < len(s) && isDigit(s[n]) {
		n++
	}
	return s[:max(n, 1)]
}

func isDigit(b byte) bool { return '0' <= b && b <= '9' }
