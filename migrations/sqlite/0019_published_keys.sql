-- What other servers publish of their keys, as they signed it: we pass it on as a notary.

CREATE TABLE published_keys (
  server        TEXT NOT NULL PRIMARY KEY,
  answer        TEXT NOT NULL,
  fetched_at_ms INTEGER NOT NULL
) STRICT;
