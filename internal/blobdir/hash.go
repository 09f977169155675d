package blobdir

import "hash"

// How much of a blob is in memory while it is written: so many buffers of so many
// bytes.
const (
	bufferCount = 4
	bufferSize  = 256 << 10
)

// hasher hashes in a goroutine of its own, while its owner reads and writes, for
// that takes just as long. The owner asks for a buffer, fills it, has it hashed, and
// may read it until it asks for the next.
type hasher struct {
	dir      *Dir
	full     chan []byte
	free     chan []byte
	borrowed int // how many buffers came from the Dir
}

func (d *Dir) newHasher(sum hash.Hash) *hasher {
	h := &hasher{dir: d, full: make(chan []byte, bufferCount), free: make(chan []byte, bufferCount)}
	go func() {
		defer close(h.free)
		for b := range h.full {
			sum.Write(b) // a hash takes everything
			h.free <- b[:bufferSize]
		}
	}()
	return h
}

// buffer returns a buffer to be filled.
func (h *hasher) buffer() []byte {
	if h.borrowed < bufferCount && len(h.free) == 0 {
		h.borrowed++
		return *h.dir.buffers.Get().(*[]byte)
	}
	return <-h.free
}

// hash has the beginning of the buffer hashed.
func (h *hasher) hash(b []byte) { h.full <- b }

// end waits until all is hashed.
func (h *hasher) end() {
	close(h.full)
	for b := range h.free {
		h.dir.buffers.Put(&b)
	}
}
