-- +goose Up
-- Messages lie in the order in which they came, whosever they are, so that many of them are written together; only two
-- small indexes are per archive. With a foreign key or NOT NULL, SQLite would look up each message's archive, and keep a
-- journal of each statement to be able to undo it alone; so there is neither, and a trigger takes the messages of an archive
-- that goes.
CREATE TABLE archive_row (
    archive  INTEGER,
    id       BLOB,
    peer     TEXT,
    resource TEXT,
    tail     BLOB,
    UNIQUE (archive, id)
) STRICT;
INSERT INTO archive_row (archive, id, peer, resource, tail)
    SELECT archive, id, peer, resource, tail FROM archive_message ORDER BY id, archive;
DROP TABLE archive_message;
ALTER TABLE archive_row RENAME TO archive_message;
CREATE INDEX archive_message_peer ON archive_message (archive, peer, id);
-- +goose StatementBegin
CREATE TRIGGER archive_ends AFTER DELETE ON archive BEGIN
    DELETE FROM archive_message WHERE archive = OLD.archive;
END;
-- +goose StatementEnd
