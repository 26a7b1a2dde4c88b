-- What push rules make of events, and how far users have read.

-- Threads of rooms with events that notify; what the events of each add up to by the default rules.
CREATE TABLE notified_threads (
  room_no       INTEGER NOT NULL REFERENCES rooms,
  -- The root's; 0: the main timeline.
  thread_no     INTEGER NOT NULL,
  -- Of the newest event that notifies anybody.
  last_position INTEGER NOT NULL,
  notifications INTEGER NOT NULL,
  highlights    INTEGER NOT NULL,
  PRIMARY KEY (room_no, thread_no)
) STRICT, WITHOUT ROWID;

CREATE INDEX notified_threads_by_position ON notified_threads (room_no, last_position);

-- Events of which the default rules notify.
CREATE TABLE notifications (
  room_no          INTEGER NOT NULL REFERENCES rooms,
  thread_no        INTEGER NOT NULL,
  position         INTEGER NOT NULL,
  event_no         INTEGER NOT NULL REFERENCES event_ids,
  sender           TEXT NOT NULL,
  -- JSON: a list.
  actions          TEXT NOT NULL,
  highlights       INTEGER NOT NULL,
  -- Of the thread up to this one.
  notification_sum INTEGER NOT NULL,
  highlight_sum    INTEGER NOT NULL,
  redacted         INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (room_no, thread_no, position)
) STRICT, WITHOUT ROWID;

CREATE INDEX notifications_of_room ON notifications (room_no, position);

-- Events that mean something else to a user than to everybody.
CREATE TABLE own_notifications (
  user_id            TEXT NOT NULL,
  room_no            INTEGER NOT NULL REFERENCES rooms,
  thread_no          INTEGER NOT NULL,
  position           INTEGER NOT NULL,
  event_no           INTEGER NOT NULL REFERENCES event_ids,
  -- JSON: a list; empty where the user is not notified.
  actions            TEXT NOT NULL,
  notifies           INTEGER NOT NULL,
  highlights         INTEGER NOT NULL,
  -- What it adds to what the default rules say of the event.
  notification_delta INTEGER NOT NULL,
  highlight_delta    INTEGER NOT NULL,
  -- Of the user's in the thread up to this one.
  notification_sum   INTEGER NOT NULL,
  highlight_sum      INTEGER NOT NULL,
  redacted           INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (user_id, room_no, thread_no, position)
) STRICT, WITHOUT ROWID;

CREATE INDEX own_notifications_of_event ON own_notifications (room_no, position);
CREATE INDEX own_notifications_by_position ON own_notifications (user_id, position) WHERE notifies = 1;

-- What redactions took from the sums above, at the place of the event that was redacted.
CREATE TABLE redacted_notifications (
  room_no       INTEGER NOT NULL REFERENCES rooms,
  -- Empty: from what the default rules say.
  user_id       TEXT NOT NULL,
  thread_no     INTEGER NOT NULL,
  position      INTEGER NOT NULL,
  notifications INTEGER NOT NULL,
  highlights    INTEGER NOT NULL,
  PRIMARY KEY (room_no, user_id, thread_no, position)
) STRICT, WITHOUT ROWID;

-- How far our users have read, by receipts and by what they sent themselves.
CREATE TABLE read_places (
  user_id   TEXT NOT NULL,
  room_no   INTEGER NOT NULL REFERENCES rooms,
  -- -1: the whole room. 0: the main timeline.
  thread_no INTEGER NOT NULL,
  position  INTEGER NOT NULL,
  PRIMARY KEY (user_id, room_no, thread_no)
) STRICT, WITHOUT ROWID;

-- Where a user's stay in a room began: what happened before is none of their notifications.
CREATE TABLE arrivals (
  user_id  TEXT NOT NULL,
  room_no  INTEGER NOT NULL REFERENCES rooms,
  position INTEGER NOT NULL,
  PRIMARY KEY (user_id, room_no)
) STRICT, WITHOUT ROWID;
