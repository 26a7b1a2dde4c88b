-- How far users have read.

CREATE TABLE receipts (
  room_no      INTEGER NOT NULL REFERENCES rooms,
  user_id      TEXT NOT NULL,
  receipt_type TEXT NOT NULL,
  -- Empty: unthreaded.
  thread_id    TEXT NOT NULL,
  event_id     TEXT NOT NULL,
  ts           INTEGER NOT NULL,
  position     INTEGER NOT NULL,
  PRIMARY KEY (room_no, user_id, receipt_type, thread_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX receipts_by_position ON receipts (position);
