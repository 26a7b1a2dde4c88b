-- What each room says of itself to those who are not in it, kept with its current state, and whether the public list shows it.
CREATE TABLE room_listings (
  room_no         INTEGER PRIMARY KEY REFERENCES rooms,
  published       INTEGER NOT NULL DEFAULT 0,
  joined_members  INTEGER NOT NULL DEFAULT 0,
  name            TEXT,
  topic           TEXT,
  canonical_alias TEXT,
  avatar_url      TEXT,
  room_type       TEXT,
  join_rule       TEXT,
  world_readable  INTEGER NOT NULL DEFAULT 0,
  guest_can_join  INTEGER NOT NULL DEFAULT 0,
  -- By its rules it may be shown to everybody.
  listable        INTEGER NOT NULL DEFAULT 0,
  -- Anybody may come in or look in.
  is_open         INTEGER NOT NULL DEFAULT 0,
  -- Name, topic and alias as searches compare them.
  search_text     TEXT NOT NULL DEFAULT ''
) STRICT;

CREATE INDEX room_listings_public ON room_listings (joined_members DESC, room_no)
  WHERE published = 1 AND listable = 1 AND joined_members > 0;

INSERT INTO room_listings (room_no, published, joined_members, name, topic, canonical_alias, avatar_url, room_type, join_rule,
  world_readable, guest_can_join)
SELECT r.room_no,
  EXISTS (SELECT 1 FROM public_rooms p WHERE p.room_id = r.room_id),
  coalesce((SELECT count FROM member_counts c WHERE c.room_no = r.room_no AND c.membership = 'join'), 0),
  (SELECT nullif(client_text ->> '$.content.name', '') FROM current_state s JOIN events e USING (event_no)
   WHERE s.room_no = r.room_no AND s.type = 'm.room.name' AND s.state_key = ''
     AND json_type(client_text, '$.content.name') = 'text'),
  (SELECT nullif(client_text ->> '$.content.topic', '') FROM current_state s JOIN events e USING (event_no)
   WHERE s.room_no = r.room_no AND s.type = 'm.room.topic' AND s.state_key = ''
     AND json_type(client_text, '$.content.topic') = 'text'),
  (SELECT client_text ->> '$.content.alias' FROM current_state s JOIN events e USING (event_no)
   WHERE s.room_no = r.room_no AND s.type = 'm.room.canonical_alias' AND s.state_key = ''
     AND json_type(client_text, '$.content.alias') = 'text' AND client_text ->> '$.content.alias' GLOB '#?*:?*'),
  (SELECT client_text ->> '$.content.url' FROM current_state s JOIN events e USING (event_no)
   WHERE s.room_no = r.room_no AND s.type = 'm.room.avatar' AND s.state_key = ''
     AND client_text ->> '$.content.url' GLOB 'mxc://*'),
  (SELECT nullif(client_text ->> '$.content.type', '') FROM current_state s JOIN events e USING (event_no)
   WHERE s.room_no = r.room_no AND s.type = 'm.room.create' AND s.state_key = ''
     AND json_type(client_text, '$.content.type') = 'text'),
  (SELECT nullif(client_text ->> '$.content.join_rule', '') FROM current_state s JOIN events e USING (event_no)
   WHERE s.room_no = r.room_no AND s.type = 'm.room.join_rules' AND s.state_key = ''
     AND json_type(client_text, '$.content.join_rule') = 'text'),
  EXISTS (SELECT 1 FROM current_state s JOIN events e USING (event_no)
   WHERE s.room_no = r.room_no AND s.type = 'm.room.history_visibility' AND s.state_key = ''
     AND client_text ->> '$.content.history_visibility' = 'world_readable'),
  EXISTS (SELECT 1 FROM current_state s JOIN events e USING (event_no)
   WHERE s.room_no = r.room_no AND s.type = 'm.room.guest_access' AND s.state_key = ''
     AND client_text ->> '$.content.guest_access' = 'can_join')
FROM rooms r;

UPDATE room_listings SET
  listable = world_readable OR coalesce(join_rule IN ('public', 'knock', 'restricted', 'knock_restricted'), 0),
  is_open = world_readable OR coalesce(join_rule = 'public', 0),
  search_text = lower(concat_ws(char(10), name, topic, canonical_alias));

DROP TABLE public_rooms;
