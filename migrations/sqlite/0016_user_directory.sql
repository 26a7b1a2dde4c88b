-- The names by which the user directory finds people: of our own the one in their profile, of others those that they bear in rooms.
CREATE TABLE directory_names (
  name_no  INTEGER PRIMARY KEY,
  user_id  TEXT NOT NULL,
  -- Empty: none.
  name     TEXT NOT NULL,
  is_local INTEGER NOT NULL,
  UNIQUE (user_id, name)
) STRICT;

-- The words of each, and of the local part of the user id. The row id is the number of the name.
CREATE VIRTUAL TABLE directory_words USING fts5 (
  name, localpart, content = '', contentless_delete = 1, tokenize = "unicode61 remove_diacritics 2"
);

INSERT INTO directory_names (user_id, name, is_local)
SELECT a.user_id, coalesce(p.displayname, ''), 1
FROM accounts a LEFT JOIN profiles p ON p.user_id = a.user_id
WHERE a.deactivated_at_ms IS NULL;

INSERT INTO directory_names (user_id, name, is_local)
SELECT DISTINCT m.user_id, coalesce(m.displayname, ''), 0
FROM memberships m
WHERE m.membership = 'join' AND NOT EXISTS (SELECT 1 FROM accounts a WHERE a.user_id = m.user_id);

INSERT INTO directory_words (rowid, name, localpart)
SELECT name_no, name, substr(user_id, 2, instr(user_id, ':') - 2) FROM directory_names;
