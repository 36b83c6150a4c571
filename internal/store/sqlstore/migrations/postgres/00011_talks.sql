-- Records of calls: the tables of the RoomServer protocol, for every door.

-- +goose Up
CREATE TABLE rtc_talk_sessions (
    id              BIGINT      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    session_id      TEXT        COLLATE "C" NOT NULL UNIQUE,
    sub_session_ids TEXT        NOT NULL DEFAULT '',
    app_id          TEXT        NOT NULL,
    user_id         TEXT        NOT NULL,
    user_name       TEXT        NOT NULL,
    account         TEXT        COLLATE "C" NOT NULL,
    room_id         TEXT        COLLATE "C" NOT NULL,
    talk_type       SMALLINT    NOT NULL,
    user_ip         INET,
    time_out        SMALLINT    NOT NULL DEFAULT 0,
    create_time     TIMESTAMPTZ NOT NULL,
    join_time       TIMESTAMPTZ NOT NULL,
    leave_time      TIMESTAMPTZ,
    duration        BIGINT      NOT NULL DEFAULT 0,
    os_name         TEXT        NOT NULL,
    browser         TEXT        NOT NULL,
    sdk_info        TEXT        NOT NULL,
    protocol        TEXT        NOT NULL,
    node            TEXT        COLLATE "C" NOT NULL,
    gate_max        SMALLINT    NOT NULL,
    client_time     TIMESTAMPTZ
);
CREATE INDEX rtc_talk_sessions_user ON rtc_talk_sessions (user_id, create_time);
CREATE INDEX rtc_talk_sessions_account ON rtc_talk_sessions (account, session_id);
CREATE INDEX rtc_talk_sessions_room ON rtc_talk_sessions (room_id, session_id);
CREATE INDEX rtc_talk_sessions_created ON rtc_talk_sessions (create_time);
CREATE INDEX rtc_talk_sessions_open ON rtc_talk_sessions (node) WHERE leave_time IS NULL;

CREATE TABLE rtc_talk_subsessions (
    id                  BIGINT      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sub_session_id      TEXT        COLLATE "C" NOT NULL UNIQUE,
    session_id          TEXT        COLLATE "C" NOT NULL REFERENCES rtc_talk_sessions (session_id) ON DELETE CASCADE,
    status              SMALLINT    NOT NULL DEFAULT -1,
    remote_user_id      TEXT        NOT NULL,
    remote_user_name    TEXT        NOT NULL,
    remote_user_ip      INET,
    ice_ip              INET,
    connect_type        TEXT        NOT NULL,
    client_connect_type TEXT        NOT NULL,
    begin_time          TIMESTAMPTZ,
    connect_time        TIMESTAMPTZ,
    finish_time         TIMESTAMPTZ,
    duration            BIGINT      NOT NULL DEFAULT 0,
    cost                INTEGER     NOT NULL DEFAULT 0
);
CREATE INDEX rtc_talk_subsessions_session ON rtc_talk_subsessions (session_id);

CREATE TABLE rtc_talk_quality_stats_infos (
    id                  BIGINT       GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    stats_id            TEXT         COLLATE "C" NOT NULL UNIQUE,
    remote_user_id      TEXT         NOT NULL,
    sub_session_id      TEXT         COLLATE "C" NOT NULL REFERENCES rtc_talk_subsessions (sub_session_id) ON DELETE CASCADE,
    create_time         TIMESTAMPTZ  NOT NULL,
    aud_send_lost_rate  NUMERIC(5,4),
    aud_rcv_lost_rate   NUMERIC(5,4),
    vid_send_lost_rate  NUMERIC(5,4),
    vid_rcv_lost_rate   NUMERIC(5,4),
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
    send_codec          TEXT         NOT NULL,
    recv_codec          TEXT         NOT NULL
);
CREATE INDEX rtc_talk_quality_sub ON rtc_talk_quality_stats_infos (sub_session_id);
CREATE INDEX rtc_talk_quality_time ON rtc_talk_quality_stats_infos (create_time);

-- The same with the names that the first SQL file of the protocol has.
CREATE VIEW rtc_talk_quality_stats_recv AS
    SELECT id, remote_user_id, sub_session_id, create_time, aud_send_lost_rate, aud_rcv_lost_rate AS aud_recv_lost_rate,
           vid_send_lost_rate, vid_rcv_lost_rate AS vid_recv_lost_rate, aud_send_bitrate, aud_rcv_bitrate AS aud_recv_bitrate,
           vid_send_bitrate, vid_rcv_bitrate AS vid_recv_bitrate, send_width, send_height, send_framerate_sent, recv_framerate_recv
    FROM rtc_talk_quality_stats_infos;

CREATE TABLE rtc_talk_verdicts (
    verdict_id  TEXT             COLLATE "C" NOT NULL PRIMARY KEY,
    session_id  TEXT             COLLATE "C" NOT NULL REFERENCES rtc_talk_sessions (session_id) ON DELETE CASCADE,
    create_time TIMESTAMPTZ      NOT NULL,
    part        TEXT             NOT NULL,
    lost_rate   DOUBLE PRECISION NOT NULL,
    delay       BIGINT           NOT NULL,
    bitrate     BIGINT           NOT NULL
);
CREATE INDEX rtc_talk_verdicts_session ON rtc_talk_verdicts (session_id);
CREATE INDEX rtc_talk_verdicts_time ON rtc_talk_verdicts (create_time);

CREATE TABLE rtc_talk_notes (
    note_id     TEXT        COLLATE "C" NOT NULL PRIMARY KEY,
    create_time TIMESTAMPTZ NOT NULL,
    session_id  TEXT        COLLATE "C" NOT NULL,
    room_id     TEXT        NOT NULL,
    protocol    TEXT        NOT NULL,
    cause       TEXT        NOT NULL,
    count       BIGINT      NOT NULL,
    result      BIGINT      NOT NULL,
    data        TEXT        NOT NULL
);
CREATE INDEX rtc_talk_notes_time ON rtc_talk_notes (create_time);

CREATE TABLE rtc_talk_reports (
    day    TEXT        COLLATE "C" NOT NULL PRIMARY KEY,
    owner  TEXT        NOT NULL,
    until  TIMESTAMPTZ NOT NULL,
    mailed TIMESTAMPTZ
);
