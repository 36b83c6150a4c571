-- Where members of calls were, and the ICE servers that they were given: codes of countries (ISO 3166-1), '' where none is known.

-- +goose Up
ALTER TABLE rtc_talk_sessions ADD COLUMN user_country TEXT NOT NULL DEFAULT '';
ALTER TABLE rtc_talk_subsessions ADD COLUMN remote_user_country TEXT NOT NULL DEFAULT '';
ALTER TABLE rtc_talk_subsessions ADD COLUMN ice_country TEXT NOT NULL DEFAULT '';
