-- Applications that use the API, and digests of their keys. Scopes and domains are words with spaces between them.

-- +goose Up
CREATE TABLE app (
    name    TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    scopes  TEXT             NOT NULL,
    domains TEXT             NOT NULL,
    rate    DOUBLE PRECISION NOT NULL,
    burst   DOUBLE PRECISION NOT NULL,
    created BIGINT           NOT NULL
);

CREATE TABLE app_key (
    id      TEXT   COLLATE "C" NOT NULL PRIMARY KEY,
    app     TEXT   COLLATE "C" NOT NULL REFERENCES app ON DELETE CASCADE,
    digest  BYTEA  NOT NULL,
    created BIGINT NOT NULL
);
CREATE INDEX app_key_app ON app_key (app);
