-- How volumes of a type are encrypted.
CREATE TABLE type_encryption (
  type_id TEXT PRIMARY KEY REFERENCES types (id) ON DELETE CASCADE,
  id TEXT NOT NULL,
  provider TEXT NOT NULL,
  control_location TEXT NOT NULL,
  cipher TEXT,
  key_size BIGINT,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL
);
-- What opens encrypted volumes and their snapshots, sealed. A key goes with its volume.
CREATE TABLE volume_keys (
  volume_id TEXT PRIMARY KEY,
  id TEXT NOT NULL,
  sealed TEXT NOT NULL
);
