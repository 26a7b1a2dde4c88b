-- Events of other servers that cannot be judged yet: they refer to events that nobody gave, or the keys of their signers could not be had.

-- Each server's copy stands alone. AUTOINCREMENT: a number is never given again while somebody reads on behind it.
CREATE TABLE waiting_events (
  waiting_no     INTEGER PRIMARY KEY AUTOINCREMENT,
  event_id       TEXT NOT NULL,
  origin         TEXT NOT NULL,
  room_id        TEXT NOT NULL,
  -- As it came, JSON.
  pdu_text       TEXT NOT NULL,
  -- 1: its signatures are good.
  verified       INTEGER NOT NULL,
  -- How often other servers were asked in vain, and when they are again.
  attempts       INTEGER NOT NULL,
  received_at_ms INTEGER NOT NULL,
  retry_at_ms    INTEGER NOT NULL,
  UNIQUE (event_id, origin)
) STRICT;

CREATE INDEX waiting_events_of_room ON waiting_events (room_id, origin, waiting_no);
CREATE INDEX waiting_events_of_origin ON waiting_events (origin, waiting_no);
CREATE INDEX waiting_events_by_retry ON waiting_events (retry_at_ms);

-- Ids as text: what was made up leaves no number behind.
CREATE TABLE waiting_events_missing (
  missing_id TEXT NOT NULL,
  waiting_no INTEGER NOT NULL REFERENCES waiting_events ON DELETE CASCADE,
  PRIMARY KEY (missing_id, waiting_no)
) STRICT, WITHOUT ROWID;

CREATE INDEX waiting_events_missing_of ON waiting_events_missing (waiting_no);
