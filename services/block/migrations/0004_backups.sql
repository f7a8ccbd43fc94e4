-- Backups of volumes: what they are here, their bytes in the object service.
CREATE TABLE backups (
  id TEXT PRIMARY KEY,
  project_id TEXT NOT NULL,
  user_id TEXT NOT NULL,
  volume_id TEXT NOT NULL,
  snapshot_id TEXT,
  -- The backup that this one stands on.
  parent_id TEXT,
  name TEXT,
  description TEXT,
  size_gib BIGINT NOT NULL,
  status TEXT NOT NULL,
  fail_reason TEXT,
  zone TEXT NOT NULL,
  -- Where its objects are: those of this container whose names begin so.
  container TEXT NOT NULL,
  place TEXT NOT NULL,
  -- Of the object that describes it; none: it is not whole.
  checksum TEXT,
  object_count BIGINT NOT NULL,
  -- The segment that comes next, on the way there or back.
  progress BIGINT NOT NULL,
  -- The layer that it is made of, as long as it is being made.
  layer TEXT,
  restore_volume_id TEXT,
  -- It failed, and what it left is still to be removed.
  leftover BOOLEAN NOT NULL,
  data_at BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL
);
CREATE INDEX backups_project ON backups (project_id, created_at, id);
CREATE INDEX backups_created ON backups (created_at, id);
CREATE INDEX backups_volume ON backups (volume_id);
CREATE INDEX backups_parent ON backups (parent_id) WHERE parent_id IS NOT NULL;
CREATE INDEX backups_restore ON backups (restore_volume_id) WHERE restore_volume_id IS NOT NULL;
CREATE INDEX backups_place ON backups (container, place);
CREATE INDEX backups_layer ON backups (layer) WHERE layer IS NOT NULL;
-- The parts of backups in which there is something else than zeroes.
CREATE TABLE backup_segments (
  backup_id TEXT NOT NULL,
  number BIGINT NOT NULL,
  checksum TEXT NOT NULL,
  PRIMARY KEY (backup_id, number)
);
