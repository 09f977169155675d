package ams

import "slices"

// The ports of a node that services get, for TCP and UDP each.
const (
	FirstNodePort = 10000
	LastNodePort  = 11000
)

// Span is a range of numbers, both ends included.
type Span struct{ First, Last int }

// Spans is a set of numbers: ordered, apart from each other, none empty.
type Spans []Span

// gap returns the first of n numbers in a row from low to high that are not in
// the set, and whether there are any.
func (s Spans) gap(n, low, high int) (int, bool) {
	for _, taken := range s {
		if taken.Last < low {
			continue
		}
		if taken.First-low >= n {
			break
		}
		low = taken.Last + 1
	}
	return low, high-low+1 >= n
}

// add returns the set with the numbers of span, which are not in it yet.
func (s Spans) add(span Span) Spans {
	i, _ := slices.BinarySearchFunc(s, span.First, func(have Span, first int) int { return have.First - first })
	joinsPrevious := i > 0 && s[i-1].Last == span.First-1
	joinsNext := i < len(s) && s[i].First == span.Last+1
	out := slices.Clone(s)
	switch {
	case joinsPrevious && joinsNext:
		out[i-1].Last = out[i].Last
		return slices.Delete(out, i, i+1)
	case joinsPrevious:
		out[i-1].Last = span.Last
		return out
	case joinsNext:
		out[i].First = span.First
		return out
	}
	return slices.Insert(out, i, span)
}

// remove returns the set without the numbers of span.
func (s Spans) remove(span Span) Spans {
	var out Spans
	for _, have := range s {
		if have.First < span.First {
			out = append(out, Span{have.First, min(have.Last, span.First-1)})
		}
		if have.Last > span.Last {
			out = append(out, Span{max(have.First, span.Last+1), have.Last})
		}
	}
	return out
}

// union returns the numbers that are in either set.
func (s Spans) union(other Spans) Spans {
	for _, span := range other {
		s = s.remove(span).add(span)
	}
	return s
}
