package fake

import (
	"bytes"
	"context"
	"io"
	"time"

	"github.com/openams/ams"
)

var _ ams.LogFollower = (*Backend)(nil)

// followTime is how often a log that is followed is looked at.
const followTime = 100 * time.Millisecond

// FollowLog implements ams.LogFollower. Of a log of which more than a MiB is added
// between two looks, the beginning of that is lost.
func (b *Backend) FollowLog(ctx context.Context, ref ams.Ref, name string, tail int64, w io.Writer) error {
	return b.call(ctx, VerbFollowLog, ref.ID, func() error {
		log, now, err := b.growing(ref, name)
		if err == nil && now.generation == 0 {
			err = &ams.Error{Code: ams.ErrNotFound, Kind: "log", ID: name}
		}
		if err != nil {
			return err
		}
		fresh, at := lines(log, tail), now
		for {
			if len(fresh) > 0 {
				if _, err := w.Write(fresh); err != nil {
					return err
				}
			}
			if sleep(ctx, nil, followTime) != nil {
				return nil
			}
			log, now, err = b.growing(ref, name)
			if code := ams.CodeOf(err); code == ams.ErrState || code == ams.ErrNotFound {
				return nil // the instance has ended
			}
			if err != nil {
				return err
			}
			added := now.written
			if now.generation == at.generation {
				added -= at.written
			}
			fresh, at = log[max(0, len(log)-added):], now
		}
	})
}

// lines returns the last whole lines of a log, tail bytes at most.
func lines(log []byte, tail int64) []byte {
	at := max(0, len(log)-int(min(tail, maxLog)))
	if at == 0 {
		return log
	}
	end := bytes.IndexByte(log[at-1:], '\n')
	if end < 0 {
		return nil
	}
	return log[at+end:]
}

// growing returns a log of a running instance as it is now. Its generation is zero
// if there is none.
func (b *Backend) growing(ref ams.Ref, name string) ([]byte, growth, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	i, err := b.finds(ref)
	if err != nil {
		return nil, growth{}, err
	}
	if !i.on() {
		return nil, growth{}, ams.Errorf(ams.ErrState, "instance %q is not running", ref.ID)
	}
	log, ok := i.Logs[name]
	if !ok {
		return nil, growth{}, nil
	}
	g := i.growth[name]
	if g.generation == 0 { // it is older than this process
		g = growth{1, len(log)}
	}
	return bytes.Clone(log), g, nil
}

// growth tells what was added to a log from what it was replaced by.
type growth struct {
	generation int // counts the replacements
	written    int // since then, in bytes
}
