-- Which servers and which hosts belong together.
CREATE TABLE server_groups (
  id TEXT PRIMARY KEY,
  project_id TEXT NOT NULL,
  user_id TEXT NOT NULL,
  name TEXT NOT NULL,
  policy TEXT NOT NULL,
  max_per_host BIGINT,
  created_at BIGINT NOT NULL
);
CREATE INDEX server_groups_project ON server_groups (project_id, created_at, id);
ALTER TABLE servers ADD COLUMN group_id TEXT;
CREATE INDEX servers_group ON servers (group_id);
CREATE TABLE aggregates (
  id BIGINT PRIMARY KEY,
  uuid TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL UNIQUE,
  metadata TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  updated_at BIGINT
);
CREATE TABLE aggregate_hosts (
  aggregate_id BIGINT NOT NULL REFERENCES aggregates (id),
  host TEXT NOT NULL,
  PRIMARY KEY (aggregate_id, host)
);
CREATE INDEX aggregate_hosts_host ON aggregate_hosts (host);
INSERT INTO counters (name, value) VALUES ('aggregates', 0);
