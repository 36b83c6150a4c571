-- Applications that use the API, and digests of their keys. Scopes and domains are words with spaces between them.

-- +goose Up
CREATE TABLE app (
    name    TEXT    NOT NULL PRIMARY KEY,
    scopes  TEXT    NOT NULL,
    domains TEXT    NOT NULL,
    rate    REAL    NOT NULL,
    burst   REAL    NOT NULL,
    created INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE app_key (
    id      TEXT    NOT NULL PRIMARY KEY,
    app     TEXT    NOT NULL REFERENCES app ON DELETE CASCADE,
    digest  BLOB    NOT NULL,
    created INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX app_key_app ON app_key (app);
