-- What clients see: accounts, containers, objects. Times of change are shown, so both stand in every row.
CREATE TABLE accounts (
  name TEXT PRIMARY KEY,
  meta TEXT NOT NULL,
  containers BIGINT NOT NULL,
  objects BIGINT NOT NULL,
  bytes BIGINT NOT NULL,
  quota_objects BIGINT,
  quota_bytes BIGINT,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL
);
CREATE TABLE containers (
  id TEXT PRIMARY KEY,
  account TEXT NOT NULL REFERENCES accounts (name),
  name TEXT NOT NULL,
  meta TEXT NOT NULL,
  objects BIGINT NOT NULL,
  bytes BIGINT NOT NULL,
  quota_objects BIGINT,
  quota_bytes BIGINT,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX containers_name ON containers (account, name);
CREATE TABLE objects (
  id TEXT PRIMARY KEY,
  container_id TEXT NOT NULL REFERENCES containers (id),
  name TEXT NOT NULL,
  kind TEXT NOT NULL,
  size BIGINT NOT NULL,
  stored BIGINT NOT NULL,
  etag TEXT NOT NULL,
  content_type TEXT NOT NULL,
  meta TEXT NOT NULL,
  delete_at BIGINT,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX objects_name ON objects (container_id, name);
CREATE INDEX objects_delete_at ON objects (delete_at) WHERE delete_at IS NOT NULL;
-- The segments that a static large object names, as JSON.
CREATE TABLE manifests (
  object_id TEXT PRIMARY KEY REFERENCES objects (id) ON DELETE CASCADE,
  segments TEXT NOT NULL
);
-- Every file has its row before its first byte, and keeps it until its last one is gone.
CREATE TABLE blobs (
  id TEXT PRIMARY KEY,
  state TEXT NOT NULL,
  refs BIGINT NOT NULL,
  writer TEXT NOT NULL,
  writer_until BIGINT NOT NULL,
  size BIGINT NOT NULL
);
CREATE INDEX blobs_writing ON blobs (writer_until) WHERE state = 'writing';
CREATE INDEX blobs_doomed ON blobs (id) WHERE state = 'doomed';
-- An object's bytes are those of its blobs one behind the other; copies share them.
CREATE TABLE extents (
  object_id TEXT NOT NULL REFERENCES objects (id),
  number BIGINT NOT NULL,
  blob_id TEXT NOT NULL REFERENCES blobs (id),
  size BIGINT NOT NULL,
  PRIMARY KEY (object_id, number)
);
CREATE INDEX extents_blob ON extents (blob_id);
-- Objects that are being uploaded in parts by S3, and the parts that are there.
CREATE TABLE uploads (
  id TEXT PRIMARY KEY,
  container_id TEXT NOT NULL REFERENCES containers (id),
  name TEXT NOT NULL,
  content_type TEXT NOT NULL,
  meta TEXT NOT NULL,
  created_at BIGINT NOT NULL
);
CREATE INDEX uploads_name ON uploads (container_id, name, id);
CREATE TABLE parts (
  upload_id TEXT NOT NULL REFERENCES uploads (id),
  number BIGINT NOT NULL,
  blob_id TEXT REFERENCES blobs (id),
  size BIGINT NOT NULL,
  etag TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  PRIMARY KEY (upload_id, number)
);
CREATE INDEX parts_blob ON parts (blob_id);
