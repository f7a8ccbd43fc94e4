-- Images and what hangs on them. A row dies with its image; blobs outlive it until their bytes are gone.
CREATE TABLE images (
  id TEXT PRIMARY KEY,
  name TEXT,
  status TEXT NOT NULL,
  visibility TEXT NOT NULL,
  owner TEXT,
  protected BOOLEAN NOT NULL,
  hidden BOOLEAN NOT NULL,
  container_format TEXT,
  disk_format TEXT,
  min_ram BIGINT NOT NULL,
  min_disk BIGINT NOT NULL,
  size BIGINT,
  virtual_size BIGINT,
  checksum TEXT,
  hash_algo TEXT,
  hash_value TEXT,
  generation BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL
);
CREATE INDEX images_owner ON images (owner);
CREATE INDEX images_created ON images (created_at, id);
CREATE TABLE image_properties (
  image_id TEXT NOT NULL REFERENCES images (id) ON DELETE CASCADE,
  name TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (image_id, name)
);
CREATE INDEX image_properties_name ON image_properties (name, value);
CREATE TABLE image_tags (
  image_id TEXT NOT NULL REFERENCES images (id) ON DELETE CASCADE,
  tag TEXT NOT NULL,
  PRIMARY KEY (image_id, tag)
);
CREATE INDEX image_tags_tag ON image_tags (tag);
CREATE TABLE image_members (
  image_id TEXT NOT NULL REFERENCES images (id) ON DELETE CASCADE,
  member_id TEXT NOT NULL,
  status TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  PRIMARY KEY (image_id, member_id)
);
CREATE INDEX image_members_member ON image_members (member_id);
-- Every file of every store has its row before its first byte, and keeps it until its last one is gone.
CREATE TABLE blobs (
  id TEXT PRIMARY KEY,
  image_id TEXT NOT NULL,
  store TEXT NOT NULL,
  state TEXT NOT NULL,
  writer TEXT NOT NULL,
  writer_until BIGINT NOT NULL,
  size BIGINT,
  md5 TEXT,
  sha512 TEXT
);
CREATE INDEX blobs_image ON blobs (image_id);
CREATE INDEX blobs_writing ON blobs (writer_until) WHERE state = 'writing';
CREATE TABLE tasks (
  id TEXT PRIMARY KEY,
  type TEXT NOT NULL,
  status TEXT NOT NULL,
  owner TEXT NOT NULL,
  image_id TEXT NOT NULL,
  user_id TEXT NOT NULL,
  request_id TEXT NOT NULL,
  input TEXT NOT NULL,
  result TEXT,
  message TEXT NOT NULL,
  expires_at BIGINT,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL
);
CREATE INDEX tasks_image ON tasks (image_id);
CREATE INDEX tasks_expires ON tasks (expires_at) WHERE expires_at IS NOT NULL;
