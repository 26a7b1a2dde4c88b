-- Whose keys changed when, and what other servers said of their users' devices.

-- The last change of each user that a viewer is to hear of. Viewer empty: everybody who may.
CREATE TABLE device_list_changes (
  user_id   TEXT NOT NULL,
  viewer_id TEXT NOT NULL,
  position  INTEGER NOT NULL,
  PRIMARY KEY (user_id, viewer_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX device_list_changes_by_position ON device_list_changes (position);

-- Of our users: the numbers of what other servers were told.
CREATE TABLE device_list_streams (
  user_id      TEXT PRIMARY KEY,
  -- The last one given to anything.
  stream_id    INTEGER NOT NULL,
  -- The last one that went to every server that shared a room then. Null: none did.
  broadcast_id INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE remote_device_lists (
  user_id          TEXT PRIMARY KEY,
  -- seen: only updates came. stale: to be asked for again. fresh: what stands here holds.
  state            TEXT NOT NULL,
  -- Everything up to this update is in it. Null: not known, the next update has to be followed by a question.
  stream_id        INTEGER,
  fetched_at_ms    INTEGER,
  master_key       TEXT,
  self_signing_key TEXT,
  failures         INTEGER NOT NULL DEFAULT 0,
  retry_at_ms      INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX remote_device_lists_stale ON remote_device_lists (retry_at_ms) WHERE state = 'stale';

CREATE TABLE remote_devices (
  user_id      TEXT NOT NULL REFERENCES remote_device_lists ON DELETE CASCADE,
  device_id    TEXT NOT NULL,
  display_name TEXT,
  -- JSON. Null: a device that does not encrypt.
  keys         TEXT,
  PRIMARY KEY (user_id, device_id)
) STRICT, WITHOUT ROWID;

-- The last updates that came, so that none counts twice.
CREATE TABLE remote_device_list_updates (
  user_id   TEXT NOT NULL REFERENCES remote_device_lists ON DELETE CASCADE,
  stream_id INTEGER NOT NULL,
  PRIMARY KEY (user_id, stream_id)
) STRICT, WITHOUT ROWID;
