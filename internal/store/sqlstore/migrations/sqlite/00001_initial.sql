-- Times are milliseconds since 1970 in UTC. Texts are ordered by their bytes.

-- +goose Up
CREATE TABLE account (
    addr     TEXT    NOT NULL PRIMARY KEY,
    disabled INTEGER NOT NULL,
    created  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE credential (
    addr       TEXT    NOT NULL REFERENCES account ON DELETE CASCADE,
    mechanism  TEXT    NOT NULL,
    salt       BLOB,
    iterations INTEGER NOT NULL,
    stored_key BLOB,
    server_key BLOB,
    PRIMARY KEY (addr, mechanism)
) STRICT, WITHOUT ROWID;

-- One row for every room that was ever claimed; it stays when the room is deleted. seq is the number of the room's
-- latest message, mark the last transaction that wrote the room.
CREATE TABLE room_epoch (
    room  INTEGER NOT NULL PRIMARY KEY,
    addr  TEXT    NOT NULL UNIQUE,
    owner TEXT    NOT NULL,
    epoch INTEGER NOT NULL,
    seq   INTEGER NOT NULL,
    mark  INTEGER NOT NULL
) STRICT;

CREATE TABLE room (
    room       INTEGER NOT NULL PRIMARY KEY REFERENCES room_epoch,
    addr       TEXT    NOT NULL UNIQUE,
    config     BLOB,
    created    INTEGER NOT NULL,
    subject    BLOB,
    subject_at INTEGER NOT NULL
) STRICT;

CREATE TABLE room_affiliation (
    room   INTEGER NOT NULL REFERENCES room ON DELETE CASCADE,
    addr   TEXT    NOT NULL,
    name   TEXT    NOT NULL,
    nick   TEXT    NOT NULL,
    reason TEXT    NOT NULL,
    PRIMARY KEY (room, addr)
) STRICT, WITHOUT ROWID;

-- The numbers of a room's messages have no gaps: the oldest go first.
CREATE TABLE room_message (
    room   INTEGER NOT NULL REFERENCES room ON DELETE CASCADE,
    seq    INTEGER NOT NULL,
    id     TEXT    NOT NULL,
    at     INTEGER NOT NULL,
    sender TEXT    NOT NULL,
    tail   BLOB,
    PRIMARY KEY (room, seq),
    UNIQUE (room, id)
) STRICT;

-- One row, written to see whether writing works.
CREATE TABLE ping (at INTEGER NOT NULL) STRICT;
INSERT INTO ping VALUES (0);
