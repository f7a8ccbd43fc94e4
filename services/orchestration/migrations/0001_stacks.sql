CREATE TABLE stacks (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  project_id TEXT NOT NULL,
  user_id TEXT NOT NULL,
  user_name TEXT NOT NULL,
  parent_id TEXT,
  parent_resource TEXT,
  root_id TEXT NOT NULL,
  depth BIGINT NOT NULL,
  action TEXT NOT NULL,
  status TEXT NOT NULL,
  reason TEXT NOT NULL,
  template TEXT NOT NULL,
  environment TEXT NOT NULL,
  files TEXT NOT NULL,
  -- What it was made of before, as one document, for going back.
  before TEXT,
  generation BIGINT NOT NULL,
  disable_rollback BOOLEAN NOT NULL,
  timeout_mins BIGINT,
  tags TEXT NOT NULL,
  trust_id TEXT,
  cancel TEXT,
  facade TEXT NOT NULL,
  started_at BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  updated_at BIGINT
);
CREATE UNIQUE INDEX stacks_name ON stacks (project_id, name);
CREATE INDEX stacks_parent ON stacks (parent_id);
CREATE INDEX stacks_root ON stacks (root_id);
CREATE INDEX stacks_created ON stacks (project_id, created_at, id);

-- One row per making of a resource: what replaces one has a row of its own until the other is gone.
CREATE TABLE resources (
  id TEXT PRIMARY KEY,
  stack_id TEXT NOT NULL REFERENCES stacks (id) ON DELETE CASCADE,
  name TEXT NOT NULL,
  kind TEXT NOT NULL,
  target TEXT NOT NULL,
  description TEXT NOT NULL,
  action TEXT NOT NULL,
  status TEXT NOT NULL,
  reason TEXT NOT NULL,
  physical_id TEXT,
  properties TEXT NOT NULL,
  changing_to TEXT,
  data TEXT NOT NULL,
  observed TEXT NOT NULL,
  metadata TEXT NOT NULL,
  requires TEXT NOT NULL,
  generation BIGINT NOT NULL,
  superseded BOOLEAN NOT NULL,
  retain BOOLEAN NOT NULL,
  external BOOLEAN NOT NULL,
  held TEXT,
  cleared TEXT,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX resources_name ON resources (stack_id, name) WHERE superseded = FALSE;
CREATE INDEX resources_stack ON resources (stack_id);
CREATE INDEX resources_physical ON resources (physical_id);

CREATE TABLE events (
  id TEXT PRIMARY KEY,
  stack_id TEXT NOT NULL REFERENCES stacks (id) ON DELETE CASCADE,
  -- Orders the events of one moment.
  seq BIGINT NOT NULL,
  resource_name TEXT NOT NULL,
  physical_id TEXT,
  kind TEXT NOT NULL,
  action TEXT NOT NULL,
  status TEXT NOT NULL,
  reason TEXT NOT NULL,
  properties TEXT NOT NULL,
  created_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX events_seq ON events (stack_id, seq);

-- Signals that came for a wait condition's handle or a policy, by the name the sender gave them.
CREATE TABLE signals (
  resource_id TEXT NOT NULL REFERENCES resources (id) ON DELETE CASCADE,
  name TEXT NOT NULL,
  status TEXT NOT NULL,
  reason TEXT NOT NULL,
  data TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  PRIMARY KEY (resource_id, name)
);

CREATE TABLE software_configs (
  id TEXT PRIMARY KEY,
  project_id TEXT NOT NULL,
  name TEXT NOT NULL,
  config_group TEXT NOT NULL,
  -- config, inputs, outputs and options as one document.
  body TEXT NOT NULL,
  created_at BIGINT NOT NULL
);
CREATE INDEX software_configs_project ON software_configs (project_id, created_at, id);

CREATE TABLE software_deployments (
  id TEXT PRIMARY KEY,
  project_id TEXT NOT NULL,
  server_id TEXT NOT NULL,
  config_id TEXT NOT NULL REFERENCES software_configs (id),
  input_values TEXT NOT NULL,
  output_values TEXT NOT NULL,
  action TEXT NOT NULL,
  status TEXT NOT NULL,
  status_reason TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  updated_at BIGINT
);
CREATE INDEX software_deployments_server ON software_deployments (project_id, server_id);
