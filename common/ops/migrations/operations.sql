-- Durable work: what to do with which resource, how far it is, whose turn it is.
CREATE TABLE operations (
  id TEXT PRIMARY KEY,
  kind TEXT NOT NULL,
  resource_id TEXT NOT NULL,
  step TEXT NOT NULL,
  args TEXT NOT NULL,
  caller TEXT NOT NULL,
  request_id TEXT NOT NULL,
  run_at BIGINT NOT NULL,
  nudges BIGINT NOT NULL,
  waits_for TEXT,
  lease_owner TEXT,
  lease_until BIGINT NOT NULL,
  attempt BIGINT NOT NULL,
  deadline BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  finished_at BIGINT,
  error TEXT
);
CREATE UNIQUE INDEX operations_live ON operations (resource_id) WHERE finished_at IS NULL;
CREATE INDEX operations_due ON operations (run_at) WHERE finished_at IS NULL;
CREATE INDEX operations_finished ON operations (finished_at) WHERE finished_at IS NOT NULL;
