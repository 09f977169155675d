package lxd

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"sync"

	"github.com/canonical/lxd/shared/api"

	"github.com/openams/ams"
)

// maxConsole is how much is remembered of what was written to a console: its end.
const maxConsole = 256 << 10

// consoles remembers what was read of the consoles. What LXD 5.0 has told of one
// that runs it does not tell again, and it answers an internal error when there is
// nothing new.
type consoles struct {
	mu     sync.Mutex
	byName map[string]*console
}

// console is what was read of a console. The lock "console <name>" guards it.
type console struct {
	all  []byte
	last []byte // what was read last, of one that runs
}

func (c *consoles) of(name string) *console {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byName == nil {
		c.byName = map[string]*console{}
	}
	if c.byName[name] == nil {
		c.byName[name] = &console{}
	}
	return c.byName[name]
}

func (c *consoles) remove(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.byName, name)
}

func (c *console) add(p []byte) {
	c.all = append(c.all, p...)
	c.all = bytes.Clone(c.all[max(0, len(c.all)-maxConsole):])
}

// console returns the end of what was written to an instance's console.
func (b *Backend) console(ctx context.Context, ref ams.Ref) ([]byte, error) {
	name := instanceName(ref.ID)
	unlock, err := b.locks.lock(ctx, "console "+name)
	if err != nil {
		return nil, err
	}
	defer unlock()
	i, err := b.get(ctx, ref)
	if err != nil {
		return nil, err
	}
	runs := on(power(i))
	now, err := b.readConsole(ctx, name, runs)
	if err != nil {
		return nil, err
	}
	c := b.consoles.of(name)
	switch {
	case !runs: // LXD has written the rest to a file
		if !bytes.HasSuffix(c.all, now) {
			c.add(added(c.all, now))
		}
		c.last = nil
	case len(c.last) > 0 && bytes.HasPrefix(now, c.last):
		// It was written once more, or this LXD tells all of it each time.
		again, err := b.readConsole(ctx, name, runs)
		if err != nil {
			return nil, err
		}
		if rest, whole := bytes.CutPrefix(again, now); whole {
			c.add(now[len(c.last):])
			c.add(rest)
			c.last = again
			break
		}
		c.add(now)
		c.add(again)
		c.last = again
	default:
		c.add(now)
		c.last = now
	}
	return c.all, nil
}

// readConsole asks LXD for the console.
func (b *Backend) readConsole(ctx context.Context, name string, runs bool) (text []byte, err error) {
	err = b.do(ctx, func(c server) error {
		r, err := c.GetInstanceConsoleLog(name, nil)
		if runs && api.StatusErrorCheck(err, http.StatusInternalServerError) {
			return nil
		}
		if err != nil {
			return err
		}
		defer r.Close() //nolint:errcheck // it was read
		text, err = io.ReadAll(io.LimitReader(r, maxLog))
		return err
	})
	return text, err
}
