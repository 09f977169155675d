package sqlite

import (
	"database/sql/driver"
	"errors"
	"io"

	sqlite3 "github.com/mattn/go-sqlite3"
)

// maxStatements bounds the prepared statements that a conn keeps. The texts come
// from the combinations of filter fields and of changed columns, of which a host
// uses some dozens.
const maxStatements = 256

// conn is one connection to the database and its prepared statements. It is used
// by one goroutine at a time.
//
// It drives go-sqlite3 without database/sql: a Store gives out its connections
// itself, in an order that matters, and database/sql would only cost time.
type conn struct {
	raw        *sqlite3.SQLiteConn
	file       string // for messages
	failure    error  // the last error that was not a broken constraint
	statements map[string]statement
}

// statement is what is used of a prepared statement of go-sqlite3.
type statement interface {
	Exec(args []driver.Value) (driver.Result, error)
	Query(args []driver.Value) (driver.Rows, error)
	Close() error
}

// connect opens a connection to the file that the data source name holds.
func connect(dsn, file string) (*conn, error) {
	raw, err := (&sqlite3.SQLiteDriver{}).Open(dsn)
	if err != nil {
		return nil, classify(file, err)
	}
	return &conn{
		raw:        raw.(*sqlite3.SQLiteConn),
		file:       file,
		statements: make(map[string]statement),
	}, nil
}

// script runs statements that take no arguments and are not kept.
func (c *conn) script(sql string) error {
	_, err := c.raw.Exec(sql, nil)
	return c.fault(err)
}

// exec runs one statement and returns how many rows it changed.
func (c *conn) exec(sql string, args ...driver.Value) (changed int64, err error) {
	s, err := c.prepare(sql)
	if err != nil {
		return 0, err
	}
	result, err := s.Exec(args)
	if err != nil {
		return 0, c.fault(err)
	}
	changed, _ = result.RowsAffected() // always nil in go-sqlite3
	return changed, nil
}

// query runs one statement and calls each with every row of its result, which
// has the given number of columns. The slice is used again for the next row.
func (c *conn) query(sql string, args []driver.Value, columns int, each func([]driver.Value) error) error {
	s, err := c.prepare(sql)
	if err != nil {
		return err
	}
	rows, err := s.Query(args)
	if err != nil {
		return c.fault(err)
	}
	row := make([]driver.Value, columns)
	for {
		switch err := rows.Next(row); {
		case errors.Is(err, io.EOF):
			return c.fault(rows.Close())
		case err != nil:
			rows.Close() // the first error is the one to tell
			return c.fault(err)
		}
		if err := each(row); err != nil {
			rows.Close()
			return err
		}
	}
}

// prepare returns the kept statement with the given text, or a new one.
func (c *conn) prepare(sql string) (statement, error) {
	if s, ok := c.statements[sql]; ok {
		return s, nil
	}
	if len(c.statements) >= maxStatements {
		c.forget()
	}
	s, err := c.raw.Prepare(sql)
	if err != nil {
		return nil, c.fault(err)
	}
	c.statements[sql] = s.(statement)
	return c.statements[sql], nil
}

// forget closes the kept statements.
func (c *conn) forget() {
	for _, s := range c.statements {
		s.Close() // frees memory; what it returns was told before
	}
	clear(c.statements)
}

// fault classifies an error of SQLite and remembers it if it is a failure. A nil
// error stays nil.
func (c *conn) fault(err error) error {
	err = classify(c.file, err)
	if isFailure(err) {
		c.failure = err
	}
	return err
}

// inTransaction reports whether a transaction is open. SQLite ends one by itself
// on some errors.
func (c *conn) inTransaction() bool { return !c.raw.AutoCommit() }

// close closes the connection.
func (c *conn) close() error {
	c.forget()
	return c.fault(c.raw.Close())
}
