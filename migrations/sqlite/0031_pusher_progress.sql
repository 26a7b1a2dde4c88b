-- How far pushers have told: everything up to here was told or is told no more.
ALTER TABLE pushers ADD COLUMN told_up_to INTEGER NOT NULL DEFAULT 0;
-- When the gateway failed after it had been well; null while it is well.
ALTER TABLE pushers ADD COLUMN failing_since_ms INTEGER;
