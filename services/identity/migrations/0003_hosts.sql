-- Machines with agents. `join_hash` is of the one-time token with which a host joins until `join_until`; `joined_by` is of
-- the secret for which it was used, so that the same host may join again with it and nobody else may. `secret_hash` is of
-- the secret with which the host asks for tokens. All are SHA-256 of 256 random bits.
CREATE TABLE hosts (
  name TEXT PRIMARY KEY,
  zone TEXT,
  join_hash TEXT NOT NULL,
  join_until BIGINT NOT NULL,
  joined_by TEXT NOT NULL,
  secret_hash TEXT NOT NULL,
  added_at BIGINT NOT NULL,
  joined_at BIGINT NOT NULL
);
CREATE INDEX hosts_join ON hosts (join_hash);
