-- Tokens of rooms that may not be used, or not again. Token is a digest of its issuer and id; the row is good for nothing once the
-- token has expired.

-- +goose Up
CREATE TABLE spent_token (
    token BYTEA NOT NULL PRIMARY KEY,
    until BIGINT NOT NULL
);
CREATE INDEX spent_token_until ON spent_token (until);
