package sqlite

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/openams/ams"
	"github.com/openams/ams/internal/blobdir"
)

// maxReaders bounds Options.Readers.
const maxReaders = 64

// Open opens the database at path, and makes it if it is not there; opts may be
// nil. A database of an older version of this package is brought up to date. The
// directory must exist; whoever may write there can do as he likes with the
// database.
//
// Errors: ErrInvalid for the options, ErrInUse if the file is open already,
// ErrCorrupt if it is damaged, no database of ours, or newer than this package
// (it is then left as it is), ErrNoSpace.
func Open(path string, opts *Options) (*Store, error) {
	var o Options
	if opts != nil {
		o = *opts
	}
	o.Readers = cmp.Or(o.Readers, 4)
	if err := o.validate(path); err != nil {
		return nil, err
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, ams.Errorf(ams.ErrInternal, "find the database: %w", err)
	}
	l, err := acquireLock(path + ".lock")
	if err != nil {
		return nil, err
	}
	s := &Store{lock: l, schemas: newSchemas(), closing: make(chan struct{})}
	if err := s.open(path, &o); err != nil {
		return nil, errors.Join(err, l.release())
	}
	return s, nil
}

func (o *Options) validate(path string) error {
	switch {
	case path == "":
		return ams.Errorf(ams.ErrInvalid, "path is required")
	case strings.ContainsRune(path, 0):
		return ams.Errorf(ams.ErrInvalid, "path %q contains a NUL character", path)
	case o.Synchronous < Full || o.Synchronous > Off:
		return ams.Errorf(ams.ErrInvalid, "synchronous %d is invalid: use Full, Normal or Off", o.Synchronous)
	case o.Readers < 1 || o.Readers > maxReaders:
		return ams.Errorf(ams.ErrInvalid, "readers %d is out of range (1-%d)", o.Readers, maxReaders)
	}
	return nil
}

// open opens the file, the connections and the blobs. The lock is held.
func (s *Store) open(path string, o *Options) (err error) {
	if err := createFile(path); err != nil {
		return err
	}
	if err := checkFile(path); err != nil {
		return err
	}
	if err := migrateFile(path); err != nil {
		return err
	}
	var conns []*conn
	defer func() {
		if err != nil {
			for _, c := range conns {
				err = errors.Join(err, c.close())
			}
		}
	}()
	for i := range 1 + o.Readers {
		c, err := connect(o.dsn(path, i > 0), path)
		if err != nil {
			return err
		}
		conns = append(conns, c)
		if err := c.script(o.pragmas()); err != nil {
			return err
		}
	}
	if s.blobs, err = blobdir.Open(path + ".blobs"); err != nil {
		return err
	}
	s.writer = newWriter(conns[0])
	s.readers = make(chan *conn, o.Readers)
	for _, c := range conns[1:] {
		s.readers <- c
	}
	return nil
}

// dsn returns the data source name: the path as a URI, in which no character of
// the path has a meaning, and the settings that go-sqlite3 makes.
func (o *Options) dsn(path string, readOnly bool) string {
	v := url.Values{}
	v.Set("_mutex", "no") // a conn is used by one goroutine at a time
	v.Set("_journal_mode", "WAL")
	v.Set("_synchronous", [...]string{Full: "FULL", Normal: "NORMAL", Off: "OFF"}[o.Synchronous])
	v.Set("_busy_timeout", "5000") // for an operator's shell on the file
	if readOnly {
		v.Set("_query_only", "true")
	}
	return fileURI(path) + "?" + v.Encode()
}

// pragmas returns what each connection is set to besides.
func (o *Options) pragmas() string {
	sql := `PRAGMA temp_store = MEMORY;
		PRAGMA cache_size = -16384;        -- KiB
		PRAGMA wal_autocheckpoint = 8000;  -- pages of 4 KiB
		PRAGMA journal_size_limit = 33554432;`
	if o.maxPages > 0 {
		sql += fmt.Sprintf("PRAGMA max_page_count = %d;", o.maxPages)
	}
	return sql
}

// fileURI returns the absolute path as a URI for SQLite.
func fileURI(path string) string {
	return "file:" + (&url.URL{Path: path}).EscapedPath()
}

// createFile makes an empty file that only its owner can read, if there is none.
func createFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return nil
	}
	if err == nil {
		err = f.Close()
	}
	if err == nil {
		err = syncDir(filepath.Dir(path))
	}
	if errors.Is(err, syscall.ENOSPC) {
		return ams.Errorf(ams.ErrNoSpace, "create the database: %w", err)
	}
	if err != nil {
		return ams.Errorf(ams.ErrInternal, "create the database: %w", err)
	}
	return nil
}

// checkFile refuses a file that does not begin as a database does. SQLite itself
// takes a short one for empty and writes over it.
func checkFile(path string) error {
	const magic = "SQLite format 3\x00"
	f, err := os.Open(path)
	if err != nil {
		return ams.Errorf(ams.ErrInternal, "open the database: %w", err)
	}
	defer f.Close()
	begin := make([]byte, len(magic))
	n, err := io.ReadFull(f, begin)
	switch {
	case errors.Is(err, io.EOF), string(begin[:n]) == magic:
		return nil
	case err == nil, errors.Is(err, io.ErrUnexpectedEOF):
		return ams.Errorf(ams.ErrCorrupt, "database %s: file is not a database", path)
	}
	return ams.Errorf(ams.ErrInternal, "open the database: %w", err)
}

// syncDir makes the names in a directory durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
