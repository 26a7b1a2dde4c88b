ALTER TABLE accounts ADD COLUMN is_admin INTEGER NOT NULL DEFAULT 0;

-- What users reported to the administrators of their server.
CREATE TABLE reports (
  report_no   INTEGER PRIMARY KEY AUTOINCREMENT,
  reporter    TEXT NOT NULL,
  -- Of an event both, of a room the first; of a user neither.
  room_id     TEXT,
  event_id    TEXT,
  user_id     TEXT,
  reason      TEXT NOT NULL,
  received_at_ms INTEGER NOT NULL
) STRICT;
