-- What we know of other servers, and what we answered them.

CREATE TABLE server_keys (
  server         TEXT NOT NULL,
  key_id         TEXT NOT NULL,
  public_key     TEXT NOT NULL,
  valid_until_ms INTEGER NOT NULL,
  fetched_at_ms  INTEGER NOT NULL,
  PRIMARY KEY (server, key_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE received_transactions (
  origin         TEXT NOT NULL,
  transaction_id TEXT NOT NULL,
  answer         TEXT NOT NULL,
  received_at_ms INTEGER NOT NULL,
  PRIMARY KEY (origin, transaction_id)
) STRICT;

CREATE INDEX received_transactions_by_age ON received_transactions (received_at_ms);
