-- Times are milliseconds since 1970 in UTC. Texts are ordered by their bytes, whatever the database's language.

-- +goose Up
CREATE TABLE account (
    addr     TEXT    COLLATE "C" NOT NULL PRIMARY KEY,
    disabled BOOLEAN NOT NULL,
    created  BIGINT  NOT NULL
);

CREATE TABLE credential (
    addr       TEXT   COLLATE "C" NOT NULL REFERENCES account ON DELETE CASCADE,
    mechanism  TEXT   COLLATE "C" NOT NULL,
    salt       BYTEA,
    iterations BIGINT NOT NULL,
    stored_key BYTEA,
    server_key BYTEA,
    PRIMARY KEY (addr, mechanism)
);

-- One row for every room that was ever claimed; it stays when the room is deleted. seq is the number of the room's
-- latest message, mark the last transaction that wrote the room.
CREATE TABLE room_epoch (
    room  BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    addr  TEXT   COLLATE "C" NOT NULL UNIQUE,
    owner TEXT   COLLATE "C" NOT NULL,
    epoch BIGINT NOT NULL,
    seq   BIGINT NOT NULL,
    mark  BIGINT NOT NULL
) WITH (fillfactor = 70);

CREATE TABLE room (
    room       BIGINT NOT NULL PRIMARY KEY REFERENCES room_epoch,
    addr       TEXT   COLLATE "C" NOT NULL UNIQUE,
    config     BYTEA,
    created    BIGINT NOT NULL,
    subject    BYTEA,
    subject_at BIGINT NOT NULL
);

CREATE TABLE room_affiliation (
    room   BIGINT NOT NULL REFERENCES room ON DELETE CASCADE,
    addr   TEXT   COLLATE "C" NOT NULL,
    name   TEXT   COLLATE "C" NOT NULL,
    nick   TEXT   COLLATE "C" NOT NULL,
    reason TEXT   COLLATE "C" NOT NULL,
    PRIMARY KEY (room, addr)
);

-- The numbers of a room's messages have no gaps: the oldest go first.
CREATE TABLE room_message (
    room   BIGINT NOT NULL REFERENCES room ON DELETE CASCADE,
    seq    BIGINT NOT NULL,
    id     TEXT   COLLATE "C" NOT NULL,
    at     BIGINT NOT NULL,
    sender TEXT   COLLATE "C" NOT NULL,
    tail   BYTEA,
    PRIMARY KEY (room, seq),
    UNIQUE (room, id)
);

-- One row, written to see whether writing works.
CREATE TABLE ping (at BIGINT NOT NULL);
INSERT INTO ping VALUES (0);
