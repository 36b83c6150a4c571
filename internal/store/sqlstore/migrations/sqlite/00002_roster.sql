-- What accounts keep of others, and what waits for them.

-- +goose Up
CREATE TABLE roster (
    addr    TEXT    NOT NULL PRIMARY KEY REFERENCES account ON DELETE CASCADE,
    version INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- in_groups is a JSON array of strings. A row with a request and listed = 0 is somebody who asks and is in no roster.
CREATE TABLE roster_contact (
    owner     TEXT    NOT NULL REFERENCES roster ON DELETE CASCADE,
    addr      TEXT    NOT NULL,
    listed    INTEGER NOT NULL,
    name      TEXT    NOT NULL,
    in_groups TEXT    NOT NULL,
    sees      INTEGER NOT NULL,
    seen      INTEGER NOT NULL,
    asked     INTEGER NOT NULL,
    approved  INTEGER NOT NULL,
    request   BLOB,
    PRIMARY KEY (owner, addr)
) STRICT, WITHOUT ROWID;

CREATE TABLE roster_block (
    owner TEXT NOT NULL REFERENCES roster ON DELETE CASCADE,
    addr  TEXT NOT NULL,
    PRIMARY KEY (owner, addr)
) STRICT, WITHOUT ROWID;

CREATE TABLE offline_message (
    id    INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    owner TEXT    NOT NULL REFERENCES account ON DELETE CASCADE,
    at    INTEGER NOT NULL,
    tail  BLOB
) STRICT;
CREATE INDEX offline_message_owner ON offline_message (owner, id);

CREATE TABLE private_data (
    owner TEXT NOT NULL REFERENCES account ON DELETE CASCADE,
    name  TEXT NOT NULL,
    data  BLOB,
    PRIMARY KEY (owner, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE last_activity (
    addr   TEXT    NOT NULL PRIMARY KEY REFERENCES account ON DELETE CASCADE,
    at     INTEGER NOT NULL,
    status TEXT    NOT NULL
) STRICT, WITHOUT ROWID;
