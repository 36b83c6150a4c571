-- The message of the day, one row at most, and who was told of which one.

-- +goose Up
CREATE TABLE announcement (
    one  INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    at   INTEGER NOT NULL,
    text TEXT    NOT NULL
) STRICT;

CREATE TABLE announcement_seen (
    addr TEXT    NOT NULL PRIMARY KEY REFERENCES account ON DELETE CASCADE,
    at   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Invitations that are open. name is '' where none is kept.
CREATE TABLE invite (
    digest    TEXT    NOT NULL PRIMARY KEY,
    inviter   TEXT    NOT NULL REFERENCES account ON DELETE CASCADE,
    name      TEXT    NOT NULL,
    register  INTEGER NOT NULL,
    subscribe INTEGER NOT NULL,
    created   INTEGER NOT NULL,
    expires   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX invite_inviter ON invite (inviter);
CREATE INDEX invite_name ON invite (name);
CREATE INDEX invite_expires ON invite (expires);
