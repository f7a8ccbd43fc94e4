-- Volumes and what hangs on them. A volume's row exists before its first byte and until its last one is gone.
CREATE TABLE volumes (
  id TEXT PRIMARY KEY,
  project_id TEXT NOT NULL,
  user_id TEXT NOT NULL,
  name TEXT,
  description TEXT,
  size_gib BIGINT NOT NULL,
  status TEXT NOT NULL,
  -- What the volume goes back to when a piece of work is over.
  status_before TEXT NOT NULL,
  bootable BOOLEAN NOT NULL,
  readonly BOOLEAN NOT NULL,
  multiattach BOOLEAN NOT NULL,
  zone TEXT NOT NULL,
  type_id TEXT NOT NULL,
  snapshot_id TEXT,
  source_volid TEXT,
  image_id TEXT,
  backend TEXT,
  -- How the file is written, and the layer it stands on, once there is one.
  format TEXT NOT NULL,
  layer TEXT,
  -- The layer that is being made of its file: until that is over nobody else touches the file.
  held_by TEXT,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  launched_at BIGINT
);
CREATE INDEX volumes_project ON volumes (project_id, created_at, id);
CREATE INDEX volumes_created ON volumes (created_at, id);
CREATE INDEX volumes_layer ON volumes (layer) WHERE layer IS NOT NULL;
CREATE TABLE snapshots (
  id TEXT PRIMARY KEY,
  project_id TEXT NOT NULL,
  user_id TEXT NOT NULL,
  volume_id TEXT NOT NULL,
  type_id TEXT NOT NULL,
  name TEXT,
  description TEXT,
  size_gib BIGINT NOT NULL,
  status TEXT NOT NULL,
  progress TEXT NOT NULL,
  backend TEXT NOT NULL,
  layer TEXT,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL
);
CREATE INDEX snapshots_project ON snapshots (project_id, created_at, id);
CREATE INDEX snapshots_volume ON snapshots (volume_id);
CREATE INDEX snapshots_layer ON snapshots (layer) WHERE layer IS NOT NULL;
-- Files that never change: what snapshots are, what clones and volumes of images stand on.
CREATE TABLE layers (
  id TEXT PRIMARY KEY,
  backend TEXT NOT NULL,
  format TEXT NOT NULL,
  parent TEXT,
  -- The volume whose file it is made of, as long as it is being made.
  source TEXT,
  -- The image whose bytes these are, if they are an image's.
  image TEXT,
  size_bytes BIGINT NOT NULL,
  state TEXT NOT NULL,
  used_at BIGINT NOT NULL
);
CREATE INDEX layers_parent ON layers (parent) WHERE parent IS NOT NULL;
CREATE UNIQUE INDEX layers_image ON layers (backend, image) WHERE image IS NOT NULL;
CREATE TABLE attachments (
  id TEXT PRIMARY KEY,
  volume_id TEXT NOT NULL,
  project_id TEXT NOT NULL,
  user_id TEXT NOT NULL,
  instance_id TEXT,
  host TEXT,
  mountpoint TEXT,
  mode TEXT NOT NULL,
  status TEXT NOT NULL,
  connector TEXT,
  -- Whether a target is to exist for it, or does.
  export TEXT NOT NULL,
  chap_user TEXT,
  chap_secret TEXT,
  attached_at BIGINT,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL
);
CREATE INDEX attachments_volume ON attachments (volume_id);
CREATE INDEX attachments_project ON attachments (project_id, created_at, id);
-- What users wrote on volumes and snapshots, and what a volume knows of its image.
CREATE TABLE metadata (
  owner_id TEXT NOT NULL,
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (owner_id, kind, name)
);
CREATE TABLE types (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  description TEXT,
  is_public BOOLEAN NOT NULL,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL
);
CREATE TABLE type_specs (
  type_id TEXT NOT NULL REFERENCES types (id) ON DELETE CASCADE,
  name TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (type_id, name)
);
CREATE TABLE type_access (
  type_id TEXT NOT NULL REFERENCES types (id) ON DELETE CASCADE,
  project_id TEXT NOT NULL,
  PRIMARY KEY (type_id, project_id)
);
CREATE TABLE default_types (
  project_id TEXT PRIMARY KEY,
  type_id TEXT NOT NULL REFERENCES types (id) ON DELETE CASCADE
);
CREATE TABLE quota_limits (
  scope TEXT NOT NULL,
  resource TEXT NOT NULL,
  hard_limit BIGINT NOT NULL,
  PRIMARY KEY (scope, resource)
);
CREATE TABLE quota_usage (
  project_id TEXT NOT NULL,
  resource TEXT NOT NULL,
  used BIGINT NOT NULL,
  PRIMARY KEY (project_id, resource)
);
-- What became of work that went on after the answer, in words for users.
CREATE TABLE messages (
  id TEXT PRIMARY KEY,
  project_id TEXT NOT NULL,
  request_id TEXT NOT NULL,
  resource_type TEXT NOT NULL,
  resource_id TEXT NOT NULL,
  action TEXT NOT NULL,
  detail TEXT NOT NULL,
  words TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL
);
CREATE INDEX messages_project ON messages (project_id, created_at, id);
CREATE INDEX messages_expires ON messages (expires_at);
-- Back ends as the process that has them last reported them.
CREATE TABLE backends (
  name TEXT PRIMARY KEY,
  id TEXT NOT NULL,
  host TEXT NOT NULL,
  zone TEXT NOT NULL,
  folder TEXT NOT NULL,
  portal TEXT,
  reflink BOOLEAN NOT NULL,
  total_bytes BIGINT NOT NULL,
  free_bytes BIGINT NOT NULL,
  disabled BOOLEAN NOT NULL,
  disabled_reason TEXT,
  frozen BOOLEAN NOT NULL,
  reported_at BIGINT NOT NULL
);
