-- Records of calls: the tables of the RoomServer protocol, for every door. Times are milliseconds.

-- +goose Up
CREATE TABLE rtc_talk_sessions (
    id                  INTEGER PRIMARY KEY AUTOINCREMENT,
    session_id          TEXT    NOT NULL UNIQUE,
    sub_session_ids     TEXT    NOT NULL DEFAULT '',
    app_id              TEXT    NOT NULL,
    user_id             TEXT    NOT NULL,
    user_name           TEXT    NOT NULL,
    account             TEXT    NOT NULL,
    room_id             TEXT    NOT NULL,
    talk_type           INTEGER NOT NULL,
    user_ip             TEXT,
    time_out            INTEGER NOT NULL DEFAULT 0,
    create_time         INTEGER NOT NULL,
    join_time           INTEGER NOT NULL,
    leave_time          INTEGER,
    duration            INTEGER NOT NULL DEFAULT 0,
    os_name             TEXT    NOT NULL,
    browser             TEXT    NOT NULL,
    sdk_info            TEXT    NOT NULL,
    protocol            TEXT    NOT NULL,
    node                TEXT    NOT NULL,
    gate_max            INTEGER NOT NULL,
    client_time         INTEGER
) STRICT;
CREATE INDEX rtc_talk_sessions_user ON rtc_talk_sessions (user_id, create_time);
CREATE INDEX rtc_talk_sessions_account ON rtc_talk_sessions (account, session_id);
CREATE INDEX rtc_talk_sessions_room ON rtc_talk_sessions (room_id, session_id);
CREATE INDEX rtc_talk_sessions_created ON rtc_talk_sessions (create_time);
CREATE INDEX rtc_talk_sessions_open ON rtc_talk_sessions (node) WHERE leave_time IS NULL;

CREATE TABLE rtc_talk_subsessions (
    id                  INTEGER PRIMARY KEY AUTOINCREMENT,
    sub_session_id      TEXT    NOT NULL UNIQUE,
    session_id          TEXT    NOT NULL REFERENCES rtc_talk_sessions (session_id) ON DELETE CASCADE,
    status              INTEGER NOT NULL DEFAULT -1,
    remote_user_id      TEXT    NOT NULL,
    remote_user_name    TEXT    NOT NULL,
    remote_user_ip      TEXT,
    ice_ip              TEXT,
    connect_type        TEXT    NOT NULL,
    client_connect_type TEXT    NOT NULL,
    begin_time          INTEGER,
    connect_time        INTEGER,
    finish_time         INTEGER,
    duration            INTEGER NOT NULL DEFAULT 0,
    cost                INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX rtc_talk_subsessions_session ON rtc_talk_subsessions (session_id);

CREATE TABLE rtc_talk_quality_stats_infos (
    id                  INTEGER PRIMARY KEY AUTOINCREMENT,
    stats_id            TEXT    NOT NULL UNIQUE,
    remote_user_id      TEXT    NOT NULL,
    sub_session_id      TEXT    NOT NULL REFERENCES rtc_talk_subsessions (sub_session_id) ON DELETE CASCADE,
    create_time         INTEGER NOT NULL,
    aud_send_lost_rate  REAL,
    aud_rcv_lost_rate   REAL,
    vid_send_lost_rate  REAL,
    vid_rcv_lost_rate   REAL,
    aud_send_bitrate    INTEGER,
    aud_rcv_bitrate     INTEGER,
    vid_send_bitrate    INTEGER,
    vid_rcv_bitrate     INTEGER,
    send_width          INTEGER,
    send_height         INTEGER,
    send_framerate_sent INTEGER,
    recv_framerate_recv INTEGER,
    recv_width          INTEGER,
    recv_height         INTEGER,
    send_codec          TEXT    NOT NULL,
    recv_codec          TEXT    NOT NULL
) STRICT;
CREATE INDEX rtc_talk_quality_sub ON rtc_talk_quality_stats_infos (sub_session_id);
CREATE INDEX rtc_talk_quality_time ON rtc_talk_quality_stats_infos (create_time);

-- The same with the names that the first SQL file of the protocol has.
CREATE VIEW rtc_talk_quality_stats_recv AS
    SELECT id, remote_user_id, sub_session_id, create_time, aud_send_lost_rate, aud_rcv_lost_rate AS aud_recv_lost_rate,
           vid_send_lost_rate, vid_rcv_lost_rate AS vid_recv_lost_rate, aud_send_bitrate, aud_rcv_bitrate AS aud_recv_bitrate,
           vid_send_bitrate, vid_rcv_bitrate AS vid_recv_bitrate, send_width, send_height, send_framerate_sent, recv_framerate_recv
    FROM rtc_talk_quality_stats_infos;

CREATE TABLE rtc_talk_verdicts (
    verdict_id          TEXT    NOT NULL PRIMARY KEY,
    session_id          TEXT    NOT NULL REFERENCES rtc_talk_sessions (session_id) ON DELETE CASCADE,
    create_time         INTEGER NOT NULL,
    part                TEXT    NOT NULL,
    lost_rate           REAL    NOT NULL,
    delay               INTEGER NOT NULL,
    bitrate             INTEGER NOT NULL
) STRICT;
CREATE INDEX rtc_talk_verdicts_session ON rtc_talk_verdicts (session_id);
CREATE INDEX rtc_talk_verdicts_time ON rtc_talk_verdicts (create_time);

CREATE TABLE rtc_talk_notes (
    note_id             TEXT    NOT NULL PRIMARY KEY,
    create_time         INTEGER NOT NULL,
    session_id          TEXT    NOT NULL,
    room_id             TEXT    NOT NULL,
    protocol            TEXT    NOT NULL,
    cause               TEXT    NOT NULL,
    count               INTEGER NOT NULL,
    result              INTEGER NOT NULL,
    data                TEXT    NOT NULL
) STRICT;
CREATE INDEX rtc_talk_notes_time ON rtc_talk_notes (create_time);

CREATE TABLE rtc_talk_reports (
    day                 TEXT    NOT NULL PRIMARY KEY,
    owner               TEXT    NOT NULL,
    until               INTEGER NOT NULL,
    mailed              INTEGER
) STRICT;
