-- Volumes that are offered to whoever has the key, of which only a hash is kept.
CREATE TABLE transfers (
  id TEXT PRIMARY KEY,
  volume_id TEXT NOT NULL UNIQUE,
  project_id TEXT NOT NULL,
  name TEXT,
  salt TEXT NOT NULL,
  key_hash TEXT NOT NULL,
  no_snapshots BOOLEAN NOT NULL,
  created_at BIGINT NOT NULL
);
CREATE INDEX transfers_project ON transfers (project_id, created_at, id);
