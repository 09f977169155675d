package lxd_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	client "github.com/canonical/lxd/client"
	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
	"github.com/openams/ams/backend/lxd"
	"github.com/openams/ams/internal/lxdtest"
)

// split takes the test image apart, into "meta.tar", "rootfs.tar" and
// "rootfs.squashfs" in the directory that it returns, and puts it together again
// as "unified.tar". They have no properties, of which LXD dies if it is to add
// some.
func split(t *testing.T, image string) string {
	lxdtest.Programs(t, "mksquashfs")
	dir := t.TempDir()
	run(t, dir, nil, "tar", "-xzf", image)
	run(t, dir, nil, "sed", "-i", "/^properties:/,$d", "metadata.yaml")
	run(t, dir, nil, "tar", "-cf", "meta.tar", "metadata.yaml")
	run(t, dir, nil, "tar", "-cf", "unified.tar", "metadata.yaml", "rootfs")
	run(t, dir, nil, "tar", "-C", "rootfs", "-cf", "rootfs.tar", ".")
	run(t, dir, nil, "mksquashfs", "rootfs", "rootfs.squashfs", "-quiet", "-no-progress")
	return dir
}

// splitFiles returns the test image in two files, of the parts that split made.
func splitFiles(t *testing.T, parts string, n int) ams.ImageFiles {
	meta := run(t, parts, nil, "gzip", "-c", "meta.tar")
	rootfs, err := os.Open(filepath.Join(parts, "rootfs.squashfs"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = rootfs.Close() })
	return ams.ImageFiles{Meta: numbered(t, bytes.NewReader(meta), n), Rootfs: rootfs}
}

// run runs a program and returns its output.
func run(t *testing.T, dir string, stdin []byte, program string, args ...string) []byte {
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Dir, cmd.Stdin = dir, bytes.NewReader(stdin)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	require.NoError(t, err, "%s %v: %s", program, args, &errs)
	return out
}

// TestFormats imports the test image in every format that is promised, and makes
// an instance of each.
func TestFormats(t *testing.T) {
	lxdtest.Programs(t, "xz", "bzip2", "zstd")
	d := lxdtest.Require(t)
	b := open(t, lxd.Config{Socket: d.Socket})
	spec := testSpec(t, "formats")
	dir := split(t, lxdtest.ImageFile(t))
	read := func(name string) []byte {
		data, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		return data
	}
	meta, rootfs, unified := read("meta.tar"), read("rootfs.tar"), read("unified.tar")
	busybox, err := os.ReadFile("/bin/busybox")
	require.NoError(t, err)

	try := func(name string, files ...[]byte) {
		t.Run(name, func(t *testing.T) {
			in := ams.ImageFiles{Meta: bytes.NewReader(files[0])}
			if len(files) > 1 {
				in.Rootfs = bytes.NewReader(files[1])
			}
			made, err := b.ImportImage(t.Context(), cluster, "formats", in)
			require.NoError(t, err)
			sum := sha256.Sum256(bytes.Join(files, nil))
			require.Equal(t, hex.EncodeToString(sum[:]), made.Fingerprint)
			spec.Fingerprint = made.Fingerprint
			require.NoError(t, b.Create(t.Context(), spec))
			unpacked, err := os.ReadFile(filepath.Join(d.Dir, "storage-pools/default/containers/ams-formats/rootfs/bin/busybox"))
			require.NoError(t, err)
			require.True(t, bytes.Equal(busybox, unpacked))
			require.NoError(t, b.Delete(t.Context(), spec.Ref))
			require.NoError(t, b.DeleteImage(t.Context(), cluster, "formats"))
		})
	}
	for _, program := range []string{"cat", "gzip", "xz", "bzip2", "zstd"} {
		pack := func(data []byte) []byte {
			if program == "cat" {
				return data
			}
			return run(t, "", data, program, "-c")
		}
		try("unified "+program, pack(unified))
		try("split "+program, pack(meta), pack(rootfs))
	}
	try("squashfs", meta, read("rootfs.squashfs"))
}

// TestDisk imports a virtual machine's image: LXD is told that it is one.
func TestDisk(t *testing.T) {
	d := lxdtest.Require(t)
	c := lxdtest.Connect(t, d)
	b := open(t, lxd.Config{Socket: d.Socket})
	meta, err := os.ReadFile(filepath.Join(split(t, lxdtest.ImageFile(t)), "meta.tar"))
	require.NoError(t, err)
	made, err := b.ImportImage(t.Context(), cluster, "disk", ams.ImageFiles{
		Meta: bytes.NewReader(meta), Rootfs: strings.NewReader("QFI\xfb" + strings.Repeat("\x00", 1000)),
	})
	require.NoError(t, err)
	i, _, err := c.GetImage(made.Fingerprint)
	require.NoError(t, err)
	require.Equal(t, "virtual-machine", i.Type)
	require.NoError(t, b.DeleteImage(t.Context(), cluster, "disk"))
}

// TestContent takes a published image to another cluster: what was written into
// the instance is in the instances of both, owned by the same user.
func TestContent(t *testing.T) {
	d := lxdtest.Require(t)
	c := lxdtest.Connect(t, d)
	b := open(t, lxd.Config{Socket: d.Socket})
	spec := testSpec(t, "content")
	require.NoError(t, b.Create(t.Context(), spec))
	err := c.CreateInstanceFile("ams-content", "/root/mark", client.InstanceFileArgs{
		Content: strings.NewReader("written before\n"), UID: 1000, GID: 1001, Mode: 0o640, Type: "file",
	})
	require.NoError(t, err)
	_, err = b.Publish(t.Context(), spec.Ref, "content")
	require.NoError(t, err)
	require.NoError(t, b.Delete(t.Context(), spec.Ref))
	r, err := b.OpenImage(t.Context(), cluster, "content")
	require.NoError(t, err)
	var file bytes.Buffer
	_, err = file.ReadFrom(r)
	require.NoError(t, err)
	require.NoError(t, r.Close())
	require.NoError(t, b.DeleteImage(t.Context(), cluster, "content"))

	moved, err := b.ImportImage(t.Context(), cluster+"-2", "moved", ams.ImageFiles{Meta: &file})
	require.NoError(t, err)
	spec.Cluster, spec.Fingerprint = cluster+"-2", moved.Fingerprint
	require.NoError(t, b.Create(t.Context(), spec))
	content, attributes, err := c.GetInstanceFile("ams-content", "/root/mark")
	require.NoError(t, err)
	defer content.Close()
	text, err := io.ReadAll(content)
	require.NoError(t, err)
	require.Equal(t, "written before\n", string(text))
	require.Equal(t, []int64{1000, 1001, 0o640}, []int64{attributes.UID, attributes.GID, int64(attributes.Mode)})
	require.NoError(t, b.Delete(t.Context(), spec.Ref))
	require.NoError(t, b.DeleteImage(t.Context(), cluster+"-2", "moved"))
}
