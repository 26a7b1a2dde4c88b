-- Events and the graph they form.

-- Numbers for event ids, stored events or not: edges and snapshots name many.
CREATE TABLE event_ids (
  event_no INTEGER PRIMARY KEY,
  event_id TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE events (
  event_no              INTEGER PRIMARY KEY REFERENCES event_ids,
  room_no               INTEGER NOT NULL REFERENCES rooms,
  room_version          TEXT NOT NULL,
  verdict               TEXT NOT NULL CHECK (verdict IN ('accepted', 'soft_failed', 'rejected')),
  -- Above 0: timeline. Below 0: history. Null: outlier.
  position              INTEGER,
  snapshot_before       INTEGER,
  snapshot_after        INTEGER,
  type                  TEXT NOT NULL,
  state_key             TEXT,
  sender                TEXT NOT NULL,
  depth                 INTEGER NOT NULL,
  origin_server_ts      INTEGER NOT NULL,
  has_url               INTEGER NOT NULL,
  rel_type              TEXT,
  relates_to            TEXT,
  -- The state event that stood at this key before.
  replaces_no           INTEGER REFERENCES event_ids,
  redacted_by_no        INTEGER REFERENCES event_ids,
  transaction_user_id   TEXT,
  transaction_device_id TEXT,
  transaction_id        TEXT,
  received_at_ms        INTEGER NOT NULL,
  -- For clients, completed by the reader.
  client_text           TEXT NOT NULL,
  -- For other servers: canonical JSON.
  pdu_text              TEXT NOT NULL
) STRICT;

CREATE INDEX events_timeline ON events (room_no, position) WHERE verdict = 'accepted' AND position > 0;
CREATE INDEX events_history ON events (room_no, depth, position) WHERE verdict = 'accepted' AND position IS NOT NULL;
CREATE INDEX events_by_relation ON events (relates_to, rel_type) WHERE relates_to IS NOT NULL;

CREATE TABLE event_prevs (
  event_no INTEGER NOT NULL REFERENCES event_ids,
  prev_no  INTEGER NOT NULL REFERENCES event_ids,
  PRIMARY KEY (event_no, prev_no)
) STRICT, WITHOUT ROWID;

CREATE INDEX event_prevs_backwards ON event_prevs (prev_no, event_no);

CREATE TABLE event_auths (
  event_no INTEGER NOT NULL REFERENCES event_ids,
  auth_no  INTEGER NOT NULL REFERENCES event_ids,
  PRIMARY KEY (event_no, auth_no)
) STRICT, WITHOUT ROWID;

CREATE TABLE forward_extremities (
  room_no  INTEGER NOT NULL REFERENCES rooms,
  event_no INTEGER NOT NULL REFERENCES event_ids,
  PRIMARY KEY (room_no, event_no)
) STRICT, WITHOUT ROWID;

-- Edges from events of the timeline or the history to previous ones that are in neither: where there are gaps.
CREATE TABLE missing_prevs (
  prev_no  INTEGER NOT NULL REFERENCES event_ids,
  event_no INTEGER NOT NULL REFERENCES event_ids,
  room_no  INTEGER NOT NULL REFERENCES rooms,
  -- Of the event that names it.
  depth    INTEGER NOT NULL,
  -- Of the event that names it, if that is an accepted one of the timeline; else null.
  position INTEGER,
  PRIMARY KEY (prev_no, event_no)
) STRICT, WITHOUT ROWID;

CREATE INDEX missing_prevs_of_event ON missing_prevs (event_no);
CREATE INDEX missing_prevs_of_room ON missing_prevs (room_no);
CREATE INDEX missing_prevs_by_position ON missing_prevs (position) WHERE position IS NOT NULL;

CREATE TABLE client_transactions (
  user_id        TEXT NOT NULL,
  device_id      TEXT NOT NULL,
  scope          TEXT NOT NULL,
  transaction_id TEXT NOT NULL,
  event_id       TEXT NOT NULL,
  created_at_ms  INTEGER NOT NULL,
  PRIMARY KEY (user_id, device_id, scope, transaction_id)
) STRICT;

CREATE INDEX client_transactions_by_age ON client_transactions (created_at_ms);
