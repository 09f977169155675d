-- A database of schema version 4.
PRAGMA application_id = 1868655987;
PRAGMA user_version = 4;
PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
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
INSERT INTO applications VALUES('c0a1',1,'candy','ready',1,0,'','','','',0,'["game"]','["ssh"]','{"ID":"c0a1","Rev":1,"Name":"candy","Status":"ready","Published":true,"NextVersion":1,"CreatedAt":"2023-11-14T22:13:20Z","UpdatedAt":"2023-11-14T22:13:20Z","Manifest":{"name":"candy","tags":["game"],"addons":["ssh"]},"Package":{"Digest":"ab","Size":3,"Written":"2023-11-14T22:13:20Z"},"APK":{}}');
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
INSERT INTO versions VALUES('c0a1-0',1,'c0a1','active',1,'i1','ab','{"ID":"c0a1-0","Rev":1,"ApplicationID":"c0a1","Status":"active","Published":true,"Package":{"Digest":"ab","Size":3,"Written":"2023-11-14T22:13:20Z"},"ImageID":"i1","CreatedAt":"2023-11-14T22:13:20Z","UpdatedAt":"2023-11-14T22:13:20Z"}');
CREATE TABLE images (
    id         TEXT    NOT NULL PRIMARY KEY,
    rev        INTEGER NOT NULL,
    name       TEXT    NOT NULL,
    vm         INTEGER NOT NULL,
    is_default INTEGER NOT NULL,
    status     TEXT    NOT NULL,
    data       TEXT    NOT NULL
) STRICT;
INSERT INTO images VALUES('i1',1,'jammy',0,1,'active','{"ID":"i1","Rev":1,"Name":"jammy","Default":true,"Status":"active","CreatedAt":"2023-11-14T22:13:20Z","UpdatedAt":"2023-11-14T22:13:20Z","NextVersion":0}');
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
INSERT INTO instances VALUES('c1',2,'ams-1','c0a1',0,'',0,'lxd0','running',0,1,'["game","a=b"]','{"ID":"c1","Rev":2,"Name":"ams-1","ApplicationID":"c0a1","Node":"lxd0","Tags":["game","a=b"],"Status":"running","Want":"running","Resting":true,"CreatedAt":"2023-11-14T22:13:20Z","UpdatedAt":"2023-11-14T22:13:20Z"}');
CREATE TABLE instance_tags (
    tag      TEXT NOT NULL,
    instance TEXT NOT NULL,
    PRIMARY KEY (tag, instance)
) STRICT, WITHOUT ROWID;
INSERT INTO instance_tags VALUES('a=b','c1');
INSERT INTO instance_tags VALUES('game','c1');
CREATE TABLE nodes (
    id     TEXT    NOT NULL PRIMARY KEY, -- the name
    rev    INTEGER NOT NULL,
    status TEXT    NOT NULL,
    data   TEXT    NOT NULL
) STRICT;
INSERT INTO nodes VALUES('lxd0',1,'online','{"Name":"lxd0","Rev":1,"Status":"online","Memory":"8GB","CPURate":4,"MemoryRate":2,"CreatedAt":"2023-11-14T22:13:20Z","UpdatedAt":"2023-11-14T22:13:20Z"}');
CREATE TABLE operations (
    id         TEXT    NOT NULL PRIMARY KEY,
    rev        INTEGER NOT NULL,
    done       INTEGER NOT NULL,
    updated_at INTEGER NOT NULL, -- microseconds since 1970
    data       TEXT    NOT NULL
) STRICT;
INSERT INTO operations VALUES('o1',1,1,1700000000000000,'{"ID":"o1","Rev":1,"Status":"success","CreatedAt":"2023-11-14T22:13:20Z","UpdatedAt":"2023-11-14T22:13:20Z"}');
CREATE TABLE settings (
    id   TEXT    NOT NULL PRIMARY KEY, -- the key
    rev  INTEGER NOT NULL,
    data TEXT    NOT NULL
) STRICT;
INSERT INTO settings VALUES('k',1,'{"Key":"k","Rev":1,"Value":"v"}');
CREATE TABLE events (
    seq  INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    data TEXT    NOT NULL
) STRICT;
INSERT INTO events VALUES(2,'{"Seq":0,"Time":"2023-11-14T22:13:20Z","Type":"lifecycle","Kind":"instance","ID":"c1","Action":"running","Message":""}');
CREATE TABLE addons (
    id   TEXT    NOT NULL PRIMARY KEY, -- the name
    rev  INTEGER NOT NULL,
    data TEXT    NOT NULL
) STRICT;
INSERT INTO addons VALUES('ssh',1,'{"Name":"ssh","Rev":1,"NextVersion":1,"Versions":[{"Package":{"Digest":"cd","Size":3,"Written":"2023-11-14T22:13:20Z"},"CreatedAt":"2023-11-14T22:13:20Z"}],"CreatedAt":"2023-11-14T22:13:20Z","UpdatedAt":"2023-11-14T22:13:20Z"}');
DELETE FROM sqlite_sequence;
INSERT INTO sqlite_sequence VALUES('events',2);
CREATE UNIQUE INDEX applications_name ON applications (name);
CREATE INDEX versions_application ON versions (application_id, id);
CREATE INDEX versions_image ON versions (image_id, id);
CREATE INDEX versions_package ON versions (package, id);
CREATE UNIQUE INDEX images_name ON images (name, vm);
CREATE UNIQUE INDEX instances_name ON instances (name);
CREATE INDEX instances_application ON instances (application_id, id, version);
CREATE INDEX instances_image ON instances (image_id, id, image_version) WHERE image_id <> '';
CREATE INDEX instances_node ON instances (node, id);
CREATE INDEX instances_status ON instances (status, id);
CREATE INDEX instances_base ON instances (id) WHERE base = 1;
CREATE INDEX instances_active ON instances (id) WHERE resting = 0;
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
CREATE INDEX operations_running ON operations (id) WHERE done = 0;
CREATE INDEX operations_ended ON operations (updated_at) WHERE done = 1;
ALTER TABLE instances ADD COLUMN standby INTEGER NOT NULL DEFAULT 0;
CREATE INDEX instances_standby ON instances (application_id, id) WHERE standby = 1;

