-- They are all read at the start.
CREATE INDEX accounts_erased ON accounts (user_id, erased_at_position) WHERE erased_at_position IS NOT NULL;
