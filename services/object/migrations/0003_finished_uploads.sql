-- What uploads in parts became: whoever asks again, because the answer was lost, is told the same.
CREATE TABLE finished_uploads (
  id TEXT PRIMARY KEY,
  container_id TEXT NOT NULL REFERENCES containers (id) ON DELETE CASCADE,
  name TEXT NOT NULL,
  etag TEXT NOT NULL,
  finished_at BIGINT NOT NULL
);
CREATE INDEX finished_uploads_container ON finished_uploads (container_id);
CREATE INDEX finished_uploads_time ON finished_uploads (finished_at);
