package ams

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/hashicorp/go-multierror"
)

// maxFaults bounds how many problems of one manifest are reported.
const maxFaults = 50

// FieldError is one problem of a manifest.
type FieldError struct {
	Field string // the field's path, such as services[0].port; empty for the file itself
	Line  int    // the line in the file, from 1; 0 if there is none
	Found string // the value that was found, cut at 64 bytes; empty if there is none
	Rule  string // one sentence that names the field, the value and the rule

	placed bool // Rule names the line already
}

// Error returns the rule and the line.
func (e *FieldError) Error() string {
	if e.Line == 0 || e.placed {
		return e.Rule
	}
	return fmt.Sprintf("%s (line %d)", e.Rule, e.Line)
}

// manifestFaults collects the problems of a manifest.
type manifestFaults struct {
	list    []*FieldError
	dropped int             // problems beyond maxFaults
	fields  map[string]bool // the paths that have a problem
	lines   map[string]int  // where each path that the file sets stands
}

func newManifestFaults() *manifestFaults {
	return &manifestFaults{fields: map[string]bool{}, lines: map[string]int{}}
}

// add records a problem with a field; the format makes the sentence.
func (f *manifestFaults) add(field, found, format string, args ...any) {
	f.put(&FieldError{Field: field, Line: f.line(field), Found: cut(found), Rule: fmt.Sprintf(format, args...)})
}

// malformed records a problem of the file as a whole.
func (f *manifestFaults) malformed(line int, format string, args ...any) {
	f.put(&FieldError{Line: line, Rule: "manifest.yaml is malformed: " + fmt.Sprintf(format, args...)})
}

func (f *manifestFaults) put(e *FieldError) {
	f.fields[e.Field] = true
	if len(f.list) == maxFaults {
		f.dropped++
		return
	}
	f.list = append(f.list, e)
}

// has reports whether the field has a problem already.
func (f *manifestFaults) has(field string) bool { return f.fields[field] }

// line returns where the field stands, or else the nearest field around it.
func (f *manifestFaults) line(field string) int {
	for field != "" {
		if line, ok := f.lines[field]; ok {
			return line
		}
		field = field[:max(strings.LastIndexAny(field, ".["), 0)]
	}
	return 0
}

// err returns all problems as one error, or nil.
func (f *manifestFaults) err() error {
	if len(f.list) == 0 {
		return nil
	}
	slices.SortStableFunc(f.list, func(a, b *FieldError) int { return cmp.Compare(a.Line, b.Line) })
	all := &multierror.Error{ErrorFormat: func(errs []error) string {
		if len(errs) == 1 {
			return errs[0].Error()
		}
		var b strings.Builder
		fmt.Fprintf(&b, "%d problems:", len(errs)+f.dropped)
		for _, err := range errs {
			b.WriteString("\n  * " + err.Error())
		}
		if f.dropped > 0 {
			fmt.Fprintf(&b, "\n  * and %d more", f.dropped)
		}
		return b.String()
	}}
	for _, e := range f.list {
		all.Errors = append(all.Errors, e)
	}
	return &Error{Code: ErrInvalid, Err: all}
}

// cut returns s, or its first 64 bytes at most and "…", never splitting a character.
func cut(s string) string {
	const limit = 64
	if len(s) <= limit {
		return s
	}
	end := limit
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + "…"
}

// quote returns s cut and in quotes, with escapes for what does not print.
func quote(s string) string { return fmt.Sprintf("%q", cut(s)) }
