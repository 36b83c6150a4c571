-- +goose Up
-- One row for every archive. latest is the time of its latest message, messages and bytes are what it holds, mark is the
-- last transaction that wrote it.
CREATE TABLE archive (
    archive  BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    owner    TEXT   COLLATE "C" NOT NULL UNIQUE REFERENCES account ON DELETE CASCADE,
    latest   BIGINT NOT NULL,
    messages BIGINT NOT NULL,
    bytes    BIGINT NOT NULL,
    mark     BIGINT NOT NULL
) WITH (fillfactor = 70);

-- The ids are UUIDs of version 7, which are ordered by time. peer and resource are the other's address.
CREATE TABLE archive_message (
    archive  BIGINT NOT NULL REFERENCES archive ON DELETE CASCADE,
    id       BYTEA  NOT NULL,
    peer     TEXT   COLLATE "C" NOT NULL,
    resource TEXT   COLLATE "C" NOT NULL,
    tail     BYTEA,
    PRIMARY KEY (archive, id)
);

CREATE INDEX archive_message_peer ON archive_message (archive, peer, id);

-- The lists are JSON.
CREATE TABLE archive_prefs (
    owner  TEXT COLLATE "C" NOT NULL PRIMARY KEY REFERENCES account ON DELETE CASCADE,
    policy TEXT COLLATE "C" NOT NULL,
    always TEXT COLLATE "C" NOT NULL,
    never  TEXT COLLATE "C" NOT NULL
);

-- A room's history becomes its archive: author is the sender's real address, and a message that set the subject is there
-- too.
ALTER TABLE room_message ADD COLUMN author TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE room_message ADD COLUMN subject BOOLEAN NOT NULL DEFAULT FALSE;
CREATE INDEX room_message_at ON room_message (room, at, seq);
