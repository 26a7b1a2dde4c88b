-- Messages from device to device that wait to be collected.

CREATE TABLE to_device_messages (
  user_id   TEXT NOT NULL,
  device_id TEXT NOT NULL,
  position  INTEGER NOT NULL,
  -- One more than that of the message before it in the inbox; the oldest and the newest say how many wait.
  place     INTEGER NOT NULL,
  -- As `/sync` tells it.
  event     TEXT NOT NULL,
  PRIMARY KEY (user_id, device_id, position),
  FOREIGN KEY (user_id, device_id) REFERENCES devices ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

-- What other servers have sent, so that none of it counts twice.
CREATE TABLE received_to_device (
  origin         TEXT NOT NULL,
  message_id     TEXT NOT NULL,
  received_at_ms INTEGER NOT NULL,
  PRIMARY KEY (origin, message_id)
) STRICT;

CREATE INDEX received_to_device_by_age ON received_to_device (received_at_ms);
