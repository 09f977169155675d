package main

import (
	"database/sql"
	"fmt"
	"strings"
	"time"

	_ "github.com/mattn/go-sqlite3" // the baseline is written with it

	"github.com/openams/ams/storage/sqlite"
)

// rawGroup is how many launches' rows the baseline commits at once.
const rawGroup = 64

// rowsPerLaunch is how many rows the baseline writes for a launch: an instance,
// an operation and six events are new; the instance is changed twice more, and
// the operation and the node once.
const rowsPerLaunch = 12

// rawRows is the baseline of launch.fake: SQLite and nothing else.
type rawRows struct {
	db   *sql.DB
	next int
}

// openRawRows makes a file with the store's own schema.
func openRawRows(path string) (*rawRows, error) {
	s, err := sqlite.Open(path, nil)
	if err != nil {
		return nil, err
	}
	if err := s.Close(); err != nil {
		return nil, err
	}
	db, err := sql.Open("sqlite3", "file:"+path+"?_journal_mode=WAL&_synchronous=FULL&_mutex=no")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	for _, sql := range []string{"PRAGMA cache_size = -16384", "PRAGMA wal_autocheckpoint = 8000"} {
		if _, err := db.Exec(sql); err != nil {
			return nil, err
		}
	}
	for i := range fakeNodes {
		if _, err := db.Exec("INSERT INTO nodes (id, rev, status, data) VALUES (?, 1, 'online', ?)", fmt.Sprintf("node%d", i), rawData(450)); err != nil {
			return nil, err
		}
	}
	return &rawRows{db: db}, nil
}

func (r *rawRows) close() { _ = r.db.Close() }

// rawData is a JSON text as long as that of a real row.
func rawData(n int) string { return `{"Text":"` + strings.Repeat("x", n-11) + `"}` }

// The statements, as the store writes them.
const (
	rawInstance = "INSERT INTO instances (rev, name, application_id, version, image_id, image_version, node, status, base, resting, tags, id, data) VALUES (1, ?, '', -1, 'dc0gbhpsuiarue800060', 0, ?, 'prepared', 0, 0, '[]', ?, ?)"
	rawOp       = "INSERT INTO operations (rev, done, updated_at, id, data) VALUES (1, 0, ?, ?, ?)"
	rawEvent    = "INSERT INTO events (data) VALUES (?)"
	rawNode     = "UPDATE nodes SET rev = rev + 1, data = ? WHERE id = ?"
	rawBegin    = "UPDATE instances SET rev = 2, data = ?, status = 'started' WHERE id = ?"
	rawSettle   = "UPDATE instances SET rev = 3, data = ?, status = 'running', resting = 1 WHERE id = ?"
	rawEnd      = "UPDATE operations SET rev = 2, data = ?, done = 1, updated_at = ? WHERE id = ?"
)

// write writes the rows of n launches, a multiple of the group, and returns how
// many launches' there were per second.
func (r *rawRows) write(n int) (float64, error) {
	began := time.Now()
	for range n / rawGroup {
		if err := r.group(); err != nil {
			return 0, err
		}
	}
	return float64(n) / time.Since(began).Seconds(), nil
}

// group writes the rows of a group of launches, in the three transactions that a
// launch takes.
func (r *rawRows) group() error {
	event, first := rawData(150), r.next
	r.next += rawGroup
	phases := []func(s *script, id, op, node string, now int64){
		func(s *script, id, op, node string, now int64) {
			s.do(rawInstance, "ams-"+id, node, id, rawData(700))
			s.do(rawOp, now, op, rawData(250))
			s.do(rawNode, rawData(450), node)
			s.do(rawEvent, event)
			s.do(rawEvent, event)
			s.do(rawEvent, event)
		},
		func(s *script, id, _, _ string, _ int64) {
			s.do(rawBegin, rawData(700), id)
			s.do(rawEvent, event)
		},
		func(s *script, id, op, _ string, now int64) {
			s.do(rawSettle, rawData(650), id)
			s.do(rawEnd, rawData(300), now, op)
			s.do(rawEvent, event)
			s.do(rawEvent, event)
		},
	}
	for _, phase := range phases {
		tx, err := r.db.Begin()
		if err != nil {
			return err
		}
		s := &script{tx: tx, statements: map[string]*sql.Stmt{}}
		for i := first; i < first+rawGroup; i++ {
			phase(s, fmt.Sprintf("dc0%017d", i), fmt.Sprintf("01a1fbfe-9616-7dec-aa81-%012d", i), fmt.Sprintf("node%d", i%fakeNodes), time.Now().UnixMicro())
		}
		if s.err != nil {
			_ = tx.Rollback()
			return s.err
		}
		if err := tx.Commit(); err != nil {
			return err
		}
	}
	return nil
}

// script runs prepared statements in a transaction and keeps the first error.
type script struct {
	tx         *sql.Tx
	statements map[string]*sql.Stmt
	err        error
}

func (s *script) do(text string, args ...any) {
	if s.err != nil {
		return
	}
	stmt := s.statements[text]
	if stmt == nil {
		if stmt, s.err = s.tx.Prepare(text); s.err != nil {
			return
		}
		s.statements[text] = stmt
	}
	_, s.err = stmt.Exec(args...)
}
