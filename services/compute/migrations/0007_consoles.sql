-- Who may open a console: each row is one link that was given out, known by the hash of its token.
CREATE TABLE console_links (
  token_hash TEXT PRIMARY KEY,
  server_id TEXT NOT NULL,
  kind TEXT NOT NULL,
  expires_at BIGINT NOT NULL
);
CREATE INDEX console_links_end ON console_links (expires_at);
