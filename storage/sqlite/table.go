package sqlite

import (
	"database/sql/driver"
	"encoding/json"
	"reflect"
	"strings"

	"github.com/openams/ams"
)

// schema says how the rows of one noun lie in their table.
type schema[Row, Filter any] struct {
	kind    string   // the noun, for errors
	table   string   //
	columns []string // besides id, rev and data
	key     func(*Row) string
	name    func(*Row) string // what is unique besides the key; nil if nothing is
	rev     func(*Row) *int64
	values  func(*Row) []driver.Value // of columns: string and int64 only
	filter  func(*query, *Filter)

	// Made by complete.
	get, read, insert, remove string
	slim                      reflect.Type
}

// complete puts the statements together that are the same each time.
func (s *schema[Row, Filter]) complete() *schema[Row, Filter] {
	columns := strings.Join(append([]string{"rev"}, s.columns...), ", ")
	s.get = "SELECT data FROM " + s.table + " WHERE id = ?"
	s.read = "SELECT " + columns + " FROM " + s.table + " WHERE id = ?"
	s.insert = "INSERT INTO " + s.table + " (" + columns + ", id, data) VALUES (1" +
		strings.Repeat(", ?", len(s.columns)+2) + ")"
	s.slim = slim(reflect.TypeFor[Row]())
	s.remove = "DELETE FROM " + s.table + " WHERE id = ?"
	return s
}

// table is the rows of one noun in one transaction.
type table[Row, Filter any] struct {
	tx     *tx
	schema *schema[Row, Filter]
}

// Get implements ams.Table.
func (t table[Row, Filter]) Get(id string) (Row, error) {
	var row Row
	if err := t.tx.readable(); err != nil {
		return row, err
	}
	found := false
	err := t.tx.query(t.schema.get, []driver.Value{id}, 1, func(values []driver.Value) error {
		found = true
		return t.decode(values[0], &row)
	})
	if err == nil && !found {
		err = t.notFound(id)
	}
	return row, err
}

// List implements ams.Table.
func (t table[Row, Filter]) List(filter Filter, page ams.Page) ([]Row, error) {
	if err := t.tx.readable(); err != nil {
		return nil, err
	}
	q := newQuery(t.schema.table)
	t.schema.filter(q, &filter)
	sql, args, columns := q.list(page)
	rows := []Row{}
	err := t.tx.query(sql, args, columns, func(values []driver.Value) error {
		if err := t.tx.ctx.Err(); err != nil {
			return err
		}
		var row Row
		if err := t.decode(values[columns-1], &row); err != nil {
			return err
		}
		rows = append(rows, row)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return rows, nil
}

// Count implements ams.Table.
func (t table[Row, Filter]) Count(filter Filter) (int, error) {
	if err := t.tx.readable(); err != nil {
		return 0, err
	}
	q := newQuery(t.schema.table)
	t.schema.filter(q, &filter)
	sql, args := q.count()
	n := 0
	err := t.tx.query(sql, args, 1, func(values []driver.Value) error {
		n = int(values[0].(int64))
		return nil
	})
	return n, err
}

// Put implements ams.Table.
func (t table[Row, Filter]) Put(row Row) error {
	if err := t.tx.writable(); err != nil {
		return err
	}
	id, rev := t.schema.key(&row), t.schema.rev(&row)
	*rev++ // row is a copy
	data, err := t.schema.encode(&row)
	if err != nil {
		return ams.Errorf(ams.ErrInternal, "%s %q cannot be stored: %w", t.schema.kind, id, err)
	}
	if *rev == 1 {
		_, err = t.tx.conn.exec(t.schema.insert, append(t.schema.values(&row), id, data)...)
	} else {
		err = t.update(id, *rev, t.schema.values(&row), data)
	}
	switch clashOf(err) {
	case clashKey:
		return &ams.Error{Code: ams.ErrExists, Kind: t.schema.kind, ID: id}
	case clashName:
		return &ams.Error{Code: ams.ErrExists, Kind: t.schema.kind, ID: t.schema.name(&row)}
	}
	return t.tx.noteFailure(err)
}

// update sets only the columns that changed: SQLite rewrites the entry of every
// index on a column that is set, also when the value is what it was.
func (t table[Row, Filter]) update(id string, rev int64, values []driver.Value, data string) error {
	set := "UPDATE " + t.schema.table + " SET rev = ?, data = ?"
	args := append(make([]driver.Value, 0, len(values)+3), rev, data)
	err := t.notFound(id)
	read := t.tx.conn.query(t.schema.read, []driver.Value{id}, len(values)+1, func(old []driver.Value) error {
		err = nil
		if old[0].(int64) != rev-1 {
			err = &ams.Error{Code: ams.ErrConflict, Kind: t.schema.kind, ID: id}
		}
		for i, v := range values {
			if v != old[i+1] {
				set += ", " + t.schema.columns[i] + " = ?"
				args = append(args, v)
			}
		}
		return nil
	})
	if read != nil {
		return read
	}
	if err != nil {
		return err
	}
	_, err = t.tx.conn.exec(set+" WHERE id = ?", append(args, id)...)
	return err
}

// Delete implements ams.Table.
func (t table[Row, Filter]) Delete(id string) error {
	if err := t.tx.writable(); err != nil {
		return err
	}
	changed, err := t.tx.conn.exec(t.schema.remove, id)
	if err == nil && changed == 0 {
		return t.notFound(id)
	}
	return t.tx.noteFailure(err)
}

func (t table[Row, Filter]) notFound(id string) error {
	return &ams.Error{Code: ams.ErrNotFound, Kind: t.schema.kind, ID: id}
}

// decode reads the data column.
func (t table[Row, Filter]) decode(data driver.Value, row *Row) error {
	if err := json.Unmarshal([]byte(data.(string)), row); err != nil {
		return ams.Errorf(ams.ErrCorrupt, "database %s: a row of %s: %w", t.tx.conn.file, t.schema.table, err)
	}
	return nil
}

// integer returns the value of a flag's column.
func integer(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// list returns the value of a column with a list of text.
func list(texts []string) string {
	if len(texts) == 0 {
		return "[]"
	}
	data, _ := json.Marshal(texts) // text always has a JSON form
	return string(data)
}
