package mem

import (
	"iter"
	"strings"

	"github.com/openams/ams"
)

// schema says what the store must know of the rows of one noun.
type schema[Row, Filter any] struct {
	kind string // the noun, for errors
	plan *plan
	key  func(*Row) string
	rev  func(*Row) *int64
	name func(*Row) string // of a row whose terms are taken, for errors
	// unique are the terms that no two rows may have; nil if there are none.
	unique func(*Row) []string
	// marks are the terms that a row is found under; lookup is the term that
	// leads to all rows that a filter can match, "" if that is every row.
	marks  func(*Row) []string
	lookup func(*Filter) string
	match  func(*Row, *Filter) bool
}

// rows is the state of one table.
type rows[Row any] struct {
	byID   tree[*Row]
	byTerm tree[string]   // unique term to id
	byMark tree[struct{}] // mark, separator, id
}

// separator is between a mark and an id. No mark has it in it.
const separator = "\x00"

// table is the rows of one noun in one transaction.
type table[Row, Filter any] struct {
	tx     *tx
	schema *schema[Row, Filter]
	rows   *rows[Row]
}

// Get implements ams.Table.
func (t table[Row, Filter]) Get(id string) (Row, error) {
	if err := t.tx.readable(); err != nil {
		return *new(Row), err
	}
	row, ok := t.rows.byID.get(id)
	if !ok {
		return *new(Row), t.notFound(id)
	}
	return copyOf(row), nil
}

// List implements ams.Table.
func (t table[Row, Filter]) List(filter Filter, page ams.Page) ([]Row, error) {
	if err := t.tx.readable(); err != nil {
		return nil, err
	}
	list := []Row{}
	skip := max(page.Offset, 0)
	for row := range t.matching(&filter) {
		if err := t.tx.ctx.Err(); err != nil {
			return nil, err
		}
		if skip > 0 {
			skip--
			continue
		}
		list = append(list, copyOf(row))
		if len(list) == page.Limit {
			break
		}
	}
	return list, nil
}

// Count implements ams.Table.
func (t table[Row, Filter]) Count(filter Filter) (int, error) {
	if err := t.tx.readable(); err != nil {
		return 0, err
	}
	n := 0
	for range t.matching(&filter) {
		n++
	}
	return n, nil
}

// Put implements ams.Table.
func (t table[Row, Filter]) Put(given Row) error {
	if err := t.tx.writable(); err != nil {
		return err
	}
	id := t.schema.key(&given)
	row, err := canonical(t.schema.plan, &given)
	if err != nil {
		return ams.Errorf(ams.ErrInternal, "%s %q cannot be stored: %w", t.schema.kind, id, err)
	}
	rev := t.schema.rev(row)
	old, ok := t.rows.byID.get(id)
	switch {
	case *rev == 0 && ok:
		return &ams.Error{Code: ams.ErrExists, Kind: t.schema.kind, ID: id}
	case *rev != 0 && !ok:
		return t.notFound(id)
	case *rev != 0 && *rev != *t.schema.rev(old):
		return &ams.Error{Code: ams.ErrConflict, Kind: t.schema.kind, ID: id}
	}
	for _, term := range t.schema.terms(row) {
		if owner, taken := t.rows.byTerm.get(term); taken && owner != id {
			return &ams.Error{Code: ams.ErrExists, Kind: t.schema.kind, ID: t.schema.name(row)}
		}
	}
	*rev++
	if ok {
		t.unlink(old)
	}
	seed := t.tx.store.seed
	t.rows.byID = t.rows.byID.set(seed, id, row)
	for _, term := range t.schema.terms(row) {
		t.rows.byTerm = t.rows.byTerm.set(seed, term, id)
	}
	for _, mark := range t.schema.marks(row) {
		t.rows.byMark = t.rows.byMark.set(seed, mark+separator+id, struct{}{})
	}
	return nil
}

// Delete implements ams.Table.
func (t table[Row, Filter]) Delete(id string) error {
	if err := t.tx.writable(); err != nil {
		return err
	}
	row, ok := t.rows.byID.get(id)
	if !ok {
		return t.notFound(id)
	}
	t.unlink(row)
	return nil
}

// unlink removes a row and all that leads to it.
func (t table[Row, Filter]) unlink(row *Row) {
	id := t.schema.key(row)
	t.rows.byID = t.rows.byID.remove(id)
	for _, term := range t.schema.terms(row) {
		t.rows.byTerm = t.rows.byTerm.remove(term)
	}
	for _, mark := range t.schema.marks(row) {
		t.rows.byMark = t.rows.byMark.remove(mark + separator + id)
	}
}

// terms returns what no other row may have.
func (s *schema[Row, Filter]) terms(row *Row) []string {
	if s.unique == nil {
		return nil
	}
	return s.unique(row)
}

// matching returns the rows that match the filter, in the order of id.
func (t table[Row, Filter]) matching(filter *Filter) iter.Seq[*Row] {
	return func(yield func(*Row) bool) {
		for row := range t.candidates(t.schema.lookup(filter)) {
			if t.schema.match(row, filter) && !yield(row) {
				return
			}
		}
	}
}

// candidates returns the rows found under a mark, or all if the mark is empty, in
// the order of id.
func (t table[Row, Filter]) candidates(mark string) iter.Seq[*Row] {
	return func(yield func(*Row) bool) {
		if mark == "" {
			for _, row := range t.rows.byID.from("") {
				if !yield(row) {
					return
				}
			}
			return
		}
		prefix := mark + separator
		for key := range t.rows.byMark.from(prefix) {
			id, ok := strings.CutPrefix(key, prefix)
			if !ok {
				return
			}
			if row, ok := t.rows.byID.get(id); ok && !yield(row) {
				return
			}
		}
	}
}

func (t table[Row, Filter]) notFound(id string) error {
	return &ams.Error{Code: ams.ErrNotFound, Kind: t.schema.kind, ID: id}
}
