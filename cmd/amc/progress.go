package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"os"
	"time"

	"golang.org/x/term"

	"github.com/openams/ams"
)

// sum is a SHA-256 in the making.
type sum struct{ hash.Hash }

func newSum() sum { return sum{sha256.New()} }

func (s sum) String() string { return hex.EncodeToString(s.Sum(nil)) }

// progress shows at a terminal how far an upload is.
func (p *program) progress(r io.Reader, path string) io.Reader {
	f, ok := p.err.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) { //nolint:gosec // it fits
		return r
	}
	info, err := os.Stat(path)
	size := int64(0)
	if err == nil && !info.IsDir() {
		size = info.Size()
	}
	return &shown{r: r, w: f, size: size}
}

// shown is a reader that tells how far it is.
type shown struct {
	r    io.Reader
	w    io.Writer
	size int64 // 0 is not known
	n    int64
	last time.Time
}

func (s *shown) Read(b []byte) (int, error) {
	n, err := s.r.Read(b)
	s.n += int64(n)
	if time.Since(s.last) > 200*time.Millisecond || err != nil {
		s.last = time.Now()
		text := "uploading " + ams.Size(s.n).String()
		if s.size > 0 {
			text = fmt.Sprintf("uploading %d %%", min(100, s.n*100/s.size))
		}
		fmt.Fprintf(s.w, "\r%-40s", text)
		if err != nil {
			fmt.Fprintf(s.w, "\r%-40s\r", "")
		}
	}
	return n, err
}
