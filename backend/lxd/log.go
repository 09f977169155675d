package lxd

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/pkg/sftp"

	"github.com/openams/ams"
)

const (
	logDir     = "/var/lib/anbox/logs"
	consoleLog = "console.log"

	maxLogs  = 100      // files that are listed
	maxDepth = 4        // directories below logDir
	maxLook  = 2000     // entries that are looked at
	maxLog   = 64 << 20 // bytes that are read of one
)

// Logs implements ams.LogReader. It lists the regular files below
// /var/lib/anbox/logs, 100 at most, by their paths in it, and as "console.log"
// what LXD keeps of the instance's console, unless a file has that name.
func (b *Backend) Logs(ctx context.Context, ref ams.Ref) ([]ams.LogFile, error) {
	if err := b.ownRef(ctx, ref); err != nil {
		return nil, err
	}
	files, err := b.files(ctx, ref)
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(files, func(f ams.LogFile) bool { return f.Name == consoleLog }) {
		size, err := b.consoleSize(ctx, ref)
		switch {
		case err == nil && size > 0:
			files = append(files, ams.LogFile{Name: consoleLog, Size: size})
		case ctx.Err() != nil:
			return nil, ctx.Err()
		}
	}
	slices.SortFunc(files, func(x, y ams.LogFile) int { return strings.Compare(x.Name, y.Name) })
	return files, nil
}

func (b *Backend) ownRef(ctx context.Context, ref ams.Ref) error {
	if err := checkRef(ref); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return b.own(ctx, ref)
}

// files lists the files below logDir.
func (b *Backend) files(ctx context.Context, ref ams.Ref) (files []ams.LogFile, err error) {
	fsys, done, err := b.open(ctx, ref)
	if err != nil {
		return nil, err
	}
	defer done()
	looked := 0
	var walk func(dir string, depth int) error
	walk = func(dir string, depth int) error {
		entries, err := fsys.ReadDir(path.Join(logDir, dir))
		if err != nil {
			return err
		}
		slices.SortFunc(entries, func(x, y fs.FileInfo) int { return strings.Compare(x.Name(), y.Name()) })
		for _, e := range entries {
			looked++
			if looked > maxLook || len(files) == maxLogs {
				return nil
			}
			name := path.Join(dir, e.Name())
			switch {
			case e.Mode().IsRegular():
				files = append(files, ams.LogFile{Name: name, Size: min(e.Size(), maxLog)})
			case e.IsDir() && depth < maxDepth:
				_ = walk(name, depth+1) // what cannot be read is not listed
			}
		}
		return nil
	}
	err = walk("", 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return files, b.classify(ctx, err)
}

// open opens the instance's file system until done is called or ctx ends.
func (b *Backend) open(ctx context.Context, ref ams.Ref) (fsys *sftp.Client, done func(), err error) {
	c, s, err := b.link.session(ctx, b.cfg.Project, "", true)
	if err != nil {
		return nil, nil, b.classify(ctx, err)
	}
	fsys, err = c.GetInstanceFileSFTP(instanceName(ref.ID))
	if err != nil {
		s.close()
		return nil, nil, b.gone(ctx, ref, err)
	}
	stop := context.AfterFunc(s.ctx, func() { _ = fsys.Close() })
	return fsys, func() {
		if stop() {
			_ = fsys.Close()
		}
		s.close()
	}, nil
}

// gone is classify for what may have failed because the instance is not there.
func (b *Backend) gone(ctx context.Context, ref ams.Ref, err error) error {
	if _, getErr := b.get(ctx, ref); getErr != nil {
		return getErr
	}
	return b.classify(ctx, err)
}

// console opens what LXD keeps of the console; the caller closes the session.
func (b *Backend) console(ctx context.Context, ref ams.Ref) (io.ReadCloser, *session, error) {
	c, s, err := b.link.session(ctx, b.cfg.Project, "", false)
	if err != nil {
		return nil, nil, b.classify(ctx, err)
	}
	r, err := c.GetInstanceConsoleLog(instanceName(ref.ID), nil)
	if err != nil {
		s.close()
		return nil, nil, b.classify(ctx, err)
	}
	return r, s, nil
}

func (b *Backend) consoleSize(ctx context.Context, ref ams.Ref) (int64, error) {
	r, s, err := b.console(ctx, ref)
	if err != nil {
		return 0, err
	}
	defer s.close()
	n, err := io.Copy(io.Discard, io.LimitReader(r, maxLog))
	return n, b.classify(ctx, err)
}

// OpenLog implements ams.LogReader. Of a file that is larger, the first 64 MiB
// are read. The reader ends with ctx.
func (b *Backend) OpenLog(ctx context.Context, ref ams.Ref, name string) (io.ReadCloser, error) {
	if err := b.ownRef(ctx, ref); err != nil {
		return nil, err
	}
	missing := &ams.Error{Code: ams.ErrNotFound, Kind: "log", ID: name}
	if !fs.ValidPath(name) || name == "." || strings.Count(name, "/") > maxDepth {
		return nil, missing
	}
	fsys, done, err := b.open(ctx, ref)
	if err != nil {
		return nil, err
	}
	info, err := fsys.Lstat(path.Join(logDir, name))
	if err == nil && info.Mode().IsRegular() { // a named pipe would never open
		f, err := fsys.Open(path.Join(logDir, name))
		if err != nil {
			done()
			return nil, b.classify(ctx, err)
		}
		return &logReader{Reader: io.LimitReader(f, maxLog), close: func() { _ = f.Close(); done() }}, nil
	}
	done()
	if name != consoleLog {
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, b.classify(ctx, err)
		}
		return nil, missing
	}
	r, s, err := b.console(ctx, ref)
	if err != nil {
		return nil, err
	}
	return &logReader{Reader: io.LimitReader(r, maxLog), close: s.close}, nil
}

type logReader struct {
	io.Reader
	close func()
}

func (r *logReader) Close() error {
	r.close()
	return nil
}
