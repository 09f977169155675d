package android

import (
	"bytes"
	"cmp"
	"encoding/json"
	"strings"

	"github.com/openams/ams"
)

// The bounds of what is taken from an instance.
const (
	maxLine = 32 << 10 // bytes of one line
	maxTail = 4 << 10  // bytes of a command's output
	maxName = 512      // bytes of a step's name
)

// stepReader reads lines of JSON, one per change of a step, and reports them.
// What is not such a line is skipped: it comes from inside an instance, and may
// be anything.
type stepReader struct {
	report func(ams.GuestStep)
	failed error // of the step that failed

	line []byte
	skip bool // the line is too long
}

// Write never fails.
func (r *stepReader) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		part, rest, whole := bytes.Cut(p, []byte{'\n'})
		p = rest
		if len(r.line)+len(part) > maxLine {
			r.skip = true
		}
		if !r.skip {
			r.line = append(r.line, part...)
		}
		if whole {
			if !r.skip {
				r.step(r.line)
			}
			r.line, r.skip = r.line[:0], false
		}
	}
	return n, nil
}

// step takes one line.
func (r *stepReader) step(line []byte) {
	var s struct {
		Step  string `json:"step"`
		State string `json:"state"`
		Exit  int    `json:"exit"`
		Tail  string `json:"tail"`
	}
	if json.Unmarshal(line, &s) != nil || s.Step == "" {
		return
	}
	name := clean(s.Step, maxName)
	switch s.State {
	case "begin":
		r.report(ams.GuestStep{Name: name})
	case "end":
		r.report(ams.GuestStep{Name: name, Ended: true})
	case "fail":
		exit, out := cmp.Or(s.Exit, 1), clean(s.Tail, maxTail)
		r.report(ams.GuestStep{Name: name, Ended: true, Exit: exit, Tail: out})
		if r.failed == nil {
			r.failed = ams.Errorf(ams.ErrFailed, "%s exited with code %d%s", name, exit, colon(out))
		}
	}
}

// tail keeps the last maxTail bytes written to it.
type tail struct {
	b []byte
}

// Write never fails.
func (t *tail) Write(p []byte) (int, error) {
	t.b = append(t.b, p[max(0, len(p)-maxTail):]...)
	if over := len(t.b) - maxTail; over > 0 {
		t.b = append(t.b[:0], t.b[over:]...)
	}
	return len(p), nil
}

func (t *tail) String() string { return clean(string(t.b), maxTail) }

// clean returns the end of s as valid UTF-8 without control characters other than
// line ends and tabs, and without white space around it.
func clean(s string, limit int) string {
	s = s[max(0, len(s)-limit):]
	s = strings.Map(func(r rune) rune {
		if r == '\uFFFD' || r < ' ' && r != '\n' && r != '\t' || r >= 0x7f && r < 0xa0 {
			return -1
		}
		return r
	}, s)
	return strings.TrimSpace(s)
}

// colon puts ": " before what is not empty.
func colon(s string) string {
	if s == "" {
		return ""
	}
	return ": " + s
}
