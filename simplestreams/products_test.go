package simplestreams

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/canonical/lxd/shared/simplestreams"
	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
)

func TestCompareVersions(t *testing.T) {
	sorted := []string{"1", "1.2", "1.9.0-1", "1.30.0-20260101", "1.30.1-20251231", "1.30.1-20260713113525.git79a5c5e", "2", "10", "20260101_0749", "a"}
	shuffled := slices.Clone(sorted)
	slices.Reverse(shuffled)
	slices.SortFunc(shuffled, compareVersions)
	require.Equal(t, sorted, shuffled)
	require.NotZero(t, compareVersions("01", "1"))
}

func TestNames(t *testing.T) {
	for _, c := range []struct{ key, aliases, release, os, variant, arch, want string }{
		{"jammy:android15:amd64", "", "", "", "", "amd64", "jammy:android15:amd64"},
		{"com.example:1:server", "x,jammy:android15:arm64", "", "", "", "arm64", "jammy:android15:arm64"},
		{"com.example:1:server", "", "jammy", "android15", "", "aarch64", "jammy:android15:arm64"},
		{"com.example:1:server", "", "jammy", "ubuntu", "aaos", "amd64", "jammy:aaos:amd64"},
		{"com.example:1:server", "", "", "", "", "amd64", ""},
		{"a b:c:amd64", "", "", "", "", "amd64", ""},
	} {
		p := &simplestreams.Product{Aliases: c.aliases, Release: c.release, OperatingSystem: c.os, Variant: c.variant, Architecture: c.arch}
		require.Equal(t, c.want, nameOf(c.key, p), c.key)
	}
}

func TestBounds(t *testing.T) {
	many := map[string]simplestreams.ProductVersion{}
	for i := range maxVersions + 1 {
		many[fmt.Sprint(i)] = simplestreams.ProductVersion{}
	}
	_, err := images(map[string]simplestreams.Product{"a:b:amd64": {Versions: many}})
	require.ErrorIs(t, err, ams.ErrInvalid)
}

// FuzzImages reads products: whatever they are, what comes out can be used.
func FuzzImages(f *testing.F) {
	f.Add([]byte(`{"products": {"jammy:android15:amd64": {"arch": "amd64", "versions": {"1.30.1": {"items": {
		"lxd.tar.xz": {"ftype": "lxd.tar.xz", "path": "a/lxd.tar.xz", "size": 3, "sha256": "` + strings.Repeat("ab", 32) + `"},
		"root.squashfs": {"ftype": "squashfs", "path": "a/root.squashfs", "size": 3, "sha256": "` + strings.Repeat("AB", 32) + `"}}}}}}}`))
	f.Add([]byte(`{"products": {"x": {"arch": "arm64", "release": "r", "os": "o", "versions": {"": {"items": {"i": {"ftype": "disk1.img", "path": "../x", "size": -1}}}}}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var p simplestreams.Products
		if json.Unmarshal(data, &p) != nil {
			return
		}
		list, err := images(p.Products)
		if err != nil {
			require.ErrorIs(t, err, ams.ErrInvalid)
			return
		}
		for _, image := range list {
			require.True(t, validName(image.Name))
			require.NotEmpty(t, image.Architecture)
			require.NotEmpty(t, image.Versions)
			for _, v := range image.Versions {
				require.NotEmpty(t, v.ID)
				require.Contains(t, []int{1, 2}, len(v.Files))
				for i, file := range v.Files {
					require.True(t, validPath(file.Path) && file.Size > 0 && isSHA256(file.SHA256))
					require.Equal(t, i == 1, file.Rootfs)
				}
			}
		}
	})
}
