-- What is left for a destination of the events that the outgoing log no longer holds: of each room the newest.

CREATE TABLE outgoing_behind (
  destination_no INTEGER NOT NULL REFERENCES destinations,
  room_no        INTEGER NOT NULL REFERENCES rooms,
  position       INTEGER NOT NULL,
  event_no       INTEGER NOT NULL REFERENCES event_ids,
  PRIMARY KEY (destination_no, room_no)
) STRICT, WITHOUT ROWID;

-- Whether the log holds something newer of the same room for the same destinations.
CREATE INDEX outgoing_pdus_of_room ON outgoing_pdus (list_no, room_no, position);
