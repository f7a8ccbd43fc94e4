-- Layers that were snapshots and are kept although nobody has them: an administrator said so.
CREATE TABLE unmanaged_snapshots (
  layer_id TEXT PRIMARY KEY REFERENCES layers (id),
  snapshot_id TEXT NOT NULL UNIQUE,
  volume_id TEXT NOT NULL,
  size_gib BIGINT NOT NULL
);
CREATE INDEX unmanaged_volume ON unmanaged_snapshots (volume_id);
