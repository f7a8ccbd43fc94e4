-- Groups of volumes, and snapshots of all volumes of a group.
CREATE TABLE group_types (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  description TEXT,
  is_public BOOLEAN NOT NULL,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL
);
CREATE TABLE group_specs (
  type_id TEXT NOT NULL REFERENCES group_types (id) ON DELETE CASCADE,
  name TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (type_id, name)
);
CREATE TABLE volume_groups (
  id TEXT PRIMARY KEY,
  project_id TEXT NOT NULL,
  user_id TEXT NOT NULL,
  name TEXT,
  description TEXT,
  type_id TEXT NOT NULL REFERENCES group_types (id),
  zone TEXT NOT NULL,
  status TEXT NOT NULL,
  group_snapshot_id TEXT,
  source_group_id TEXT,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL
);
CREATE INDEX groups_project ON volume_groups (project_id, created_at, id);
CREATE INDEX groups_type ON volume_groups (type_id);
-- The types that volumes of a group may have.
CREATE TABLE group_volume_types (
  group_id TEXT NOT NULL REFERENCES volume_groups (id) ON DELETE CASCADE,
  type_id TEXT NOT NULL,
  PRIMARY KEY (group_id, type_id)
);
CREATE TABLE group_snapshots (
  id TEXT PRIMARY KEY,
  project_id TEXT NOT NULL,
  user_id TEXT NOT NULL,
  group_id TEXT NOT NULL,
  type_id TEXT NOT NULL,
  name TEXT,
  description TEXT,
  status TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL
);
CREATE INDEX group_snapshots_project ON group_snapshots (project_id, created_at, id);
CREATE INDEX group_snapshots_group ON group_snapshots (group_id);
ALTER TABLE volumes ADD COLUMN group_id TEXT;
CREATE INDEX volumes_group ON volumes (group_id) WHERE group_id IS NOT NULL;
ALTER TABLE snapshots ADD COLUMN group_snapshot_id TEXT;
CREATE INDEX snapshots_group ON snapshots (group_snapshot_id) WHERE group_snapshot_id IS NOT NULL;
