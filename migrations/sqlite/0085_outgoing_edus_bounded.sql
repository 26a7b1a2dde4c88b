-- What waits for a server that does not take it has a bound. Of EDUs of one series the newest is enough then; null: each counts.

ALTER TABLE outgoing_edus ADD COLUMN series TEXT;

CREATE INDEX outgoing_edus_single ON outgoing_edus (destination_no, edu_id) WHERE series IS NULL;
CREATE INDEX outgoing_edus_of_series ON outgoing_edus (destination_no, series, edu_id) WHERE series IS NOT NULL;

-- What waited before: the updates of a user's devices, and each kind of update of their signing keys. The content has been written by this server.
UPDATE outgoing_edus SET series = CASE edu ->> '$.edu_type'
    WHEN 'm.device_list_update' THEN 'device_list ' || (edu ->> '$.content.user_id')
    ELSE key
  END
  WHERE key IS NOT NULL AND key LIKE 'device\_list %' ESCAPE '\';
