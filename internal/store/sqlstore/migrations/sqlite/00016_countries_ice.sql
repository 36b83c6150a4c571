-- Where members of calls were, and the ICE servers that they were given: codes of countries (ISO 3166-1), '' where none is known.

-- +goose Up
ALTER TABLE rtc_talk_sessions ADD COLUMN user_country TEXT NOT NULL DEFAULT '';
ALTER TABLE rtc_talk_subsessions ADD COLUMN remote_user_country TEXT NOT NULL DEFAULT '';
ALTER TABLE rtc_talk_subsessions ADD COLUMN ice_country TEXT NOT NULL DEFAULT '';

-- ICE servers that have registered with one of the servers on this database. Rates and bandwidth are in kbit/s.
CREATE TABLE rtc_ice_servers (
    ip            TEXT    NOT NULL PRIMARY KEY,
    bundle_policy TEXT    NOT NULL,
    policy        TEXT    NOT NULL,
    turn_port     INTEGER NOT NULL,
    stun_port     INTEGER NOT NULL,
    max_bandwidth INTEGER NOT NULL,
    username      TEXT    NOT NULL,
    credential    TEXT    NOT NULL,
    rx_rate       INTEGER NOT NULL,
    tx_rate       INTEGER NOT NULL,
    expires       INTEGER  NOT NULL
) STRICT, WITHOUT ROWID;
