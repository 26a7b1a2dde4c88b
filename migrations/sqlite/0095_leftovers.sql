-- What goes with a device or a key backup may be too much to be deleted in one turn. It is gone for every reader at once, and is deleted
-- some rows at a time.

CREATE TABLE device_leftovers (
  user_id             TEXT NOT NULL,
  device_id           TEXT NOT NULL,
  -- Messages to the device with a lower position are gone; 0: none.
  messages_before     INTEGER NOT NULL DEFAULT 0,
  -- So are its transactions that were written behind a lower position.
  transactions_before INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (user_id, device_id)
) STRICT, WITHOUT ROWID;

-- Their keys are gone.
CREATE TABLE key_backup_leftovers (
  user_id TEXT NOT NULL,
  version INTEGER NOT NULL,
  PRIMARY KEY (user_id, version)
) STRICT, WITHOUT ROWID;

-- The last position given before the transaction was written.
ALTER TABLE client_transactions ADD COLUMN written_behind INTEGER NOT NULL DEFAULT 0;

-- Without the reference to the device, with which all of its messages went in one turn.
ALTER TABLE to_device_messages RENAME TO to_device_messages_of_devices;

CREATE TABLE to_device_messages (
  user_id   TEXT NOT NULL,
  device_id TEXT NOT NULL,
  position  INTEGER NOT NULL,
  -- One more than that of the message before it in the inbox; the oldest and the newest say how many wait.
  place     INTEGER NOT NULL,
  -- As `/sync` tells it.
  event     TEXT NOT NULL,
  PRIMARY KEY (user_id, device_id, position)
) STRICT, WITHOUT ROWID;

INSERT INTO to_device_messages SELECT user_id, device_id, position, place, event FROM to_device_messages_of_devices;
DROP TABLE to_device_messages_of_devices;
