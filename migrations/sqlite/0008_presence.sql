-- Presence of local users, what remote ones told, and whom it must no longer reach.

CREATE TABLE presence (
  user_id           TEXT PRIMARY KEY,
  state             TEXT NOT NULL,
  status_msg        TEXT,
  last_active_at_ms INTEGER NOT NULL,
  currently_active  INTEGER NOT NULL,
  changed_at_ms     INTEGER NOT NULL,
  -- JSON list: the devices whose last word must outlive the process.
  devices           TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX presence_not_offline ON presence (user_id) WHERE state <> 'offline';

CREATE TABLE presence_copies (
  subject           TEXT NOT NULL,
  sequence          INTEGER NOT NULL,
  state             TEXT NOT NULL,
  status_msg        TEXT,
  last_active_at_ms INTEGER NOT NULL,
  currently_active  INTEGER NOT NULL,
  -- JSON list of user ids; null: everybody here who shares a room.
  recipients        TEXT,
  expires_at_ms     INTEGER,
  PRIMARY KEY (subject, sequence)
) STRICT, WITHOUT ROWID;

-- AUTOINCREMENT: a generation is never given twice, also not after its row was cleared.
CREATE TABLE narrowings (
  generation  INTEGER PRIMARY KEY AUTOINCREMENT,
  destination TEXT NOT NULL,
  subject     TEXT NOT NULL,
  last_active_at_ms INTEGER NOT NULL,
  UNIQUE (destination, subject)
) STRICT;

CREATE TABLE presence_losses (
  viewer  TEXT NOT NULL,
  subject TEXT NOT NULL,
  at_ms   INTEGER NOT NULL,
  PRIMARY KEY (viewer, subject)
) STRICT, WITHOUT ROWID;

CREATE INDEX presence_losses_by_age ON presence_losses (at_ms);

CREATE TABLE presence_facts (
  name  TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
