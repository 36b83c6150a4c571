-- Meetings that people or applications have fixed, and who is invited. Of an invitation there is a digest only.

-- +goose Up
CREATE TABLE meeting (
    id      TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    account TEXT COLLATE "C" REFERENCES account ON DELETE CASCADE,
    app     TEXT COLLATE "C" REFERENCES app ON DELETE CASCADE,
    room    TEXT COLLATE "C" NOT NULL,
    title   TEXT NOT NULL,
    starts  BIGINT NOT NULL,
    ends    BIGINT NOT NULL,
    created BIGINT NOT NULL
);
CREATE INDEX meeting_account ON meeting (account, id);
CREATE INDEX meeting_app ON meeting (app, id);
CREATE TABLE meeting_guest (
    id        TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    meeting   TEXT COLLATE "C" NOT NULL REFERENCES meeting ON DELETE CASCADE,
    digest    BYTEA NOT NULL,
    name      TEXT NOT NULL,
    account   TEXT NOT NULL,
    moderator BOOLEAN NOT NULL,
    created   BIGINT NOT NULL
);
CREATE INDEX meeting_guest_meeting ON meeting_guest (meeting);
