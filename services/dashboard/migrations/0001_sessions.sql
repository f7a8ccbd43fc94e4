-- Who is signed in. The id itself stands only in the browser's cookie: here is its hash, and it is the key of the tokens.
CREATE TABLE sessions (
  id_hash TEXT PRIMARY KEY,
  user_id TEXT NOT NULL,
  user_name TEXT NOT NULL,
  domain_name TEXT NOT NULL,
  token TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  seen_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL
);
CREATE INDEX sessions_user ON sessions (user_id, created_at);
CREATE INDEX sessions_expires ON sessions (expires_at);

-- What the session's token was exchanged for, per project.
CREATE TABLE project_tokens (
  id_hash TEXT NOT NULL,
  project_id TEXT NOT NULL,
  token TEXT NOT NULL,
  expires_at BIGINT NOT NULL,
  PRIMARY KEY (id_hash, project_id)
);
