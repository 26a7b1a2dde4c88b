-- How rooms are found.

CREATE TABLE aliases (
  alias   TEXT PRIMARY KEY,
  room_id TEXT NOT NULL,
  creator TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX aliases_of_room ON aliases (room_id);

-- Rooms in the public room list.
CREATE TABLE public_rooms (
  room_id TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;
