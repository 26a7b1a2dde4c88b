-- The words of messages are written once for each transaction, behind its rows (src/storage/sqlite/message-words.ts): FTS5 writes out what
-- it has gathered before each statement that may fail half-way, so by trigger every event cost a segment of its own.
DROP TRIGGER message_words_event_added;
DROP TRIGGER message_words_event_changed;
