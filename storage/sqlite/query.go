package sqlite

import (
	"database/sql/driver"
	"slices"
	"strings"

	"github.com/openams/ams"
)

// query is a list or a count of one table being put together. The first
// condition that has an index drives: the statement is made to use that index,
// whatever SQLite guesses about the others. The other conditions filter.
//
// The methods that add a condition add none when the value is not set.
type query struct {
	table  string
	from   string // the table, and the index or table that drives
	order  string // the column to order by
	driven bool
	conds  []string
	args   []driver.Value
	anyOf  []string // values of status when status drives: the list is a merge of one list for each
}

func newQuery(table string) *query {
	return &query{table: table, from: table, order: "id"}
}

// where adds a condition.
func (q *query) where(cond string, args ...driver.Value) {
	q.conds = append(q.conds, cond)
	q.args = append(q.args, args...)
}

// drive makes the index drive, unless another does.
func (q *query) drive(index string) {
	if !q.driven {
		q.driven = true
		q.from = q.table + " INDEXED BY " + index
	}
}

// unique adds an equality on a column that is unique. SQLite always drives by it.
func (q *query) unique(column, value string) {
	if value != "" {
		q.driven = true
		q.where(column+" = ?", value)
	}
}

// text adds an equality; index may be empty.
func (q *query) text(column, value, index string) {
	if value == "" {
		return
	}
	if index != "" {
		q.drive(index)
	}
	q.where(column+" = ?", value)
}

// number adds an equality.
func (q *query) number(column string, value *int) {
	if value != nil {
		q.where(column+" = ?", int64(*value))
	}
}

// flag adds an equality. It is written out, as partial indexes require; index is
// the one on the rows that have it true, and other on those that have it false.
// Both may be empty.
func (q *query) flag(column string, value *bool, index, other string) {
	if value == nil {
		return
	}
	literal := " = 1"
	if !*value {
		literal, index = " = 0", other
	}
	if index != "" {
		q.drive(index)
	}
	q.where(column + literal)
}

// contains adds that a column with a JSON list of text has all the values.
func (q *query) contains(column string, values []string) {
	for _, v := range values {
		q.where("EXISTS (SELECT 1 FROM json_each("+column+") WHERE value = ?)", v)
	}
}

// status adds that the status is any of those given; index may be empty.
func status[S ~string](q *query, values []S, index string) {
	if len(values) == 0 {
		return
	}
	var texts []string
	for _, v := range values {
		if !slices.Contains(texts, string(v)) {
			texts = append(texts, string(v))
		}
	}
	if index != "" && !q.driven {
		q.drive(index)
		q.anyOf = texts
		return
	}
	q.whereStatus(texts)
}

func (q *query) whereStatus(values []string) {
	cond := "status IN (?" + strings.Repeat(", ?", len(values)-1) + ")"
	q.conds = append(q.conds, cond)
	for _, v := range values {
		q.args = append(q.args, v)
	}
}

// list returns the statement for a page of the rows, and its arguments. The last
// column of the result is data; there are as many columns as the third value says.
func (q *query) list(page ams.Page) (sql string, args []driver.Value, columns int) {
	limit := int64(-1)
	if page.Limit > 0 {
		limit = int64(page.Limit)
	}
	var b strings.Builder
	switch {
	case len(q.anyOf) == 0:
		b.WriteString("SELECT data FROM " + q.from + q.whereClause())
		args, columns = q.args, 1
	default:
		// Each list comes from the index in the order of id, and SQLite merges
		// them no further than the page needs. An IN would sort all of them.
		q.conds = append(q.conds, "status = ?")
		for i, v := range q.anyOf {
			if i > 0 {
				b.WriteString(" UNION ALL ")
			}
			b.WriteString("SELECT id, data FROM " + q.from + q.whereClause())
			args = append(append(args, q.args...), v)
		}
		columns = 2
	}
	b.WriteString(" ORDER BY " + q.order + " LIMIT ? OFFSET ?")
	return b.String(), append(args, limit, int64(max(page.Offset, 0))), columns
}

// count returns the statement for the number of rows, and its arguments.
func (q *query) count() (sql string, args []driver.Value) {
	if len(q.anyOf) > 0 {
		q.whereStatus(q.anyOf)
	}
	return "SELECT count(*) FROM " + q.from + q.whereClause(), q.args
}

func (q *query) whereClause() string {
	if len(q.conds) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(q.conds, " AND ")
}
