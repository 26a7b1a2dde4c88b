-- Room keys that users keep here, encrypted with a key of theirs.

CREATE TABLE key_backups (
  user_id   TEXT NOT NULL,
  version   INTEGER NOT NULL,
  algorithm TEXT NOT NULL,
  auth_data TEXT NOT NULL,
  -- One more with each change of the keys.
  etag      INTEGER NOT NULL DEFAULT 0,
  count     INTEGER NOT NULL DEFAULT 0,
  -- 1: removed. The row stays, so that its number is never given again.
  removed   INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (user_id, version)
) STRICT, WITHOUT ROWID;

CREATE TABLE key_backup_keys (
  user_id             TEXT NOT NULL,
  version             INTEGER NOT NULL,
  room_id             TEXT NOT NULL,
  session_id          TEXT NOT NULL,
  first_message_index INTEGER NOT NULL,
  forwarded_count     INTEGER NOT NULL,
  is_verified         INTEGER NOT NULL,
  -- JSON.
  session_data        TEXT NOT NULL,
  PRIMARY KEY (user_id, version, room_id, session_id)
) STRICT, WITHOUT ROWID;
