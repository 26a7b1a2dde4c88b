-- Rooms in the lists of networks that application services bridge to, apart from the server's own list.
CREATE TABLE network_rooms (
  -- The service and its name for the network: what clients call third_party_instance_id.
  network TEXT NOT NULL,
  room_no INTEGER NOT NULL REFERENCES rooms,
  PRIMARY KEY (network, room_no)
) STRICT, WITHOUT ROWID;

CREATE INDEX network_rooms_by_room ON network_rooms (room_no);
