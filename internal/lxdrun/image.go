package lxdrun

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"runtime"
	"slices"
	"strings"
	"time"
)

// files are the files of the test image that are not busybox.
//
//go:embed image
var files embed.FS

// standins are the names under which the image's stand-in for Android is called.
var standins = []string{
	"usr/bin/pm", "usr/bin/am", "usr/bin/getprop", "usr/bin/setprop", "usr/bin/dumpsys",
	"usr/share/ams/android",
}

// dirs are the directories of the test image, each after its parent.
var dirs = []string{
	"bin", "sbin", "dev", "etc", "home", "mnt", "proc", "root", "run", "sys", "tmp", "data", "data/app", "data/data",
	"sdcard", "sdcard/Android", "sdcard/Android/obb", "sdcard/Android/data", "usr", "usr/bin", "usr/sbin", "usr/lib",
	"usr/share", "usr/share/ams", "var", "var/log", "var/tmp", "var/lib", "var/lib/anbox", "var/lib/anbox-test",
}

// BuildImage writes the test image to w: a gzip-compressed tarball, 1.2 MB, with
// metadata.yaml and rootfs/, as LXD imports it. It is busybox with an init that
// configures eth0 by DHCP and stops at once when asked to, and a stand-in for
// Android, which the comment in image/android describes. Two builds with the same
// busybox are the same bytes. It fails if there is no static busybox.
func BuildImage(w io.Writer) error {
	busybox, err := readBusybox()
	if err != nil {
		return err
	}
	applets, err := exec.Command(busyboxPath(), "--list").Output()
	if err != nil {
		return fmt.Errorf("asking busybox for its applets: %w", err)
	}
	z := gzip.NewWriter(w)
	b := &imageBuilder{tw: tar.NewWriter(z)}
	b.file("metadata.yaml", 0o644, metadata())
	b.dir("rootfs")
	for _, d := range dirs {
		b.dir("rootfs/" + d)
	}
	b.file("rootfs/bin/busybox", 0o755, busybox)
	for _, name := range strings.Fields(string(applets)) {
		if !slices.Contains([]string{"busybox", "init", "linuxrc"}, name) {
			b.link("rootfs/bin/"+name, "busybox")
		}
	}
	b.embedded("init", "rootfs/sbin/init", 0o755)
	b.embedded("dhcp", "rootfs/usr/lib/dhcp", 0o755)
	b.embedded("passwd", "rootfs/etc/passwd", 0o644)
	b.embedded("group", "rootfs/etc/group", 0o644)
	b.embedded("android", "rootfs/usr/lib/android", 0o755)
	for _, name := range standins {
		b.link("rootfs/"+name, "/usr/lib/android")
	}
	return errors.Join(b.err, b.tw.Close(), z.Close())
}

// busyboxPath is where the package busybox-static puts its program.
func busyboxPath() string { return "/bin/busybox" }

// readBusybox returns the static busybox.
func readBusybox() ([]byte, error) {
	p, err := os.ReadFile(busyboxPath())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errors.New("no /bin/busybox: install busybox-static")
	}
	if err == nil && bytes.Contains(p, []byte("/ld-linux")) {
		return nil, errors.New("/bin/busybox is not static: install busybox-static")
	}
	return p, err
}

// metadata returns the image's metadata.yaml.
func metadata() []byte {
	arch := map[string]string{"amd64": "x86_64", "arm64": "aarch64"}[runtime.GOARCH]
	return fmt.Appendf(nil, "architecture: %s\ncreation_date: %d\nproperties:\n  description: stand-in for Android\n", arch, built.Unix())
}

// built is the date of everything in the image.
var built = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// imageBuilder writes members and keeps the first error.
type imageBuilder struct {
	tw  *tar.Writer
	err error
}

func (b *imageBuilder) add(h *tar.Header, content []byte) {
	if b.err != nil {
		return
	}
	h.Size, h.ModTime = int64(len(content)), built
	if b.err = b.tw.WriteHeader(h); b.err == nil {
		_, b.err = b.tw.Write(content)
	}
}

func (b *imageBuilder) dir(name string) {
	mode := int64(0o755)
	if base := path.Base(name); base == "tmp" {
		mode = 0o1777
	}
	b.add(&tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: mode}, nil)
}

func (b *imageBuilder) file(name string, mode int64, content []byte) {
	b.add(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode}, content)
}

func (b *imageBuilder) link(name, target string) {
	b.add(&tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: target, Mode: 0o777}, nil)
}

func (b *imageBuilder) embedded(name, to string, mode int64) {
	content, err := files.ReadFile("image/" + name)
	b.err = errors.Join(b.err, err)
	b.file(to, mode, content)
}
