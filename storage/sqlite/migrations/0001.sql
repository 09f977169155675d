-- Every table of rows has its key, its revision, what is filtered by or unique,
-- and the whole row as JSON. The index on what is filtered by ends with id,
-- because every list is ordered by id.

CREATE TABLE applications (
    id            TEXT    NOT NULL PRIMARY KEY,
    rev           INTEGER NOT NULL,
    name          TEXT    NOT NULL,
    status        TEXT    NOT NULL,
    published     INTEGER NOT NULL,
    immutable     INTEGER NOT NULL,
    instance_type TEXT    NOT NULL,
    boot_package  TEXT    NOT NULL,
    abi           TEXT    NOT NULL,
    image         TEXT    NOT NULL,
    vm            INTEGER NOT NULL,
    tags          TEXT    NOT NULL, -- a JSON list
    addons        TEXT    NOT NULL, -- a JSON list
    data          TEXT    NOT NULL
) STRICT;
CREATE UNIQUE INDEX applications_name ON applications (name);

CREATE TABLE versions (
    id             TEXT    NOT NULL PRIMARY KEY,
    rev            INTEGER NOT NULL,
    application_id TEXT    NOT NULL,
    status         TEXT    NOT NULL,
    published      INTEGER NOT NULL,
    image_id       TEXT    NOT NULL,
    package        TEXT    NOT NULL, -- a digest
    data           TEXT    NOT NULL
) STRICT;
CREATE INDEX versions_application ON versions (application_id, id);
CREATE INDEX versions_image ON versions (image_id, id);
CREATE INDEX versions_package ON versions (package, id);

CREATE TABLE images (
    id         TEXT    NOT NULL PRIMARY KEY,
    rev        INTEGER NOT NULL,
    name       TEXT    NOT NULL,
    vm         INTEGER NOT NULL,
    is_default INTEGER NOT NULL,
    status     TEXT    NOT NULL,
    data       TEXT    NOT NULL
) STRICT;
CREATE UNIQUE INDEX images_name ON images (name, vm);

CREATE TABLE instances (
    id             TEXT    NOT NULL PRIMARY KEY,
    rev            INTEGER NOT NULL,
    name           TEXT    NOT NULL,
    application_id TEXT    NOT NULL,
    version        INTEGER NOT NULL,
    image_id       TEXT    NOT NULL,
    image_version  INTEGER NOT NULL,
    node           TEXT    NOT NULL,
    status         TEXT    NOT NULL,
    base           INTEGER NOT NULL,
    resting        INTEGER NOT NULL,
    tags           TEXT    NOT NULL, -- a JSON list
    data           TEXT    NOT NULL
) STRICT;
CREATE UNIQUE INDEX instances_name ON instances (name);
CREATE INDEX instances_application ON instances (application_id, id, version);
CREATE INDEX instances_image ON instances (image_id, id, image_version) WHERE image_id <> '';
CREATE INDEX instances_node ON instances (node, id);
CREATE INDEX instances_status ON instances (status, id);
CREATE INDEX instances_base ON instances (id) WHERE base = 1;
CREATE INDEX instances_active ON instances (id) WHERE resting = 0;

-- The tags of the instances, one to a row. Triggers keep it.
CREATE TABLE instance_tags (
    tag      TEXT NOT NULL,
    instance TEXT NOT NULL,
    PRIMARY KEY (tag, instance)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER instances_tags_insert AFTER INSERT ON instances WHEN NEW.tags <> '[]'
BEGIN
    INSERT INTO instance_tags SELECT DISTINCT value, NEW.id FROM json_each(NEW.tags);
END;
CREATE TRIGGER instances_tags_update AFTER UPDATE OF tags ON instances
BEGIN
    DELETE FROM instance_tags
        WHERE instance = OLD.id AND tag IN (SELECT value FROM json_each(OLD.tags));
    INSERT INTO instance_tags SELECT DISTINCT value, NEW.id FROM json_each(NEW.tags);
END;
CREATE TRIGGER instances_tags_delete AFTER DELETE ON instances WHEN OLD.tags <> '[]'
BEGIN
    DELETE FROM instance_tags
        WHERE instance = OLD.id AND tag IN (SELECT value FROM json_each(OLD.tags));
END;

CREATE TABLE nodes (
    id     TEXT    NOT NULL PRIMARY KEY, -- the name
    rev    INTEGER NOT NULL,
    status TEXT    NOT NULL,
    data   TEXT    NOT NULL
) STRICT;

CREATE TABLE operations (
    id         TEXT    NOT NULL PRIMARY KEY,
    rev        INTEGER NOT NULL,
    done       INTEGER NOT NULL,
    updated_at INTEGER NOT NULL, -- microseconds since 1970
    data       TEXT    NOT NULL
) STRICT;
CREATE INDEX operations_running ON operations (id) WHERE done = 0;
CREATE INDEX operations_ended ON operations (updated_at) WHERE done = 1;

CREATE TABLE settings (
    id   TEXT    NOT NULL PRIMARY KEY, -- the key
    rev  INTEGER NOT NULL,
    data TEXT    NOT NULL
) STRICT;

-- AUTOINCREMENT: a number is not used again, also when its event is gone.
CREATE TABLE events (
    seq  INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    data TEXT    NOT NULL
) STRICT;
