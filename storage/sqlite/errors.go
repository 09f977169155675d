package sqlite

import (
	"errors"

	sqlite3 "github.com/mattn/go-sqlite3"

	"github.com/openams/ams"
)

// classify gives an error of SQLite the code that callers ask for, and the name
// of the file. A nil error stays nil.
func classify(file string, err error) error {
	if err == nil {
		return nil
	}
	code := ams.ErrInternal
	var e sqlite3.Error
	if errors.As(err, &e) {
		switch e.Code {
		case sqlite3.ErrFull:
			code = ams.ErrNoSpace
		case sqlite3.ErrCorrupt, sqlite3.ErrNotADB:
			code = ams.ErrCorrupt
		case sqlite3.ErrBusy, sqlite3.ErrLocked:
			code = ams.ErrUnavailable
		}
	}
	return ams.Errorf(code, "database %s: %w", file, err)
}

// clash says which constraint an error of SQLite tells of.
type clash int

const (
	clashNone clash = iota
	clashKey        // the primary key
	clashName       // another unique index
)

// clashOf returns the constraint that err, as classify made it, tells of.
func clashOf(err error) clash {
	var e sqlite3.Error
	if !errors.As(err, &e) {
		return clashNone
	}
	switch e.ExtendedCode {
	case sqlite3.ErrConstraintPrimaryKey, sqlite3.ErrConstraintRowID:
		return clashKey
	case sqlite3.ErrConstraintUnique:
		return clashName
	}
	return clashNone
}

// isFailure reports whether err is an error of SQLite other than a broken
// constraint. After some failures SQLite has rolled the transaction back, and a
// further write would be committed on its own.
func isFailure(err error) bool {
	var e sqlite3.Error
	return errors.As(err, &e) && e.Code != sqlite3.ErrConstraint
}

// errClosed is what every use of a closed store returns.
func errClosed() error {
	return ams.Errorf(ams.ErrUnavailable, "store is closed")
}
