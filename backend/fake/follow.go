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

// FollowLog implements ams.LogFollower.
func (b *Backend) FollowLog(ctx context.Context, ref ams.Ref, name string, tail int64, w io.Writer) error {
	return b.call(ctx, VerbFollowLog, ref.ID, func() error {
		log, err := b.growing(ref, name)
		if err != nil {
			return err
		}
		from := max(0, len(log)-int(min(tail, maxLog)))
		if from > 0 { // from the beginning of a line
			if end := bytes.IndexByte(log[from-1:], '\n'); end >= 0 {
				from += end
			} else {
				from = len(log)
			}
		}
		for {
			if len(log) < from {
				from = 0 // it is a new one
			}
			if len(log) > from {
				if _, err := w.Write(log[from:]); err != nil {
					return err
				}
				from = len(log)
			}
			select {
			case <-time.After(followTime):
			case <-ctx.Done():
				return nil
			}
			if log, err = b.growing(ref, name); err != nil {
				return nil // the instance has ended
			}
		}
	})
}

// growing returns a log of a running instance.
func (b *Backend) growing(ref ams.Ref, name string) ([]byte, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	i, err := b.finds(ref)
	if err != nil {
		return nil, err
	}
	if !i.on() {
		return nil, ams.Errorf(ams.ErrState, "instance %q is not running", ref.ID)
	}
	log, ok := i.Logs[name]
	if !ok {
		return nil, &ams.Error{Code: ams.ErrNotFound, Kind: "log", ID: name}
	}
	return bytes.Clone(log), nil
}
