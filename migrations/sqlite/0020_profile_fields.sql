-- What users say of themselves beyond their name and picture.
CREATE TABLE profile_fields (
  user_id TEXT NOT NULL,
  field   TEXT NOT NULL,
  -- JSON of any kind.
  value   TEXT NOT NULL,
  PRIMARY KEY (user_id, field)
) STRICT, WITHOUT ROWID;
