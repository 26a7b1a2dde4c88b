-- Where devices want to be notified of events.
CREATE TABLE pushers (
  user_id             TEXT NOT NULL,
  app_id              TEXT NOT NULL,
  pushkey             TEXT NOT NULL,
  device_id           TEXT NOT NULL,
  kind                TEXT NOT NULL,
  app_display_name    TEXT NOT NULL,
  device_display_name TEXT NOT NULL,
  profile_tag         TEXT,
  lang                TEXT NOT NULL,
  -- JSON: what the client wants its gateway to be told.
  data                TEXT NOT NULL,
  created_at_ms       INTEGER NOT NULL,
  PRIMARY KEY (user_id, app_id, pushkey)
) STRICT, WITHOUT ROWID;

CREATE INDEX pushers_of_device ON pushers (user_id, device_id);
CREATE INDEX pushers_by_key ON pushers (app_id, pushkey);
