package lxd

import (
	"cmp"
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
	logDir  = "/var/lib/anbox/logs"
	dataDir = "/var/lib/anbox/data"

	maxLogs   = 100      // files below logDir that are listed
	maxTraces = 32       // files that are listed of each kind of trace
	maxDepth  = 4        // directories below logDir
	maxLook   = 2000     // entries that are looked at in each place
	maxLog    = 64 << 20 // bytes that are read of one
)

// traces are the directories in dataDir with what Android leaves of apps that hang
// and of programs that crash.
func traces() []string { return []string{"anr", "tombstones"} }

// Logs implements ams.LogReader. It lists the regular files below
// /var/lib/anbox/logs, 100 at most, by their paths in it; as "anr/<file>" and
// "tombstones/<file>" the newest 32 of each in /var/lib/anbox/data; as "console.log"
// what LXD keeps of the instance's console, and as "container.log" what LXC or QEMU
// write about it, unless a file has that name.
func (b *Backend) Logs(ctx context.Context, ref ams.Ref) ([]ams.LogFile, error) {
	if err := b.ownRef(ctx, ref); err != nil {
		return nil, err
	}
	files, err := b.files(ctx, ref)
	if err != nil {
		return nil, err
	}
	for _, name := range keptNames() {
		if slices.ContainsFunc(files, func(f ams.LogFile) bool { return f.Name == name }) {
			continue
		}
		size, err := b.keptSize(ctx, ref, name)
		switch {
		case err == nil && size > 0:
			files = append(files, ams.LogFile{Name: name, Size: size})
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

// files lists the files in the instance that are logs.
func (b *Backend) files(ctx context.Context, ref ams.Ref) ([]ams.LogFile, error) {
	fsys, done, err := b.open(ctx, ref)
	if err != nil {
		return nil, err
	}
	defer done()
	l := &lister{fsys: fsys}
	if err := l.walk("", 0); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, b.classify(ctx, err)
	}
	for _, kind := range traces() {
		l.newest(kind) // what cannot be read is not listed
	}
	return l.files, b.classify(ctx, ctx.Err())
}

// lister lists files.
type lister struct {
	fsys   *sftp.Client
	files  []ams.LogFile
	looked int
}

// walk lists the files in a directory below logDir.
func (l *lister) walk(dir string, depth int) error {
	entries, err := l.fsys.ReadDir(path.Join(logDir, dir))
	if err != nil {
		return err
	}
	slices.SortFunc(entries, func(x, y fs.FileInfo) int { return strings.Compare(x.Name(), y.Name()) })
	for _, e := range entries {
		l.looked++
		if l.looked > maxLook || len(l.files) == maxLogs {
			return nil
		}
		name := path.Join(dir, e.Name())
		switch {
		case e.Mode().IsRegular():
			l.add(name, e)
		case e.IsDir() && depth < maxDepth:
			_ = l.walk(name, depth+1) // what cannot be read is not listed
		}
	}
	return nil
}

// newest lists the newest traces of a kind.
func (l *lister) newest(kind string) {
	entries, err := l.fsys.ReadDir(path.Join(dataDir, kind))
	if err != nil {
		return
	}
	entries = slices.DeleteFunc(entries, func(e fs.FileInfo) bool { return !e.Mode().IsRegular() })
	slices.SortFunc(entries, func(x, y fs.FileInfo) int {
		return cmp.Or(y.ModTime().Compare(x.ModTime()), strings.Compare(x.Name(), y.Name()))
	})
	for _, e := range entries[:min(maxTraces, len(entries))] {
		l.add(path.Join(kind, e.Name()), e)
	}
}

func (l *lister) add(name string, e fs.FileInfo) {
	if !slices.ContainsFunc(l.files, func(f ams.LogFile) bool { return f.Name == name }) {
		l.files = append(l.files, ams.LogFile{Name: name, Size: min(e.Size(), maxLog)})
	}
}

// locate returns where a log is in the instance; it is ErrNotExist if it is not
// there. A named pipe, which would never open, is none.
func locate(fsys *sftp.Client, name string) (string, error) {
	places := []string{path.Join(logDir, name)}
	if dir, file := path.Split(name); file != "" && slices.Contains(traces(), strings.TrimSuffix(dir, "/")) {
		places = append(places, path.Join(dataDir, name))
	}
	for _, p := range places {
		info, err := fsys.Lstat(p)
		switch {
		case err == nil && info.Mode().IsRegular():
			return p, nil
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			return "", err
		}
	}
	return "", fs.ErrNotExist
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

// checkLog returns ErrNotFound for what cannot be the name of a log.
func checkLog(name string) error {
	if !fs.ValidPath(name) || name == "." || strings.Count(name, "/") > maxDepth {
		return noLog(name)
	}
	return nil
}

func noLog(name string) error { return &ams.Error{Code: ams.ErrNotFound, Kind: "log", ID: name} }

// OpenLog implements ams.LogReader. Of a file that is larger, the first 64 MiB
// are read. The reader ends with ctx.
func (b *Backend) OpenLog(ctx context.Context, ref ams.Ref, name string) (io.ReadCloser, error) {
	if err := b.ownRef(ctx, ref); err != nil {
		return nil, err
	}
	if err := checkLog(name); err != nil {
		return nil, err
	}
	fsys, done, err := b.open(ctx, ref)
	if err != nil {
		return nil, err
	}
	where, err := locate(fsys, name)
	if err == nil {
		f, err := fsys.Open(where)
		if err != nil {
			done()
			return nil, b.classify(ctx, err)
		}
		return &logReader{Reader: io.LimitReader(f, maxLog), close: func() { _ = f.Close(); done() }}, nil
	}
	done()
	switch {
	case !errors.Is(err, fs.ErrNotExist):
		return nil, b.classify(ctx, err)
	case !slices.Contains(keptNames(), name):
		return nil, noLog(name)
	}
	r, err := b.kept(ctx, ref, name)
	if ams.CodeOf(err) == ams.ErrNotFound {
		return nil, noLog(name)
	}
	return r, err
}

type logReader struct {
	io.Reader
	close func()
}

func (r *logReader) Close() error {
	r.close()
	return nil
}
