-- Who has an account here, with which devices, and what they say of themselves.

CREATE TABLE accounts (
  user_id           TEXT PRIMARY KEY,
  password_hash     TEXT,
  created_at_ms     INTEGER NOT NULL,
  deactivated_at_ms INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE devices (
  user_id         TEXT NOT NULL,
  device_id       TEXT NOT NULL,
  display_name    TEXT,
  created_at_ms   INTEGER NOT NULL,
  last_seen_at_ms INTEGER,
  last_seen_ip    TEXT,
  PRIMARY KEY (user_id, device_id)
) STRICT, WITHOUT ROWID;

-- Only hashes: a stolen database opens no account.
CREATE TABLE access_tokens (
  token_hash    TEXT PRIMARY KEY,
  user_id       TEXT NOT NULL,
  device_id     TEXT NOT NULL,
  created_at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX access_tokens_of_device ON access_tokens (user_id, device_id);

CREATE TABLE profiles (
  user_id     TEXT PRIMARY KEY,
  displayname TEXT,
  avatar_url  TEXT
) STRICT, WITHOUT ROWID;

CREATE TABLE filters (
  user_id    TEXT NOT NULL,
  filter_id  TEXT NOT NULL,
  definition TEXT NOT NULL,
  PRIMARY KEY (user_id, filter_id)
) STRICT, WITHOUT ROWID;
