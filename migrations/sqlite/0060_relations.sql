-- What relates to an event, in the order of the history.
CREATE INDEX events_related ON events (relates_to, depth, position)
  WHERE relates_to IS NOT NULL AND verdict = 'accepted' AND position IS NOT NULL;

-- Threads: where the newest event of each stands, and how much everybody wrote. The root need not be stored.
CREATE TABLE threads (
  room_no  INTEGER NOT NULL REFERENCES rooms,
  root_id  TEXT NOT NULL,
  -- Of the newest event.
  depth    INTEGER NOT NULL,
  position INTEGER NOT NULL,
  PRIMARY KEY (room_no, root_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX threads_by_newest ON threads (room_no, depth, position);

CREATE TABLE thread_senders (
  room_no INTEGER NOT NULL REFERENCES rooms,
  root_id TEXT NOT NULL,
  sender  TEXT NOT NULL,
  events  INTEGER NOT NULL,
  PRIMARY KEY (room_no, root_id, sender)
) STRICT, WITHOUT ROWID;

-- Both follow from the events, whoever writes these: by arrival, by a place learnt later, by redaction.
CREATE TRIGGER threads_event_added AFTER INSERT ON events
WHEN new.rel_type = 'm.thread' AND new.verdict = 'accepted' AND new.position IS NOT NULL
BEGIN
  INSERT INTO thread_senders (room_no, root_id, sender, events) VALUES (new.room_no, new.relates_to, new.sender, 1)
    ON CONFLICT DO UPDATE SET events = events + 1;
  INSERT INTO threads (room_no, root_id, depth, position) VALUES (new.room_no, new.relates_to, new.depth, new.position)
    ON CONFLICT DO UPDATE SET depth = excluded.depth, position = excluded.position
    WHERE (excluded.depth, excluded.position) > (threads.depth, threads.position);
END;

CREATE TRIGGER threads_event_withdrawn AFTER UPDATE OF rel_type, relates_to, verdict, position ON events
WHEN old.rel_type = 'm.thread' AND old.verdict = 'accepted' AND old.position IS NOT NULL
BEGIN
  UPDATE thread_senders SET events = events - 1
    WHERE room_no = old.room_no AND root_id = old.relates_to AND sender = old.sender;
  DELETE FROM thread_senders
    WHERE room_no = old.room_no AND root_id = old.relates_to AND sender = old.sender AND events = 0;
  DELETE FROM threads WHERE room_no = old.room_no AND root_id = old.relates_to;
  INSERT INTO threads (room_no, root_id, depth, position)
    SELECT room_no, relates_to, depth, position FROM events
    WHERE relates_to = old.relates_to AND verdict = 'accepted' AND position IS NOT NULL
      AND room_no = old.room_no AND rel_type = 'm.thread'
    ORDER BY depth DESC, position DESC LIMIT 1;
END;

CREATE TRIGGER threads_event_changed AFTER UPDATE OF rel_type, relates_to, verdict, position ON events
WHEN new.rel_type = 'm.thread' AND new.verdict = 'accepted' AND new.position IS NOT NULL
BEGIN
  INSERT INTO thread_senders (room_no, root_id, sender, events) VALUES (new.room_no, new.relates_to, new.sender, 1)
    ON CONFLICT DO UPDATE SET events = events + 1;
  INSERT INTO threads (room_no, root_id, depth, position) VALUES (new.room_no, new.relates_to, new.depth, new.position)
    ON CONFLICT DO UPDATE SET depth = excluded.depth, position = excluded.position
    WHERE (excluded.depth, excluded.position) > (threads.depth, threads.position);
END;

INSERT INTO thread_senders (room_no, root_id, sender, events)
  SELECT room_no, relates_to, sender, count(*) FROM events
  WHERE rel_type = 'm.thread' AND verdict = 'accepted' AND position IS NOT NULL
  GROUP BY room_no, relates_to, sender;

INSERT INTO threads (room_no, root_id, depth, position)
  SELECT room_no, relates_to, depth, max(position) FROM events e
  WHERE rel_type = 'm.thread' AND verdict = 'accepted' AND position IS NOT NULL
    AND depth = (SELECT max(depth) FROM events x WHERE x.relates_to = e.relates_to AND x.room_no = e.room_no
      AND x.rel_type = 'm.thread' AND x.verdict = 'accepted' AND x.position IS NOT NULL)
  GROUP BY room_no, relates_to;
