package sqlite

import (
	"database/sql/driver"
	"embed"
	"errors"
	"fmt"

	"github.com/openams/ams"
)

// applicationID marks our databases in the header of the file: "openams" cut to
// four letters.
const applicationID = 0x6f616d73

// migrations are the steps from each version of the schema to the next, from
// 0001 on. A step that was released is never changed.
//
//go:embed migrations/*.sql
var migrations embed.FS

// step returns the script of a step, or an error if there is no such step.
func step(version int64) (string, error) {
	script, err := migrations.ReadFile(fmt.Sprintf("migrations/%04d.sql", version))
	return string(script), err
}

// latest returns the version of the schema that this package uses.
func latest() int64 {
	version := int64(0)
	for {
		if _, err := step(version + 1); err != nil {
			return version
		}
		version++
	}
}

// migrateFile brings the file to the latest schema. It looks before it changes
// anything, so that a file that is not for us stays as it is.
func migrateFile(path string) (err error) {
	c, err := connect(fileURI(path)+"?mode=ro", path)
	if err != nil {
		return err
	}
	version, err := schemaVersion(c)
	if err = errors.Join(err, c.close()); err != nil || version == latest() {
		return err
	}
	c, err = connect((&Options{}).dsn(path, false), path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	for version < latest() {
		version++
		if err := migrate(c, version); err != nil {
			return err
		}
	}
	return nil
}

// migrate takes one step, whole or not at all.
func migrate(c *conn, version int64) error {
	script, err := step(version)
	if err != nil {
		return ams.Errorf(ams.ErrInternal, "database %s: %w", c.file, err)
	}
	err = c.script(fmt.Sprintf("BEGIN IMMEDIATE; PRAGMA application_id = %d; PRAGMA user_version = %d; %s; COMMIT",
		applicationID, version, script))
	if err != nil && c.inTransaction() {
		err = errors.Join(err, c.script("ROLLBACK"))
	}
	return err
}

// schemaVersion returns the version of the schema, 0 for an empty file, or
// ErrCorrupt if the file is damaged, belongs to another program, or is newer.
func schemaVersion(c *conn) (version int64, err error) {
	var id, objects int64
	for sql, value := range map[string]*int64{
		"PRAGMA user_version":                &version,
		"PRAGMA application_id":              &id,
		"SELECT count(*) FROM sqlite_schema": &objects,
	} {
		err := c.query(sql, nil, 1, func(row []driver.Value) error {
			*value = row[0].(int64)
			return nil
		})
		if err != nil {
			return 0, err
		}
	}
	switch {
	case objects > 0 && id != applicationID:
		return 0, ams.Errorf(ams.ErrCorrupt, "database %s belongs to another program", c.file)
	case version > latest():
		return 0, ams.Errorf(ams.ErrCorrupt, "database %s has schema version %d; this program knows versions up to %d",
			c.file, version, latest())
	}
	return version, nil
}
