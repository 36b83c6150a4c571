-- +goose Up
-- Files and slots. The row of an account that is deleted stays without owner until its file is gone.
CREATE TABLE upload (
    id     TEXT    NOT NULL PRIMARY KEY,
    owner  TEXT    REFERENCES account ON DELETE SET NULL,
    name   TEXT    NOT NULL,
    type   TEXT    NOT NULL,
    size   INTEGER NOT NULL,
    at     INTEGER NOT NULL,
    stored INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX upload_owner ON upload (owner, at);
CREATE INDEX upload_at ON upload (at);

CREATE TABLE push (
    owner   TEXT    NOT NULL REFERENCES account ON DELETE CASCADE,
    service TEXT    NOT NULL,
    node    TEXT    NOT NULL,
    session TEXT    NOT NULL,
    options BLOB,
    at      INTEGER NOT NULL,
    PRIMARY KEY (owner, service, node)
) STRICT, WITHOUT ROWID;
