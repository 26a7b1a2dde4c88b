-- Redactions that arrived before the events they name.
CREATE TABLE waiting_redactions (
  target_no    INTEGER NOT NULL REFERENCES event_ids,
  redaction_no INTEGER NOT NULL REFERENCES event_ids,
  PRIMARY KEY (target_no, redaction_no)
) STRICT, WITHOUT ROWID;
