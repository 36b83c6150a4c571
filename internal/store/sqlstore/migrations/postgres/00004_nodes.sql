-- +goose Up
-- Publish-subscribe nodes of accounts. seq is the number of the node's latest item; items and bytes say what it holds.
CREATE TABLE node (
    node    BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    owner   TEXT   COLLATE "C" NOT NULL REFERENCES account ON DELETE CASCADE,
    name    TEXT   COLLATE "C" NOT NULL,
    config  BYTEA,
    created BIGINT NOT NULL,
    seq     BIGINT NOT NULL,
    items   BIGINT NOT NULL,
    bytes   BIGINT NOT NULL,
    UNIQUE (owner, name)
) WITH (fillfactor = 70);

CREATE TABLE node_item (
    node      BIGINT NOT NULL REFERENCES node ON DELETE CASCADE,
    seq       BIGINT NOT NULL,
    id        TEXT   COLLATE "C" NOT NULL,
    publisher TEXT   COLLATE "C" NOT NULL,
    at        BIGINT NOT NULL,
    size      BIGINT NOT NULL,
    payload   BYTEA,
    PRIMARY KEY (node, seq),
    UNIQUE (node, id)
);

CREATE TABLE node_affiliation (
    node BIGINT NOT NULL REFERENCES node ON DELETE CASCADE,
    addr TEXT   COLLATE "C" NOT NULL,
    name TEXT   COLLATE "C" NOT NULL,
    PRIMARY KEY (node, addr)
);

CREATE TABLE node_subscription (
    node  BIGINT NOT NULL REFERENCES node ON DELETE CASCADE,
    addr  TEXT   COLLATE "C" NOT NULL,
    state TEXT   COLLATE "C" NOT NULL,
    PRIMARY KEY (node, addr)
);
