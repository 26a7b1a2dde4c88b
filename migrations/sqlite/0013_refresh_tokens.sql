-- Access tokens that end by themselves, and the tokens that new ones are asked for with.

-- Null: never.
ALTER TABLE access_tokens ADD COLUMN expires_at_ms INTEGER;
-- Each refresh gives the device's next generation.
ALTER TABLE access_tokens ADD COLUMN generation INTEGER NOT NULL DEFAULT 0;

CREATE TABLE refresh_tokens (
  token_hash    TEXT PRIMARY KEY,
  user_id       TEXT NOT NULL,
  device_id     TEXT NOT NULL,
  generation    INTEGER NOT NULL,
  created_at_ms INTEGER NOT NULL,
  -- Null: never.
  expires_at_ms INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX refresh_tokens_of_device ON refresh_tokens (user_id, device_id);
