-- +goose Up
CREATE TABLE fast_token (
    addr      TEXT    NOT NULL REFERENCES account ON DELETE CASCADE,
    client    TEXT    NOT NULL,
    fresh     INTEGER NOT NULL,
    mechanism TEXT    NOT NULL,
    seed      BLOB,
    issued    INTEGER NOT NULL,
    expires   INTEGER NOT NULL,
    count     INTEGER NOT NULL,
    PRIMARY KEY (addr, client, fresh)
) STRICT, WITHOUT ROWID;
