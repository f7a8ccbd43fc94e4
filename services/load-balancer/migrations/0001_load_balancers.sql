-- Load balancers. A row exists before the first thing that is made for it and until the last one is gone.
CREATE TABLE balancers (
  id TEXT PRIMARY KEY,
  project_id TEXT NOT NULL,
  name TEXT NOT NULL,
  description TEXT NOT NULL,
  enabled BOOLEAN NOT NULL,
  provisioning_status TEXT NOT NULL,
  operating_status TEXT NOT NULL,
  provider TEXT NOT NULL,
  vip_address TEXT NOT NULL,
  vip_port_id TEXT NOT NULL,
  vip_subnet_id TEXT NOT NULL,
  vip_network_id TEXT NOT NULL,
  -- Whether the port was made for it, and goes with it.
  own_port BOOLEAN NOT NULL,
  -- Further addresses of the port, as JSON.
  additional_vips TEXT NOT NULL,
  tags TEXT NOT NULL,
  -- The host it lives on; none: one is to be chosen.
  host TEXT,
  -- The host that it is to leave, and the next is to be another.
  left_host TEXT,
  -- Why it is in error.
  problem TEXT,
  created_at BIGINT NOT NULL,
  updated_at BIGINT
);
CREATE INDEX balancers_project ON balancers (project_id, id);
CREATE INDEX balancers_host ON balancers (host);
-- What a load balancer is made of: listeners, pools, members, health monitors, L7 policies, L7 rules.
CREATE TABLE parts (
  id TEXT PRIMARY KEY,
  kind TEXT NOT NULL,
  balancer_id TEXT NOT NULL REFERENCES balancers (id),
  -- The pool of a member or monitor, the listener of a policy, the policy of a rule; else empty.
  parent_id TEXT NOT NULL,
  project_id TEXT NOT NULL,
  name TEXT NOT NULL,
  description TEXT NOT NULL,
  enabled BOOLEAN NOT NULL,
  provisioning_status TEXT NOT NULL,
  operating_status TEXT NOT NULL,
  tags TEXT NOT NULL,
  -- What lists are filtered by; the rest is in `detail`.
  protocol TEXT NOT NULL,
  port BIGINT NOT NULL,
  address TEXT NOT NULL,
  variant TEXT NOT NULL,
  pool_id TEXT NOT NULL,
  -- As JSON, by kind.
  detail TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  updated_at BIGINT
);
CREATE INDEX parts_balancer ON parts (balancer_id);
CREATE INDEX parts_project ON parts (kind, project_id, id);
CREATE INDEX parts_parent ON parts (parent_id);
CREATE TABLE tags (
  owner_id TEXT NOT NULL,
  tag TEXT NOT NULL,
  PRIMARY KEY (owner_id, tag)
);
CREATE TABLE quota_limits (
  project_id TEXT NOT NULL,
  resource TEXT NOT NULL,
  hard_limit BIGINT NOT NULL,
  PRIMARY KEY (project_id, resource)
);
CREATE TABLE hosts (
  host TEXT PRIMARY KEY,
  seen_at BIGINT NOT NULL,
  -- The version of its haproxy; none: it has none.
  haproxy TEXT,
  -- What is wrong with it, as JSON.
  problems TEXT NOT NULL
);
