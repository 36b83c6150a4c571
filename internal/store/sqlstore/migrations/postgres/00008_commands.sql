-- The message of the day, one row at most, and who was told of which one.

-- +goose Up
CREATE TABLE announcement (
    one  INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    at   BIGINT  NOT NULL,
    text TEXT    NOT NULL
);

CREATE TABLE announcement_seen (
    addr TEXT   COLLATE "C" NOT NULL PRIMARY KEY REFERENCES account ON DELETE CASCADE,
    at   BIGINT NOT NULL
);

-- Invitations that are open. name is '' where none is kept.
CREATE TABLE invite (
    digest    TEXT    COLLATE "C" NOT NULL PRIMARY KEY,
    inviter   TEXT    COLLATE "C" NOT NULL REFERENCES account ON DELETE CASCADE,
    name      TEXT    COLLATE "C" NOT NULL,
    register  BOOLEAN NOT NULL,
    subscribe BOOLEAN NOT NULL,
    created   BIGINT  NOT NULL,
    expires   BIGINT  NOT NULL
);

CREATE INDEX invite_inviter ON invite (inviter);
CREATE INDEX invite_name ON invite (name);
CREATE INDEX invite_expires ON invite (expires);
