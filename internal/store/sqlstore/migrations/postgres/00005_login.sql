-- +goose Up
CREATE TABLE fast_token (
    addr      TEXT    COLLATE "C" NOT NULL REFERENCES account ON DELETE CASCADE,
    client    TEXT    COLLATE "C" NOT NULL,
    fresh     BOOLEAN NOT NULL,
    mechanism TEXT    COLLATE "C" NOT NULL,
    seed      BYTEA,
    issued    BIGINT  NOT NULL,
    expires   BIGINT  NOT NULL,
    count     BIGINT  NOT NULL,
    PRIMARY KEY (addr, client, fresh)
);
