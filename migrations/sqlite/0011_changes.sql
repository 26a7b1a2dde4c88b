-- The order of everything, and what follows from it.

-- 'position': the last one given. 'historical': the lowest one given to an event of the past.
CREATE TABLE counters (
  name  TEXT PRIMARY KEY,
  value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO counters (name, value) VALUES ('position', 0), ('historical', 0);

-- An event and the membership it brings share a position; `place` keeps their order.
CREATE TABLE change_log (
  position INTEGER NOT NULL,
  place    INTEGER NOT NULL,
  change   TEXT NOT NULL,
  PRIMARY KEY (position, place)
) STRICT, WITHOUT ROWID;

CREATE TABLE reaction_cursors (
  name     TEXT PRIMARY KEY,
  position INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
