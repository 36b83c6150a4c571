-- +goose Up
-- Publish-subscribe nodes of accounts. seq is the number of the node's latest item; items and bytes say what it holds.
CREATE TABLE node (
    node    INTEGER NOT NULL PRIMARY KEY,
    owner   TEXT    NOT NULL REFERENCES account ON DELETE CASCADE,
    name    TEXT    NOT NULL,
    config  BLOB,
    created INTEGER NOT NULL,
    seq     INTEGER NOT NULL,
    items   INTEGER NOT NULL,
    bytes   INTEGER NOT NULL,
    UNIQUE (owner, name)
) STRICT;

CREATE TABLE node_item (
    node      INTEGER NOT NULL REFERENCES node ON DELETE CASCADE,
    seq       INTEGER NOT NULL,
    id        TEXT    NOT NULL,
    publisher TEXT    NOT NULL,
    at        INTEGER NOT NULL,
    size      INTEGER NOT NULL,
    payload   BLOB,
    PRIMARY KEY (node, seq),
    UNIQUE (node, id)
) STRICT;

CREATE TABLE node_affiliation (
    node INTEGER NOT NULL REFERENCES node ON DELETE CASCADE,
    addr TEXT    NOT NULL,
    name TEXT    NOT NULL,
    PRIMARY KEY (node, addr)
) STRICT, WITHOUT ROWID;

CREATE TABLE node_subscription (
    node  INTEGER NOT NULL REFERENCES node ON DELETE CASCADE,
    addr  TEXT    NOT NULL,
    state TEXT    NOT NULL,
    PRIMARY KEY (node, addr)
) STRICT, WITHOUT ROWID;
