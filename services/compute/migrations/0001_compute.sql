-- What users asked for and what hosts have: flavors, keys, servers, their history, hosts, quotas.
CREATE TABLE flavors (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  description TEXT,
  vcpus BIGINT NOT NULL,
  ram_mib BIGINT NOT NULL,
  disk_gib BIGINT NOT NULL,
  ephemeral_gib BIGINT NOT NULL,
  swap_mib BIGINT NOT NULL,
  rxtx_factor DOUBLE PRECISION NOT NULL,
  is_public BOOLEAN NOT NULL,
  extra_specs TEXT NOT NULL,
  created_at BIGINT NOT NULL
);
CREATE TABLE flavor_access (
  flavor_id TEXT NOT NULL,
  project_id TEXT NOT NULL,
  PRIMARY KEY (flavor_id, project_id)
);
CREATE TABLE keypairs (
  user_id TEXT NOT NULL,
  name TEXT NOT NULL,
  kind TEXT NOT NULL,
  public_key TEXT NOT NULL,
  fingerprint TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  PRIMARY KEY (user_id, name)
);
CREATE TABLE servers (
  id TEXT PRIMARY KEY,
  project_id TEXT NOT NULL,
  user_id TEXT NOT NULL,
  name TEXT NOT NULL,
  description TEXT,
  hostname TEXT NOT NULL,
  image_id TEXT NOT NULL,
  image TEXT NOT NULL,
  flavor_id TEXT NOT NULL,
  flavor TEXT NOT NULL,
  vcpus BIGINT NOT NULL,
  ram_mib BIGINT NOT NULL,
  disk_gib BIGINT NOT NULL,
  key_name TEXT,
  key_data TEXT,
  user_data TEXT,
  config_drive BOOLEAN NOT NULL,
  admin_pass TEXT,
  guest_password TEXT NOT NULL,
  files TEXT NOT NULL,
  wanted_zone TEXT,
  wanted_host TEXT,
  zone TEXT,
  host TEXT,
  vm_state TEXT NOT NULL,
  task_state TEXT,
  want TEXT NOT NULL,
  power_state BIGINT NOT NULL,
  generation BIGINT NOT NULL,
  reboot_sequence BIGINT NOT NULL,
  reboot_kind TEXT NOT NULL,
  disk_epoch BIGINT NOT NULL,
  networks TEXT NOT NULL,
  security_groups TEXT NOT NULL,
  metadata TEXT NOT NULL,
  tags TEXT NOT NULL,
  locked_by TEXT,
  locked_reason TEXT,
  fault TEXT,
  excluded_hosts TEXT NOT NULL,
  reservation_id TEXT NOT NULL,
  launch_index BIGINT NOT NULL,
  access_ipv4 TEXT NOT NULL,
  access_ipv6 TEXT NOT NULL,
  disk_config TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  launched_at BIGINT
);
CREATE INDEX servers_project ON servers (project_id, created_at, id);
CREATE INDEX servers_created ON servers (created_at, id);
CREATE INDEX servers_host ON servers (host);
CREATE TABLE actions (
  id TEXT PRIMARY KEY,
  server_id TEXT NOT NULL,
  action TEXT NOT NULL,
  request_id TEXT NOT NULL,
  user_id TEXT NOT NULL,
  project_id TEXT NOT NULL,
  started_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  finished_at BIGINT,
  message TEXT,
  events TEXT NOT NULL
);
CREATE INDEX actions_server ON actions (server_id, started_at);
CREATE TABLE hosts (
  host TEXT PRIMARY KEY,
  number BIGINT NOT NULL UNIQUE,
  service_id TEXT NOT NULL UNIQUE,
  provider_id TEXT NOT NULL UNIQUE,
  inventory TEXT NOT NULL,
  registered TEXT NOT NULL,
  zone TEXT NOT NULL,
  disabled BOOLEAN NOT NULL,
  disabled_reason TEXT,
  forced_down BOOLEAN NOT NULL,
  seen_at BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL
);
CREATE TABLE quota_usage (
  project_id TEXT NOT NULL,
  resource TEXT NOT NULL,
  used BIGINT NOT NULL,
  PRIMARY KEY (project_id, resource)
);
CREATE TABLE quota_limits (
  scope TEXT NOT NULL,
  resource TEXT NOT NULL,
  hard_limit BIGINT NOT NULL,
  PRIMARY KEY (scope, resource)
);
