-- +goose Up
-- Files and slots. The row of an account that is deleted stays without owner until its file is gone.
CREATE TABLE upload (
    id     TEXT    COLLATE "C" NOT NULL PRIMARY KEY,
    owner  TEXT    COLLATE "C" REFERENCES account ON DELETE SET NULL,
    name   TEXT    COLLATE "C" NOT NULL,
    type   TEXT    COLLATE "C" NOT NULL,
    size   BIGINT  NOT NULL,
    at     BIGINT  NOT NULL,
    stored BOOLEAN NOT NULL
);
CREATE INDEX upload_owner ON upload (owner, at);
CREATE INDEX upload_at ON upload (at);

CREATE TABLE push (
    owner   TEXT   COLLATE "C" NOT NULL REFERENCES account ON DELETE CASCADE,
    service TEXT   COLLATE "C" NOT NULL,
    node    TEXT   COLLATE "C" NOT NULL,
    session TEXT   COLLATE "C" NOT NULL,
    options BYTEA,
    at      BIGINT NOT NULL,
    PRIMARY KEY (owner, service, node)
);
