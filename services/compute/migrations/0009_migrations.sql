-- Servers that move to another host or become another size: what is under way, and what was.
CREATE TABLE migrations (
  id BIGINT PRIMARY KEY,
  uuid TEXT NOT NULL UNIQUE,
  server_id TEXT NOT NULL,
  project_id TEXT NOT NULL,
  user_id TEXT NOT NULL,
  kind TEXT NOT NULL,
  status TEXT NOT NULL,
  phase TEXT NOT NULL,
  source_host TEXT NOT NULL,
  dest_host TEXT,
  wanted_host TEXT,
  old_flavor TEXT NOT NULL,
  new_flavor TEXT NOT NULL,
  old_epoch BIGINT NOT NULL,
  old_want TEXT NOT NULL,
  source_generation BIGINT NOT NULL,
  extra_cores BIGINT NOT NULL,
  extra_ram BIGINT NOT NULL,
  message TEXT,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  ended_at BIGINT
);
CREATE UNIQUE INDEX migrations_live ON migrations (server_id) WHERE ended_at IS NULL;
CREATE INDEX migrations_created ON migrations (created_at, id);
INSERT INTO counters (name, value) VALUES ('migrations', 0);
