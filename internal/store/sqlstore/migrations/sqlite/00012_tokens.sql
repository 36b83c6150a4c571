-- Tokens of rooms that may not be used, or not again. Token is a digest of its issuer and id; the row is good for nothing once the
-- token has expired.

-- +goose Up
CREATE TABLE spent_token (
    token BLOB NOT NULL PRIMARY KEY,
    until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX spent_token_until ON spent_token (until);
