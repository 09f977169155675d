package archive

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// PackDir writes the content of a directory as a zip: members sorted by name, not
// compressed, since packages hold compressed files, and without times, so that equal
// directories give equal bytes. The result is one that Open reads under the default
// Limits: what Open would refuse is refused here with the same *Error.
//
// A symbolic link to a file inside the directory is packed as that file; one that
// leaves the directory, dangles or leads to a directory is refused. Reading the same
// directory while it changes gives an error or either state of each file.
func PackDir(ctx context.Context, w io.Writer, dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	p := packer{root: root, out: zip.NewWriter(w), limits: Limits{}.withDefaults()}
	p.names = newNames(p.limits)
	err = fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil || name == "." {
			return err
		}
		return p.add(ctx, name, d.Type())
	})
	if err != nil {
		return err
	}
	return p.out.Close()
}

type packer struct {
	root   *os.Root
	out    *zip.Writer
	limits Limits
	names  *names
	total  int64
}

func (p *packer) add(ctx context.Context, name string, mode fs.FileMode) error {
	if _, err := p.names.add(name, mode.IsDir()); err != nil {
		return err
	}
	if mode.IsDir() {
		h := &zip.FileHeader{Name: name + "/"}
		h.SetMode(fs.ModeDir | permissions(0, true))
		_, err := p.out.CreateHeader(h)
		return err
	}
	if mode&fs.ModeSymlink != 0 {
		target, err := p.root.Stat(name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return refused(name, "is a symbolic link to nothing")
		case err != nil:
			return refused(name, "is a symbolic link that leaves the directory")
		case target.IsDir():
			return refused(name, "is a symbolic link to a directory")
		}
		mode = target.Mode()
	}
	if err := checkType(name, mode.Type()); err != nil {
		return err
	}
	return p.addFile(ctx, name)
}

func (p *packer) addFile(ctx context.Context, name string) error {
	f, err := p.root.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	h := &zip.FileHeader{Name: name, Method: zip.Store}
	h.SetMode(permissions(info.Mode(), false))
	out, err := p.out.CreateHeader(h)
	if err != nil {
		return err
	}
	left := p.limits.Bytes - p.total
	n, err := io.Copy(out, &counter{ctx: ctx, r: io.LimitReader(f, left+1)})
	if err != nil {
		return fmt.Errorf("pack %s: %w", show(name), err)
	}
	if n > left {
		return tooLarge("", "is larger than %s", formatBytes(p.limits.Bytes))
	}
	p.total += n
	return nil
}
