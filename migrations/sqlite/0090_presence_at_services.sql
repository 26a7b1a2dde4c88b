-- Of whom application services were told more than that nobody is there: what they are to be told once it is not so any more.

CREATE TABLE presence_at_services (
  service_id TEXT NOT NULL,
  subject    TEXT NOT NULL,
  PRIMARY KEY (service_id, subject)
) STRICT, WITHOUT ROWID;
