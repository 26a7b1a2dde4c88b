-- What users keep with their account, globally or for a room.

CREATE TABLE account_data (
  user_id  TEXT NOT NULL,
  -- Empty: global.
  room_id  TEXT NOT NULL,
  type     TEXT NOT NULL,
  content  TEXT NOT NULL,
  position INTEGER NOT NULL,
  PRIMARY KEY (user_id, room_id, type)
) STRICT, WITHOUT ROWID;

CREATE INDEX account_data_by_position ON account_data (user_id, position);
CREATE INDEX account_data_by_type ON account_data (type, user_id);
