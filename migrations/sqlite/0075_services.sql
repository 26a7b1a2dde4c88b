-- What application services were told.

CREATE TABLE services (
  service_id TEXT PRIMARY KEY,
  -- What happened up to here was told.
  position   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Stored before the first attempt and repeated exactly until it is taken.
CREATE TABLE service_transactions (
  service_id     TEXT PRIMARY KEY REFERENCES services ON DELETE CASCADE,
  transaction_id TEXT NOT NULL,
  body           TEXT NOT NULL,
  -- Where the service stands once it has taken it.
  up_to          INTEGER NOT NULL,
  -- JSON: of which devices it holds messages, and up to which.
  collected      TEXT NOT NULL
) STRICT;

-- Few of all that is ever in the log.
CREATE INDEX membership_log_out_of_band ON membership_log (position) WHERE out_of_band IS NOT NULL;
