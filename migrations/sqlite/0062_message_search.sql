-- The words of messages, names and topics, by event number. The text itself stays with the event.
CREATE VIRTUAL TABLE message_words USING fts5 (
  body, name, topic,
  -- One word for the room, so that a search meets only what lies in the searcher's own.
  room,
  content = '', contentless_delete = 1, tokenize = 'unicode61 remove_diacritics 2'
);

-- In the same commit as the event: what is redacted is not found a moment later.
CREATE TRIGGER message_words_event_added AFTER INSERT ON events
WHEN new.type IN ('m.room.message', 'm.room.name', 'm.room.topic') AND new.verdict = 'accepted' AND new.position IS NOT NULL
BEGIN
  INSERT INTO message_words (rowid, body, name, topic, room) VALUES (
    new.event_no,
    iif(json_type(new.client_text, '$.content.body') = 'text', new.client_text ->> '$.content.body', NULL),
    iif(json_type(new.client_text, '$.content.name') = 'text', new.client_text ->> '$.content.name', NULL),
    iif(json_type(new.client_text, '$.content.topic') = 'text', new.client_text ->> '$.content.topic', NULL),
    'r' || new.room_no
  );
END;

CREATE TRIGGER message_words_event_changed AFTER UPDATE OF client_text, verdict, position ON events
WHEN new.type IN ('m.room.message', 'm.room.name', 'm.room.topic')
BEGIN
  DELETE FROM message_words WHERE rowid = new.event_no;
  INSERT INTO message_words (rowid, body, name, topic, room)
    SELECT
      new.event_no,
      iif(json_type(new.client_text, '$.content.body') = 'text', new.client_text ->> '$.content.body', NULL),
      iif(json_type(new.client_text, '$.content.name') = 'text', new.client_text ->> '$.content.name', NULL),
      iif(json_type(new.client_text, '$.content.topic') = 'text', new.client_text ->> '$.content.topic', NULL),
      'r' || new.room_no
    WHERE new.verdict = 'accepted' AND new.position IS NOT NULL;
END;

INSERT INTO message_words (rowid, body, name, topic, room)
  SELECT
    event_no,
    iif(json_type(client_text, '$.content.body') = 'text', client_text ->> '$.content.body', NULL),
    iif(json_type(client_text, '$.content.name') = 'text', client_text ->> '$.content.name', NULL),
    iif(json_type(client_text, '$.content.topic') = 'text', client_text ->> '$.content.topic', NULL),
    'r' || room_no
  FROM events
  WHERE type IN ('m.room.message', 'm.room.name', 'm.room.topic') AND verdict = 'accepted' AND position IS NOT NULL;
