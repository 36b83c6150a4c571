-- +goose Up
-- One row for every archive. latest is the time of its latest message, messages and bytes are what it holds, mark is the
-- last transaction that wrote it.
CREATE TABLE archive (
    archive  INTEGER NOT NULL PRIMARY KEY,
    owner    TEXT    NOT NULL UNIQUE REFERENCES account ON DELETE CASCADE,
    latest   INTEGER NOT NULL,
    messages INTEGER NOT NULL,
    bytes    INTEGER NOT NULL,
    mark     INTEGER NOT NULL
) STRICT;

-- The ids are UUIDs of version 7, which are ordered by time. peer and resource are the other's address.
CREATE TABLE archive_message (
    archive  INTEGER NOT NULL REFERENCES archive ON DELETE CASCADE,
    id       BLOB    NOT NULL,
    peer     TEXT    NOT NULL,
    resource TEXT    NOT NULL,
    tail     BLOB,
    PRIMARY KEY (archive, id)
) STRICT, WITHOUT ROWID;

CREATE INDEX archive_message_peer ON archive_message (archive, peer, id);

-- The lists are JSON.
CREATE TABLE archive_prefs (
    owner  TEXT NOT NULL PRIMARY KEY REFERENCES account ON DELETE CASCADE,
    policy TEXT NOT NULL,
    always TEXT NOT NULL,
    never  TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- A room's history becomes its archive: author is the sender's real address, and a message that set the subject is there
-- too.
ALTER TABLE room_message ADD COLUMN author TEXT NOT NULL DEFAULT '';
ALTER TABLE room_message ADD COLUMN subject INTEGER NOT NULL DEFAULT 0;
CREATE INDEX room_message_at ON room_message (room, at, seq);
