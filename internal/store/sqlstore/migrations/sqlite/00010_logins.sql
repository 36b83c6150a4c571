-- Logins to the API, with digests of the tokens that are good now.

-- +goose Up
CREATE TABLE login (
    id      TEXT    NOT NULL PRIMARY KEY,
    addr    TEXT    NOT NULL REFERENCES account ON DELETE CASCADE,
    label   TEXT    NOT NULL,
    created INTEGER NOT NULL,
    used    INTEGER NOT NULL,
    access  BLOB    NOT NULL,
    until   INTEGER NOT NULL,
    refresh BLOB    NOT NULL,
    expires INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX login_addr ON login (addr, used);
