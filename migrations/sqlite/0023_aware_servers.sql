-- Which servers are known to honour `allowed_recipients`: when they last sent it themselves.

CREATE TABLE presence_aware_servers (
  server     TEXT PRIMARY KEY,
  seen_at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
