-- Contents that nobody gets, by their SHA-256: whichever address has them, now or later.
CREATE TABLE media_quarantine (
  hash  TEXT NOT NULL PRIMARY KEY,
  -- The administrator.
  by    TEXT NOT NULL,
  at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
