-- Logins to the API, with digests of the tokens that are good now.

-- +goose Up
CREATE TABLE login (
    id      TEXT   COLLATE "C" NOT NULL PRIMARY KEY,
    addr    TEXT   COLLATE "C" NOT NULL REFERENCES account ON DELETE CASCADE,
    label   TEXT   NOT NULL,
    created BIGINT NOT NULL,
    used    BIGINT NOT NULL,
    access  BYTEA  NOT NULL,
    until   BIGINT NOT NULL,
    refresh BYTEA  NOT NULL,
    expires BIGINT NOT NULL
);
CREATE INDEX login_addr ON login (addr, used);
