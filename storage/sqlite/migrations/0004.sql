-- Who may call, and what they may do.

CREATE TABLE identities (
    id   TEXT    NOT NULL PRIMARY KEY,
    rev  INTEGER NOT NULL,
    data TEXT    NOT NULL
) STRICT;

CREATE TABLE groups (
    id   TEXT    NOT NULL PRIMARY KEY, -- the name
    rev  INTEGER NOT NULL,
    data TEXT    NOT NULL
) STRICT;

CREATE TABLE join_tokens (
    id   TEXT    NOT NULL PRIMARY KEY,
    rev  INTEGER NOT NULL,
    data TEXT    NOT NULL
) STRICT;
