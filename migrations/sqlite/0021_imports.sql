-- Large answers of other servers on their way in, and the state of a room that is put together beside the one that counts.

CREATE TABLE imports (
  import_no INTEGER PRIMARY KEY
) STRICT;

-- Events as they came, until they are judged.
CREATE TABLE import_texts (
  import_no INTEGER NOT NULL REFERENCES imports,
  number    INTEGER NOT NULL,
  text      TEXT NOT NULL,
  PRIMARY KEY (import_no, number)
) STRICT;

-- States by number: a room has one, and an import may put another together, which the room then takes over at once.
CREATE TABLE current_states (
  state_no  INTEGER NOT NULL,
  type      TEXT NOT NULL,
  state_key TEXT NOT NULL,
  event_no  INTEGER NOT NULL REFERENCES event_ids,
  PRIMARY KEY (state_no, type, state_key)
) STRICT, WITHOUT ROWID;

-- The number of an import is positive.
ALTER TABLE rooms ADD COLUMN state_no INTEGER;
UPDATE rooms SET state_no = -room_no WHERE room_no IN (SELECT room_no FROM current_state);
INSERT INTO current_states (state_no, type, state_key, event_no)
  SELECT -room_no, type, state_key, event_no FROM current_state;
DROP TABLE current_state;

CREATE VIEW current_state AS
  SELECT r.room_no, s.type, s.state_key, s.event_no FROM rooms r JOIN current_states s ON s.state_no = r.state_no;

CREATE UNIQUE INDEX rooms_by_state ON rooms (state_no) WHERE state_no IS NOT NULL;