-- Lists of a node or an application are filtered, and counted, within the index.
DROP INDEX instances_node;
CREATE INDEX instances_node ON instances (node, id, status, standby);
DROP INDEX instances_application;
CREATE INDEX instances_application ON instances (application_id, id, version, status, standby);
CREATE TABLE identities (
    id          TEXT    NOT NULL PRIMARY KEY,
    rev         INTEGER NOT NULL,
    method      TEXT    NOT NULL,
    name        TEXT    NOT NULL,
    email       TEXT    NOT NULL,
    fingerprint TEXT    NOT NULL,
    group_names TEXT    NOT NULL, -- a JSON list
    data        TEXT    NOT NULL
) STRICT;
CREATE UNIQUE INDEX identities_fingerprint ON identities (fingerprint) WHERE fingerprint <> '';
CREATE UNIQUE INDEX identities_email ON identities (email, method) WHERE email <> '';
CREATE INDEX identities_name ON identities (name, id);

CREATE TABLE identity_groups (
    id   TEXT    NOT NULL PRIMARY KEY, -- the name
    rev  INTEGER NOT NULL,
    data TEXT    NOT NULL
) STRICT;

CREATE TABLE join_tokens (
    id         TEXT    NOT NULL PRIMARY KEY,
    rev        INTEGER NOT NULL,
    hash       TEXT    NOT NULL,
    expires_at INTEGER NOT NULL, -- microseconds since 1970
    data       TEXT    NOT NULL
) STRICT;
CREATE UNIQUE INDEX join_tokens_hash ON join_tokens (hash);
INSERT INTO identities VALUES('e1',1,'oidc','anna@example.com','anna@example.com','','["admin"]','{"ID":"e1","Rev":1,"Name":"anna@example.com","Method":"oidc","Email":"anna@example.com","Groups":["admin"],"CreatedAt":"2023-11-14T22:13:20Z","UpdatedAt":"2023-11-14T22:13:20Z"}');
INSERT INTO identity_groups VALUES('admin',1,'{"Name":"admin","Rev":1,"Description":"Administrators","Immutable":true,"CreatedAt":"2023-11-14T22:13:20Z","UpdatedAt":"2023-11-14T22:13:20Z"}');
INSERT INTO join_tokens VALUES('t1',1,'ef',1700000000000000,'{"ID":"t1","Rev":1,"Hash":"ef","ExpiresAt":"2023-11-14T22:13:20Z","CreatedAt":"2023-11-14T22:13:20Z"}');
COMMIT;
