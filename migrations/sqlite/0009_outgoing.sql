-- What other servers are still to be told.

CREATE TABLE destinations (
  destination_no   INTEGER PRIMARY KEY,
  destination      TEXT NOT NULL UNIQUE,
  -- Events up to here were delivered. Null: nothing was ever for them.
  cursor           INTEGER,
  failing_since_ms INTEGER,
  retry_at_ms      INTEGER,
  failures         INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE INDEX destinations_failing ON destinations (retry_at_ms) WHERE retry_at_ms IS NOT NULL;

-- Sets of destinations that some event went to. Rooms have few, events many.
CREATE TABLE destination_lists (
  list_no INTEGER PRIMARY KEY,
  -- SHA-256 of the sorted names.
  hash    BLOB NOT NULL UNIQUE
) STRICT;

CREATE TABLE destination_list_entries (
  destination_no INTEGER NOT NULL REFERENCES destinations,
  list_no        INTEGER NOT NULL REFERENCES destination_lists ON DELETE CASCADE,
  PRIMARY KEY (destination_no, list_no)
) STRICT, WITHOUT ROWID;

CREATE INDEX destination_list_entries_of_list ON destination_list_entries (list_no, destination_no);

CREATE TABLE outgoing_pdus (
  position INTEGER PRIMARY KEY,
  event_no INTEGER NOT NULL REFERENCES event_ids,
  room_no  INTEGER NOT NULL REFERENCES rooms,
  list_no  INTEGER NOT NULL REFERENCES destination_lists
) STRICT;

CREATE INDEX outgoing_pdus_of_list ON outgoing_pdus (list_no, position);

-- AUTOINCREMENT: an EDU that replaces another has a number of its own, which the delivery of the other does not remove.
CREATE TABLE outgoing_edus (
  edu_id         INTEGER PRIMARY KEY AUTOINCREMENT,
  destination_no INTEGER NOT NULL REFERENCES destinations,
  key            TEXT,
  edu            TEXT NOT NULL
) STRICT;

CREATE INDEX outgoing_edus_of_destination ON outgoing_edus (destination_no, edu_id);
CREATE UNIQUE INDEX outgoing_edus_by_key ON outgoing_edus (destination_no, key) WHERE key IS NOT NULL;

CREATE TABLE outgoing_transactions (
  destination_no INTEGER PRIMARY KEY REFERENCES destinations,
  transaction_id TEXT NOT NULL,
  -- JSON lists.
  event_ids      TEXT NOT NULL,
  edu_ids        TEXT NOT NULL,
  edus           TEXT NOT NULL,
  cursor         INTEGER NOT NULL
) STRICT;
