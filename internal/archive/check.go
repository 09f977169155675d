package archive

import (
	"context"
	"io"
	"math"
	"sync"
	"sync/atomic"
)

// How many members of a zip are verified at the same time, and in pieces of how
// many bytes.
const (
	together  = 4
	pieceSize = 64 << 10
)

// Check verifies the whole archive: every file has the size and, in a zip, the
// checksum that it should have. look is called first for each member, in the order
// of the archive, and can refuse it. The function that it returns reads the
// content while it is verified; what that leaves is verified nevertheless, and if
// it is nil, all of it. These functions run one at a time too and in the goroutine
// of the caller, but of a zip, look may have seen further members by then.
//
// The reader of a file that lies in a zip as it is, not compressed, is an
// io.ReaderAt as well.
//
// The error is that of the first member in the order of the archive that has one.
// Errors about the archive are *Error; those of look and of its functions, and that
// of an ended context, are returned as they are.
func (a *Archive) Check(ctx context.Context, look func(Entry) (func(io.Reader) error, error)) error {
	if a.format == Zip {
		return a.checkZip(ctx, look)
	}
	buffer := make([]byte, pieceSize)
	return a.walkTar(ctx, func(e Entry, content io.Reader) error {
		read, err := look(e)
		if err != nil {
			return err
		}
		return readAll(content, read, buffer)
	})
}

// readAll reads a member to its end.
func readAll(content io.Reader, read func(io.Reader) error, buffer []byte) error {
	if read != nil {
		if err := read(content); err != nil {
			return err
		}
	}
	for {
		if _, err := content.Read(buffer); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// checkZip looks at all members first. Then it reads those that look wants to read
// here, and the others in goroutines, since unpacking is slow.
func (a *Archive) checkZip(ctx context.Context, look func(Entry) (func(io.Reader) error, error)) error {
	c := &zipCheck{ctx: ctx, files: a.files, first: math.MaxInt}
	c.reads = make([]func(io.Reader) error, len(a.files))
	for i, f := range a.files {
		read, err := look(f.Entry)
		if err != nil {
			c.fail(i, err)
			break
		}
		c.reads[i] = read
	}
	var workers sync.WaitGroup
	defer workers.Wait() // also when a function of look panics
	for range min(together, len(a.files)) {
		workers.Go(c.verify)
	}
	buffer := make([]byte, pieceSize)
	for i, read := range c.reads {
		if read != nil {
			c.visit(i, buffer)
		}
	}
	workers.Wait()
	return c.err
}

// zipCheck is a check that is going on.
type zipCheck struct {
	ctx   context.Context
	files []zipFile
	reads []func(io.Reader) error
	next  atomic.Int64 // the first member that no worker has taken

	mu    sync.Mutex
	first int // the first member with an error, and that
	err   error
}

// verify verifies members that nobody wants to read until all are taken.
func (c *zipCheck) verify() {
	buffer := make([]byte, pieceSize)
	for {
		i := int(c.next.Add(1)) - 1
		if i >= len(c.files) {
			return
		}
		if c.reads[i] == nil {
			c.visit(i, buffer)
		}
	}
}

// visit reads a member, unless one before it is known to have an error.
func (c *zipCheck) visit(i int, buffer []byte) {
	if c.failed(i) {
		return
	}
	err := c.ctx.Err()
	if err == nil {
		err = c.files[i].visit(c.ctx, func(_ Entry, content io.Reader) error {
			return readAll(content, c.reads[i], buffer)
		})
	}
	if err != nil {
		c.fail(i, err)
	}
}

func (c *zipCheck) failed(i int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.first <= i
}

func (c *zipCheck) fail(i int, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if i < c.first {
		c.first, c.err = i, err
	}
}
