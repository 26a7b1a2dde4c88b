-- Who went from where, for clients that have to forget their devices.

CREATE INDEX membership_log_departures ON membership_log (position) WHERE before = 'join' AND membership <> 'join';
