-- Policies say how fast the packets of ports may pass, one rule for each direction. A port has its network's unless it has
-- one of its own.
CREATE TABLE qos_policies (
  id TEXT PRIMARY KEY,
  project_id TEXT NOT NULL,
  name TEXT NOT NULL,
  description TEXT NOT NULL,
  is_default BOOLEAN NOT NULL,
  revision BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL
);
CREATE INDEX qos_policies_project ON qos_policies (project_id);
CREATE UNIQUE INDEX qos_policies_default ON qos_policies (project_id) WHERE is_default;

CREATE TABLE qos_bandwidth_rules (
  id TEXT PRIMARY KEY,
  policy_id TEXT NOT NULL REFERENCES qos_policies (id),
  direction TEXT NOT NULL,
  max_kbps BIGINT NOT NULL,
  max_burst_kbps BIGINT NOT NULL
);
CREATE UNIQUE INDEX qos_bandwidth_rules_same ON qos_bandwidth_rules (policy_id, direction);

ALTER TABLE networks ADD COLUMN qos_policy_id TEXT REFERENCES qos_policies (id);
CREATE INDEX networks_qos ON networks (qos_policy_id);
ALTER TABLE ports ADD COLUMN qos_policy_id TEXT REFERENCES qos_policies (id);
CREATE INDEX ports_qos ON ports (qos_policy_id);
