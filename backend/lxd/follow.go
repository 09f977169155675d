package lxd

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"slices"
	"time"

	"github.com/pkg/sftp"

	"github.com/openams/ams"
)

var _ ams.LogFollower = (*Backend)(nil)

const (
	followTime = 250 * time.Millisecond // between looks at a file
	keptTime   = 2 * time.Second        // between looks at what LXD keeps, which is read anew each time
	aliveTime  = 5 * time.Second        // between looks at whether the instance runs

	followPart = 32 << 10 // bytes that are read at once
	overlap    = 4 << 10  // how much of what was written tells where that ends
)

// FollowLog implements ams.LogFollower. A file is looked at four times a second,
// "console.log" and "container.log" every two seconds. Of these, what LXD has
// thrown away between two looks is lost.
func (b *Backend) FollowLog(ctx context.Context, ref ams.Ref, name string, tail int64, w io.Writer) error {
	if err := checkRef(ref); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := b.alive(ctx, ref); err != nil {
		return err
	}
	if err := checkLog(name); err != nil {
		return err
	}
	f := &follower{b: b, ref: ref, w: w, looked: time.Now()}
	err := f.run(ctx, name, max(tail, 0))
	var own *streamError
	switch {
	case errors.As(err, &own):
		return own.err
	case ctx.Err() != nil:
		return nil
	case ams.CodeOf(err) == ams.ErrNotFound:
		return err
	}
	// A connection that broke: because the instance stopped, or not.
	if state := ams.CodeOf(b.alive(ctx, ref)); state == ams.ErrState || state == ams.ErrNotFound || ctx.Err() != nil {
		return nil
	}
	return b.classify(ctx, err)
}

// alive returns ErrState unless the instance runs, frozen or not.
func (b *Backend) alive(ctx context.Context, ref ams.Ref) error {
	i, err := b.get(ctx, ref)
	switch {
	case err != nil:
		return err
	case power(i) == ams.PowerUnknown:
		return ams.Errorf(ams.ErrUnavailable, "instance %q cannot be seen now", ref.ID)
	case !on(power(i)):
		return ams.Errorf(ams.ErrState, "instance %q is not running", ref.ID)
	}
	return nil
}

// follower follows one log.
type follower struct {
	b      *Backend
	ref    ams.Ref
	w      io.Writer
	looked time.Time // when the instance was last known to run
}

// run follows the log until something ends that.
func (f *follower) run(ctx context.Context, name string, tail int64) error {
	fsys, done, err := f.b.open(ctx, f.ref)
	if err != nil {
		return err
	}
	defer done()
	where, err := locate(fsys, name)
	switch {
	case err == nil:
		return f.file(ctx, fsys, where, tail)
	case !errors.Is(err, fs.ErrNotExist):
		return err
	case !slices.Contains(keptNames(), name):
		return noLog(name)
	}
	done()
	return f.kept(ctx, name, tail)
}

// pause waits until it is time to look again.
func (f *follower) pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
	}
	if time.Since(f.looked) < aliveTime {
		return nil
	}
	f.looked = time.Now()
	return f.b.alive(ctx, f.ref)
}

// write writes to the caller's writer.
func (f *follower) write(p []byte) error {
	if len(p) == 0 {
		return nil
	}
	if _, err := f.w.Write(p); err != nil {
		return &streamError{err}
	}
	return nil
}

// file follows a file. SFTP does not say which file a name means: it is another
// one than that which is open when the two look different, and the open one does
// not change.
func (f *follower) file(ctx context.Context, fsys *sftp.Client, name string, tail int64) error {
	open, err := fsys.Open(name)
	if err != nil {
		return err
	}
	defer func() { _ = open.Close() }()
	at, err := tailOf(open, tail)
	if err != nil {
		return err
	}
	for {
		if at, err = f.copy(open, at); err != nil {
			return err
		}
		if err := f.pause(ctx, followTime); err != nil {
			return err
		}
		before, err := open.Stat()
		if err != nil {
			return err
		}
		named, namedErr := fsys.Lstat(name)
		after, err := open.Stat()
		if err != nil {
			return err
		}
		switch {
		case before.Size() < at:
			at = 0 // it was truncated
		case errors.Is(namedErr, fs.ErrNotExist), namedErr == nil && !named.Mode().IsRegular():
			// It was moved, and there is no new one yet.
		case namedErr != nil:
			return namedErr
		case same(before, after) && !same(before, named):
			if at, err = f.copy(open, at); err != nil {
				return err
			}
			next, err := fsys.Open(name)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return err
			}
			_ = open.Close()
			open, at = next, 0
		}
	}
}

// same reports whether a file looks the same.
func same(x, y fs.FileInfo) bool { return x.Size() == y.Size() && x.ModTime().Equal(y.ModTime()) }

// copy writes what there is from at on, and returns where that ends.
func (f *follower) copy(r io.ReaderAt, at int64) (int64, error) {
	part := make([]byte, followPart)
	for {
		n, err := r.ReadAt(part, at)
		if err := f.write(part[:n]); err != nil {
			return at, err
		}
		at += int64(n)
		if errors.Is(err, io.EOF) {
			return at, nil
		}
		if err != nil {
			return at, err
		}
	}
}

// tailOf returns where the last whole lines of a file begin, tail bytes at most.
func tailOf(file *sftp.File, tail int64) (int64, error) {
	info, err := file.Stat()
	if err != nil {
		return 0, err
	}
	at := max(0, info.Size()-tail)
	if at == 0 {
		return 0, nil
	}
	// The byte before it tells whether a line begins there.
	part := make([]byte, followPart)
	for at--; at < info.Size(); {
		n, err := file.ReadAt(part[:min(int64(len(part)), info.Size()-at)], at)
		if end := bytes.IndexByte(part[:n], '\n'); end >= 0 {
			return at + int64(end) + 1, nil
		}
		at += int64(n)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return 0, err
		}
	}
	return info.Size(), nil
}

// kept follows what LXD keeps, of which it gives out all there is.
func (f *follower) kept(ctx context.Context, name string, tail int64) error {
	read := func() ([]byte, error) {
		r, err := f.b.kept(ctx, f.ref, name)
		if err != nil {
			return nil, err
		}
		defer r.Close() //nolint:errcheck // it returns nil
		return io.ReadAll(r)
	}
	now, err := read()
	if ams.CodeOf(err) == ams.ErrNotFound {
		return noLog(name)
	}
	if err != nil {
		return err
	}
	fresh := lines(now, tail)
	for {
		if err := f.write(fresh); err != nil {
			return err
		}
		if err := f.pause(ctx, keptTime); err != nil {
			return err
		}
		next, err := read()
		if err != nil {
			return err
		}
		fresh, now = added(now, next), next
	}
}

// lines returns the last whole lines of a log, tail bytes at most.
func lines(log []byte, tail int64) []byte {
	at := max(0, int64(len(log))-tail)
	if at == 0 {
		return log
	}
	end := bytes.IndexByte(log[at-1:], '\n')
	if end < 0 {
		return nil
	}
	return log[at+int64(end):]
}

// added returns what a log has now that it had not before: what comes after the
// end of what it was, which may have moved as its beginning was thrown away.
func added(before, now []byte) []byte {
	if rest, longer := bytes.CutPrefix(now, before); longer {
		return rest
	}
	end := before[max(0, len(before)-overlap):]
	if at := bytes.LastIndex(now, end); at >= 0 {
		return now[at+len(end):]
	}
	return now
}
