-- Meetings that people or applications have fixed, and who is invited. Of an invitation there is a digest only.

-- +goose Up
CREATE TABLE meeting (
    id      TEXT NOT NULL PRIMARY KEY,
    account TEXT REFERENCES account ON DELETE CASCADE,
    app     TEXT REFERENCES app ON DELETE CASCADE,
    room    TEXT NOT NULL,
    title   TEXT NOT NULL,
    starts  INTEGER NOT NULL,
    ends    INTEGER NOT NULL,
    created INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX meeting_account ON meeting (account, id);
CREATE INDEX meeting_app ON meeting (app, id);
CREATE TABLE meeting_guest (
    id        TEXT NOT NULL PRIMARY KEY,
    meeting   TEXT NOT NULL REFERENCES meeting ON DELETE CASCADE,
    digest    BLOB NOT NULL,
    name      TEXT NOT NULL,
    account   TEXT NOT NULL,
    moderator INTEGER NOT NULL,
    created   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX meeting_guest_meeting ON meeting_guest (meeting);
