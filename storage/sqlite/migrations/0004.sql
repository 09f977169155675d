-- Who is known, what the groups are that they are in, and what lets a client become
-- known.

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
