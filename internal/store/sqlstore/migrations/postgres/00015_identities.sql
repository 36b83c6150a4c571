-- Whom an OpenID provider knows, and whose accounts those are. The id stands for issuer and subject.

-- +goose Up
CREATE TABLE identity (
    id      TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    addr    TEXT COLLATE "C" NOT NULL REFERENCES account ON DELETE CASCADE,
    issuer  TEXT NOT NULL,
    subject TEXT NOT NULL,
    linked  BIGINT NOT NULL
);
CREATE INDEX identity_addr ON identity (addr);
