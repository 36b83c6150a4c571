-- Webhooks of applications, and what is to be delivered to them. Node is which server tries to, until then.

-- +goose Up
CREATE TABLE hook (
    id      TEXT NOT NULL PRIMARY KEY,
    app     TEXT NOT NULL REFERENCES app ON DELETE CASCADE,
    url     TEXT NOT NULL,
    events  TEXT NOT NULL,
    secret  BLOB NOT NULL,
    created INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX hook_app ON hook (app);
CREATE TABLE hook_delivery (
    seq     INTEGER PRIMARY KEY AUTOINCREMENT,
    hook    TEXT NOT NULL REFERENCES hook ON DELETE CASCADE,
    id      TEXT NOT NULL,
    body    BLOB NOT NULL,
    created INTEGER NOT NULL,
    next    INTEGER NOT NULL,
    tries   INTEGER NOT NULL,
    node    TEXT NOT NULL
) STRICT;
CREATE INDEX hook_delivery_due ON hook_delivery (hook, next);
