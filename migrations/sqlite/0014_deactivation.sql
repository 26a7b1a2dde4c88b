-- What is left of accounts that ended.

-- Of the erasure that the user asked for: who comes to a room later is to see redacted events. Null: no erasure.
ALTER TABLE accounts ADD COLUMN erased_at_position INTEGER;

CREATE INDEX accounts_deactivated ON accounts (user_id) WHERE deactivated_at_ms IS NOT NULL;
