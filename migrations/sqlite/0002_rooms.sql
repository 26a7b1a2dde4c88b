-- Rooms and who is, was or may come to be in them.

-- Also numbers the ids of rooms that we only heard of (invites): those have no version.
CREATE TABLE rooms (
  room_no         INTEGER PRIMARY KEY,
  room_id         TEXT NOT NULL UNIQUE,
  version         TEXT,
  -- Position of the newest accepted event of the timeline; 0 before the first.
  newest_position INTEGER NOT NULL DEFAULT 0,
  -- The resolved current state.
  snapshot_no     INTEGER
) STRICT;

CREATE INDEX rooms_by_newest_position ON rooms (newest_position);

CREATE TABLE memberships (
  room_no        INTEGER NOT NULL REFERENCES rooms,
  user_id        TEXT NOT NULL,
  server         TEXT NOT NULL,
  membership     TEXT NOT NULL,
  event_id       TEXT NOT NULL,
  sender         TEXT NOT NULL,
  displayname    TEXT,
  avatar_url     TEXT,
  position       INTEGER NOT NULL,
  -- Position of the user's first row in this room: the order of members and heroes.
  first_position INTEGER NOT NULL,
  forgotten      INTEGER NOT NULL DEFAULT 0,
  -- JSON: what another server told us about a room that no local user is in.
  out_of_band    TEXT,
  PRIMARY KEY (room_no, user_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX memberships_of_user ON memberships (user_id, membership);
CREATE INDEX memberships_by_server ON memberships (room_no, membership, server);
CREATE INDEX memberships_for_heroes ON memberships (room_no, (membership IN ('join', 'invite')), first_position);

-- How many members a room has of each kind; kept with `memberships`, since summaries ask all the time.
CREATE TABLE member_counts (
  room_no    INTEGER NOT NULL REFERENCES rooms,
  membership TEXT NOT NULL,
  count      INTEGER NOT NULL,
  PRIMARY KEY (room_no, membership)
) STRICT, WITHOUT ROWID;

-- Every membership there ever was, for syncs that look back.
CREATE TABLE membership_log (
  user_id     TEXT NOT NULL,
  room_no     INTEGER NOT NULL REFERENCES rooms,
  position    INTEGER NOT NULL,
  membership  TEXT NOT NULL,
  -- The membership before; null: none.
  before      TEXT,
  event_id    TEXT NOT NULL,
  sender      TEXT NOT NULL,
  displayname TEXT,
  avatar_url  TEXT,
  out_of_band TEXT,
  PRIMARY KEY (user_id, room_no, position)
) STRICT, WITHOUT ROWID;

CREATE INDEX membership_log_by_position ON membership_log (user_id, position);
CREATE INDEX membership_log_new_joins ON membership_log (position) WHERE membership = 'join' AND before IS NOT 'join';
