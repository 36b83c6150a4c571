-- What accounts keep of others, and what waits for them.

-- +goose Up
CREATE TABLE roster (
    addr    TEXT   COLLATE "C" NOT NULL PRIMARY KEY REFERENCES account ON DELETE CASCADE,
    version BIGINT NOT NULL
) WITH (fillfactor = 70);

-- in_groups is a JSON array of strings. A row with a request and listed = false is somebody who asks and is in no roster.
CREATE TABLE roster_contact (
    owner     TEXT    COLLATE "C" NOT NULL REFERENCES roster ON DELETE CASCADE,
    addr      TEXT    COLLATE "C" NOT NULL,
    listed    BOOLEAN NOT NULL,
    name      TEXT    COLLATE "C" NOT NULL,
    in_groups TEXT    COLLATE "C" NOT NULL,
    sees      BOOLEAN NOT NULL,
    seen      BOOLEAN NOT NULL,
    asked     BOOLEAN NOT NULL,
    approved  BOOLEAN NOT NULL,
    request   BYTEA,
    PRIMARY KEY (owner, addr)
);

CREATE TABLE roster_block (
    owner TEXT COLLATE "C" NOT NULL REFERENCES roster ON DELETE CASCADE,
    addr  TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (owner, addr)
);

CREATE TABLE offline_message (
    id    BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    owner TEXT   COLLATE "C" NOT NULL REFERENCES account ON DELETE CASCADE,
    at    BIGINT NOT NULL,
    tail  BYTEA
);
CREATE INDEX offline_message_owner ON offline_message (owner, id);

CREATE TABLE private_data (
    owner TEXT COLLATE "C" NOT NULL REFERENCES account ON DELETE CASCADE,
    name  TEXT COLLATE "C" NOT NULL,
    data  BYTEA,
    PRIMARY KEY (owner, name)
);

CREATE TABLE last_activity (
    addr   TEXT   COLLATE "C" NOT NULL PRIMARY KEY REFERENCES account ON DELETE CASCADE,
    at     BIGINT NOT NULL,
    status TEXT   COLLATE "C" NOT NULL
);
