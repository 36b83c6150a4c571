-- Webhooks of applications, and what is to be delivered to them. Node is which server tries to, until then.

-- +goose Up
CREATE TABLE hook (
    id      TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    app     TEXT COLLATE "C" NOT NULL REFERENCES app ON DELETE CASCADE,
    url     TEXT NOT NULL,
    events  TEXT NOT NULL,
    secret  BYTEA NOT NULL,
    created BIGINT NOT NULL
);
CREATE INDEX hook_app ON hook (app);
CREATE TABLE hook_delivery (
    seq     BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    hook    TEXT COLLATE "C" NOT NULL REFERENCES hook ON DELETE CASCADE,
    id      TEXT COLLATE "C" NOT NULL,
    body    BYTEA NOT NULL,
    created BIGINT NOT NULL,
    next    BIGINT NOT NULL,
    tries   BIGINT NOT NULL,
    node    TEXT COLLATE "C" NOT NULL
);
CREATE INDEX hook_delivery_due ON hook_delivery (hook, next);
