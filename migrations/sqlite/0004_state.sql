-- The state of rooms: everywhere it ever mattered, and now.

CREATE TABLE state_keys (
  key_no INTEGER PRIMARY KEY,
  key    TEXT NOT NULL UNIQUE
) STRICT;

-- A layer over its parent. `entries`: numbers of keys and events as src/storage/sqlite/core/snapshot-packing.ts writes them.
CREATE TABLE snapshots (
  snapshot_no INTEGER PRIMARY KEY,
  room_no     INTEGER NOT NULL REFERENCES rooms,
  parent_no   INTEGER REFERENCES snapshots,
  entries     BLOB NOT NULL
) STRICT;

CREATE TABLE current_state (
  room_no   INTEGER NOT NULL REFERENCES rooms,
  type      TEXT NOT NULL,
  state_key TEXT NOT NULL,
  event_no  INTEGER NOT NULL REFERENCES event_ids,
  PRIMARY KEY (room_no, type, state_key)
) STRICT, WITHOUT ROWID;

-- How the current state came to be, key by key. Null event: the key was removed.
CREATE TABLE current_state_log (
  position INTEGER NOT NULL,
  key_no   INTEGER NOT NULL REFERENCES state_keys,
  room_no  INTEGER NOT NULL REFERENCES rooms,
  event_no INTEGER REFERENCES event_ids,
  PRIMARY KEY (position, key_no)
) STRICT, WITHOUT ROWID;
