-- Files by what is in them; the bytes stand in the folder of the media under their hash.
CREATE TABLE media_files (
  -- SHA-256, in hex.
  hash            TEXT PRIMARY KEY,
  size            INTEGER NOT NULL,
  -- What the first bytes say it is; NULL: nothing known.
  sniffed_type    TEXT,
  -- Since when nothing refers to it; NULL: something does.
  unused_since_ms INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX media_files_unused ON media_files (unused_since_ms) WHERE unused_since_ms IS NOT NULL;

CREATE TABLE media (
  server          TEXT NOT NULL,
  media_id        TEXT NOT NULL,
  -- upload: of a user of ours. remote: a copy of another server's. preview: a picture for a preview of a page.
  source          TEXT NOT NULL CHECK (source IN ('upload', 'remote', 'preview')),
  uploader        TEXT,
  -- NULL: its address is given out, its content has not come yet.
  hash            TEXT REFERENCES media_files (hash),
  size            INTEGER NOT NULL,
  -- As it was declared.
  content_type    TEXT NOT NULL,
  file_name       TEXT,
  created_at_ms   INTEGER NOT NULL,
  -- Until when the content may come.
  expires_at_ms   INTEGER,
  last_used_at_ms INTEGER NOT NULL,
  PRIMARY KEY (server, media_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX media_by_file ON media (hash) WHERE hash IS NOT NULL;
CREATE INDEX media_by_uploader ON media (uploader, size) WHERE uploader IS NOT NULL AND hash IS NOT NULL;
CREATE INDEX media_awaited ON media (uploader, expires_at_ms) WHERE hash IS NULL;
CREATE INDEX media_awaited_by_age ON media (expires_at_ms) WHERE hash IS NULL;
CREATE INDEX media_copies_by_use ON media (last_used_at_ms) WHERE source <> 'upload';

-- Of all copies (what is no upload), in one row.
CREATE TABLE media_copies_size (
  one   INTEGER PRIMARY KEY CHECK (one = 1),
  bytes INTEGER NOT NULL
) STRICT;

INSERT INTO media_copies_size (one, bytes) VALUES (1, 0);

-- Of a file, however many media have it as their content. Where the file itself is small enough, its own hash.
CREATE TABLE media_thumbnails (
  source_hash  TEXT NOT NULL REFERENCES media_files (hash),
  width        INTEGER NOT NULL,
  height       INTEGER NOT NULL,
  method       TEXT NOT NULL,
  animated     INTEGER NOT NULL,
  hash         TEXT NOT NULL REFERENCES media_files (hash),
  size         INTEGER NOT NULL,
  content_type TEXT NOT NULL,
  PRIMARY KEY (source_hash, width, height, method, animated)
) STRICT, WITHOUT ROWID;

CREATE INDEX media_thumbnails_by_file ON media_thumbnails (hash);
