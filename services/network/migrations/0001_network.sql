-- Networks and what is in them. `revision` grows with every change that a client can see.
CREATE TABLE networks (
  id TEXT PRIMARY KEY,
  project_id TEXT NOT NULL,
  name TEXT NOT NULL,
  description TEXT NOT NULL,
  admin_state_up BOOLEAN NOT NULL,
  mtu BIGINT NOT NULL,
  port_security_enabled BOOLEAN NOT NULL,
  external BOOLEAN NOT NULL,
  is_default BOOLEAN NOT NULL,
  network_type TEXT NOT NULL,
  physical_network TEXT NOT NULL,
  vni BIGINT NOT NULL,
  zone_hints TEXT NOT NULL,
  revision BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL
);
CREATE INDEX networks_project ON networks (project_id);
CREATE UNIQUE INDEX networks_vni ON networks (vni) WHERE vni > 0;
CREATE UNIQUE INDEX networks_flat ON networks (physical_network) WHERE network_type = 'flat';

CREATE TABLE address_scopes (
  id TEXT PRIMARY KEY,
  project_id TEXT NOT NULL,
  name TEXT NOT NULL,
  ip_version BIGINT NOT NULL
);

CREATE TABLE subnet_pools (
  id TEXT PRIMARY KEY,
  project_id TEXT NOT NULL,
  name TEXT NOT NULL,
  description TEXT NOT NULL,
  ip_version BIGINT NOT NULL,
  prefixes TEXT NOT NULL,
  default_prefixlen BIGINT NOT NULL,
  min_prefixlen BIGINT NOT NULL,
  max_prefixlen BIGINT NOT NULL,
  default_quota BIGINT,
  address_scope_id TEXT REFERENCES address_scopes (id),
  is_default BOOLEAN NOT NULL,
  revision BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX subnet_pools_default ON subnet_pools (ip_version) WHERE is_default;

-- `cursor` is the place in the allocation pools after the address that was given last.
CREATE TABLE subnets (
  id TEXT PRIMARY KEY,
  project_id TEXT NOT NULL,
  network_id TEXT NOT NULL REFERENCES networks (id),
  name TEXT NOT NULL,
  description TEXT NOT NULL,
  ip_version BIGINT NOT NULL,
  cidr TEXT NOT NULL,
  gateway_ip TEXT NOT NULL,
  pools TEXT NOT NULL,
  dns TEXT NOT NULL,
  routes TEXT NOT NULL,
  enable_dhcp BOOLEAN NOT NULL,
  ipv6_ra_mode TEXT NOT NULL,
  ipv6_address_mode TEXT NOT NULL,
  subnet_pool_id TEXT REFERENCES subnet_pools (id),
  service_types TEXT NOT NULL,
  cursor BIGINT NOT NULL,
  revision BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL
);
CREATE INDEX subnets_network ON subnets (network_id);
CREATE INDEX subnets_project ON subnets (project_id);
CREATE INDEX subnets_pool ON subnets (subnet_pool_id);

CREATE TABLE ports (
  id TEXT PRIMARY KEY,
  project_id TEXT NOT NULL,
  network_id TEXT NOT NULL REFERENCES networks (id),
  name TEXT NOT NULL,
  description TEXT NOT NULL,
  mac TEXT NOT NULL,
  admin_state_up BOOLEAN NOT NULL,
  status TEXT NOT NULL,
  device_id TEXT NOT NULL,
  device_owner TEXT NOT NULL,
  host TEXT NOT NULL,
  vnic_type TEXT NOT NULL,
  profile TEXT NOT NULL,
  port_security_enabled BOOLEAN NOT NULL,
  address_pairs TEXT NOT NULL,
  dhcp_options TEXT NOT NULL,
  revision BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX ports_mac ON ports (network_id, mac);
CREATE INDEX ports_project ON ports (project_id);
CREATE INDEX ports_device ON ports (device_id);
CREATE INDEX ports_host ON ports (host);

-- One address in use. `ip_key` is the address as a number in hex, so that text order is address order.
CREATE TABLE port_ips (
  subnet_id TEXT NOT NULL REFERENCES subnets (id),
  ip_key TEXT NOT NULL,
  ip TEXT NOT NULL,
  port_id TEXT NOT NULL REFERENCES ports (id),
  network_id TEXT NOT NULL,
  place BIGINT NOT NULL,
  PRIMARY KEY (subnet_id, ip_key)
);
CREATE INDEX port_ips_port ON port_ips (port_id);
CREATE INDEX port_ips_network ON port_ips (network_id);

CREATE TABLE security_groups (
  id TEXT PRIMARY KEY,
  project_id TEXT NOT NULL,
  name TEXT NOT NULL,
  description TEXT NOT NULL,
  is_default BOOLEAN NOT NULL,
  stateful BOOLEAN NOT NULL,
  revision BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL
);
CREATE INDEX security_groups_project ON security_groups (project_id);
CREATE UNIQUE INDEX security_groups_default ON security_groups (project_id) WHERE is_default;

-- `remote_cidr` is normalised, `remote_ip_prefix` is as it was asked for; `same` tells equal rules of a group apart.
CREATE TABLE security_group_rules (
  id TEXT PRIMARY KEY,
  project_id TEXT NOT NULL,
  security_group_id TEXT NOT NULL REFERENCES security_groups (id),
  description TEXT NOT NULL,
  direction TEXT NOT NULL,
  ethertype TEXT NOT NULL,
  protocol TEXT NOT NULL,
  port_min BIGINT,
  port_max BIGINT,
  remote_group_id TEXT REFERENCES security_groups (id),
  remote_ip_prefix TEXT NOT NULL,
  remote_cidr TEXT NOT NULL,
  same TEXT NOT NULL,
  revision BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX security_group_rules_same ON security_group_rules (security_group_id, same);
CREATE INDEX security_group_rules_remote ON security_group_rules (remote_group_id);

CREATE TABLE port_groups (
  port_id TEXT NOT NULL REFERENCES ports (id),
  security_group_id TEXT NOT NULL REFERENCES security_groups (id),
  place BIGINT NOT NULL,
  PRIMARY KEY (port_id, security_group_id)
);
CREATE INDEX port_groups_group ON port_groups (security_group_id);

-- `host` is where the router lives; empty: nowhere yet.
CREATE TABLE routers (
  id TEXT PRIMARY KEY,
  project_id TEXT NOT NULL,
  name TEXT NOT NULL,
  description TEXT NOT NULL,
  admin_state_up BOOLEAN NOT NULL,
  gateway_port_id TEXT REFERENCES ports (id),
  gateway_network_id TEXT NOT NULL,
  enable_snat BOOLEAN NOT NULL,
  routes TEXT NOT NULL,
  zone_hints TEXT NOT NULL,
  host TEXT NOT NULL,
  revision BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL
);
CREATE INDEX routers_project ON routers (project_id);
CREATE INDEX routers_host ON routers (host);

CREATE TABLE floating_ips (
  id TEXT PRIMARY KEY,
  project_id TEXT NOT NULL,
  description TEXT NOT NULL,
  network_id TEXT NOT NULL REFERENCES networks (id),
  floating_ip TEXT NOT NULL,
  floating_port_id TEXT NOT NULL REFERENCES ports (id),
  port_id TEXT REFERENCES ports (id),
  fixed_ip TEXT NOT NULL,
  router_id TEXT REFERENCES routers (id),
  status TEXT NOT NULL,
  revision BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL
);
CREATE INDEX floating_ips_project ON floating_ips (project_id);
CREATE INDEX floating_ips_router ON floating_ips (router_id);
CREATE UNIQUE INDEX floating_ips_fixed ON floating_ips (port_id, fixed_ip) WHERE port_id IS NOT NULL;
CREATE UNIQUE INDEX floating_ips_port ON floating_ips (floating_port_id);

CREATE TABLE rbac_policies (
  id TEXT PRIMARY KEY,
  project_id TEXT NOT NULL,
  object_type TEXT NOT NULL,
  object_id TEXT NOT NULL,
  action TEXT NOT NULL,
  target_project TEXT NOT NULL
);
CREATE UNIQUE INDEX rbac_policies_same ON rbac_policies (object_id, action, target_project);
CREATE INDEX rbac_policies_target ON rbac_policies (target_project);

CREATE TABLE tags (
  resource_id TEXT NOT NULL,
  tag TEXT NOT NULL,
  PRIMARY KEY (resource_id, tag)
);
CREATE INDEX tags_tag ON tags (tag);

CREATE TABLE quota_limits (
  project_id TEXT NOT NULL,
  resource TEXT NOT NULL,
  quota_limit BIGINT NOT NULL,
  PRIMARY KEY (project_id, resource)
);
CREATE TABLE quota_usage (
  project_id TEXT NOT NULL,
  resource TEXT NOT NULL,
  used BIGINT NOT NULL,
  PRIMARY KEY (project_id, resource)
);

-- What hosts tell of themselves, and what an operator says of them.
CREATE TABLE hosts (
  host TEXT PRIMARY KEY,
  vtep TEXT NOT NULL,
  gateway BOOLEAN NOT NULL,
  report TEXT NOT NULL,
  admin_state_up BOOLEAN NOT NULL,
  description TEXT NOT NULL,
  started_at BIGINT NOT NULL,
  seen_at BIGINT NOT NULL
);

-- Documents that many ports share and that are rewritten soon after a change, once for all changes until then.
CREATE TABLE stale (
  kind TEXT NOT NULL,
  id TEXT NOT NULL,
  since BIGINT NOT NULL,
  PRIMARY KEY (kind, id)
);

-- Servers whose addresses changed and of which compute was not told yet.
CREATE TABLE news (
  server_id TEXT PRIMARY KEY,
  since BIGINT NOT NULL,
  change BIGINT NOT NULL
);
