-- What devices of our users say of themselves, and the keys they leave here to be given out.

CREATE TABLE device_keys (
  user_id   TEXT NOT NULL,
  device_id TEXT NOT NULL,
  -- JSON as it was uploaded.
  keys      TEXT NOT NULL,
  PRIMARY KEY (user_id, device_id)
) STRICT, WITHOUT ROWID;

-- AUTOINCREMENT: the numbers tell the order of upload and are never given twice.
CREATE TABLE one_time_keys (
  key_no        INTEGER PRIMARY KEY AUTOINCREMENT,
  user_id       TEXT NOT NULL,
  device_id     TEXT NOT NULL,
  algorithm     TEXT NOT NULL,
  key_id        TEXT NOT NULL,
  -- Canonical JSON.
  key           TEXT NOT NULL,
  -- Not null: given out. Kept for a while, so that an upload that is repeated does not bring the key back.
  claimed_at_ms INTEGER
) STRICT;

CREATE UNIQUE INDEX one_time_keys_by_id ON one_time_keys (user_id, device_id, algorithm, key_id);
CREATE INDEX one_time_keys_unclaimed ON one_time_keys (user_id, device_id, algorithm, key_no) WHERE claimed_at_ms IS NULL;

CREATE TABLE fallback_keys (
  user_id   TEXT NOT NULL,
  device_id TEXT NOT NULL,
  algorithm TEXT NOT NULL,
  key_id    TEXT NOT NULL,
  -- Canonical JSON.
  key       TEXT NOT NULL,
  used      INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (user_id, device_id, algorithm)
) STRICT, WITHOUT ROWID;
