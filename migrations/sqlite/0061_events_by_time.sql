-- For the event next to a moment.
CREATE INDEX events_by_time ON events (room_no, origin_server_ts, depth, position)
  WHERE verdict = 'accepted' AND position IS NOT NULL;
