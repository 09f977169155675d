// Package xid makes ids that sort by the time they were made.
package xid

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/binary"
	"encoding/hex"
	"sync"
	"time"
)

// Len is the length of an id in characters.
const Len = 20

var encoding = base32.NewEncoding("0123456789abcdefghijklmnopqrstuv").WithPadding(base32.NoPadding)

// Source makes ids. Ids of one Source rise strictly, also when the clock goes
// back; two Sources never make the same id. It is safe for concurrent use.
type Source struct {
	mu      sync.Mutex
	origin  [5]byte // tells Sources apart
	second  uint32
	counter uint32 // within the second; 24 bits are used
}

// NewSource returns a Source with a random origin.
func NewSource() *Source {
	s := new(Source)
	_, _ = rand.Read(s.origin[:]) // never fails
	return s
}

// New returns an id of 20 characters from 0-9 and a-v: seconds since 1970,
// origin, and a count.
func (s *Source) New(now time.Time) string {
	s.mu.Lock()
	if sec := uint32(now.Unix()); sec > s.second {
		s.second, s.counter = sec, 0
	} else if s.counter++; s.counter == 1<<24 {
		s.second, s.counter = s.second+1, 0
	}
	var b [12]byte
	binary.BigEndian.PutUint32(b[:], s.second)
	copy(b[4:], s.origin[:])
	b[9], b[10], b[11] = byte(s.counter>>16), byte(s.counter>>8), byte(s.counter)
	s.mu.Unlock()
	return encoding.EncodeToString(b[:])
}

// Time returns the second an id was made in, and false for what is not an id.
func Time(id string) (time.Time, bool) {
	b, err := encoding.DecodeString(id)
	if len(id) != Len || err != nil {
		return time.Time{}, false
	}
	return time.Unix(int64(binary.BigEndian.Uint32(b)), 0).UTC(), true
}

// UUID returns a UUID of version 7, which sorts by milliseconds.
func UUID(now time.Time) string {
	var b [16]byte
	_, _ = rand.Read(b[6:]) // never fails
	ms := uint64(now.UnixMilli())
	binary.BigEndian.PutUint16(b[:], uint16(ms>>32))
	binary.BigEndian.PutUint32(b[2:], uint32(ms))
	b[6] = b[6]&0x0f | 0x70
	b[8] = b[8]&0x3f | 0x80
	h := hex.EncodeToString(b[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}
