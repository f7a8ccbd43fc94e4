-- Domains and projects are one tree: a domain is a row that acts as one and has neither owner ('') nor parent.
CREATE TABLE projects (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  domain_id TEXT NOT NULL,
  parent_id TEXT,
  is_domain BOOLEAN NOT NULL,
  enabled BOOLEAN NOT NULL,
  description TEXT NOT NULL,
  options TEXT NOT NULL,
  tags TEXT NOT NULL,
  extra TEXT NOT NULL
);
CREATE UNIQUE INDEX projects_name ON projects (domain_id, name);
CREATE INDEX projects_parent ON projects (parent_id);

CREATE TABLE users (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  domain_id TEXT NOT NULL,
  enabled BOOLEAN NOT NULL,
  default_project_id TEXT,
  options TEXT NOT NULL,
  extra TEXT NOT NULL
);
CREATE UNIQUE INDEX users_name ON users (domain_id, name);

-- The newest row is the password in force; older ones are remembered so that they are not used again.
CREATE TABLE passwords (
  user_id TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  hash TEXT NOT NULL,
  PRIMARY KEY (user_id, created_at)
);

-- Failed log-ins in a row; the empty subject counts those of users that do not exist, so that both cost the same.
CREATE TABLE login_failures (
  subject TEXT PRIMARY KEY,
  failures BIGINT NOT NULL,
  last_at BIGINT NOT NULL
);

CREATE TABLE groups (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  domain_id TEXT NOT NULL,
  description TEXT NOT NULL,
  extra TEXT NOT NULL
);
CREATE UNIQUE INDEX groups_name ON groups (domain_id, name);

CREATE TABLE memberships (
  user_id TEXT NOT NULL,
  group_id TEXT NOT NULL,
  PRIMARY KEY (user_id, group_id)
);
CREATE INDEX memberships_group ON memberships (group_id);

-- A role of no domain has the domain ''.
CREATE TABLE roles (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  domain_id TEXT NOT NULL,
  description TEXT,
  options TEXT NOT NULL,
  extra TEXT NOT NULL
);
CREATE UNIQUE INDEX roles_name ON roles (domain_id, name);

CREATE TABLE implied_roles (
  prior_id TEXT NOT NULL,
  implied_id TEXT NOT NULL,
  PRIMARY KEY (prior_id, implied_id)
);

-- actor_kind: user, group; target_kind: project, domain, system.
CREATE TABLE assignments (
  actor_kind TEXT NOT NULL,
  actor_id TEXT NOT NULL,
  target_kind TEXT NOT NULL,
  target_id TEXT NOT NULL,
  role_id TEXT NOT NULL,
  inherited BOOLEAN NOT NULL,
  PRIMARY KEY (actor_id, target_id, role_id, actor_kind, target_kind, inherited)
);
CREATE INDEX assignments_target ON assignments (target_id);
CREATE INDEX assignments_role ON assignments (role_id);

CREATE TABLE regions (
  id TEXT PRIMARY KEY,
  parent_region_id TEXT,
  description TEXT NOT NULL,
  extra TEXT NOT NULL
);

CREATE TABLE services (
  id TEXT PRIMARY KEY,
  type TEXT NOT NULL,
  enabled BOOLEAN NOT NULL,
  extra TEXT NOT NULL
);

CREATE TABLE endpoints (
  id TEXT PRIMARY KEY,
  service_id TEXT NOT NULL,
  interface TEXT NOT NULL,
  region_id TEXT,
  url TEXT NOT NULL,
  enabled BOOLEAN NOT NULL,
  extra TEXT NOT NULL
);
CREATE INDEX endpoints_service ON endpoints (service_id);

CREATE TABLE policies (
  id TEXT PRIMARY KEY,
  type TEXT NOT NULL,
  blob TEXT NOT NULL,
  extra TEXT NOT NULL
);

CREATE TABLE credentials (
  id TEXT PRIMARY KEY,
  user_id TEXT NOT NULL,
  project_id TEXT,
  type TEXT NOT NULL,
  blob TEXT NOT NULL,
  extra TEXT NOT NULL
);
CREATE INDEX credentials_user ON credentials (user_id);

CREATE TABLE app_credentials (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  user_id TEXT NOT NULL,
  project_id TEXT NOT NULL,
  hash TEXT NOT NULL,
  description TEXT,
  expires_at BIGINT,
  unrestricted BOOLEAN NOT NULL,
  role_ids TEXT NOT NULL,
  has_rules BOOLEAN NOT NULL
);
CREATE UNIQUE INDEX app_credentials_name ON app_credentials (user_id, name);

CREATE TABLE access_rules (
  id TEXT PRIMARY KEY,
  user_id TEXT NOT NULL,
  service TEXT NOT NULL,
  method TEXT NOT NULL,
  path TEXT NOT NULL
);
CREATE UNIQUE INDEX access_rules_same ON access_rules (user_id, service, method, path);

CREATE TABLE app_credential_rules (
  app_credential_id TEXT NOT NULL,
  access_rule_id TEXT NOT NULL,
  PRIMARY KEY (app_credential_id, access_rule_id)
);
CREATE INDEX app_credential_rules_rule ON app_credential_rules (access_rule_id);

CREATE TABLE trusts (
  id TEXT PRIMARY KEY,
  trustor_user_id TEXT NOT NULL,
  trustee_user_id TEXT NOT NULL,
  project_id TEXT,
  impersonation BOOLEAN NOT NULL,
  expires_at BIGINT,
  remaining_uses BIGINT,
  redelegated_trust_id TEXT,
  redelegation_count BIGINT NOT NULL,
  role_ids TEXT NOT NULL,
  deleted_at BIGINT,
  extra TEXT NOT NULL
);
CREATE INDEX trusts_trustor ON trusts (trustor_user_id);
CREATE INDEX trusts_trustee ON trusts (trustee_user_id);

CREATE TABLE revocations (
  id TEXT PRIMARY KEY,
  revocation TEXT NOT NULL,
  revoked_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL
);

-- What other processes watch: 'trust' for keys and revocations, 'snapshot' for roles and the catalog.
CREATE TABLE revisions (
  name TEXT PRIMARY KEY,
  value BIGINT NOT NULL
);
INSERT INTO revisions (name, value) VALUES ('trust', 2);
INSERT INTO revisions (name, value) VALUES ('snapshot', 1);

-- Records that identity keeps without a table of their own: of one kind, below a parent ('' for none).
CREATE TABLE documents (
  kind TEXT NOT NULL,
  parent TEXT NOT NULL,
  id TEXT NOT NULL,
  body TEXT NOT NULL,
  PRIMARY KEY (kind, parent, id)
);

-- A limit without a region has the region ''.
CREATE TABLE registered_limits (
  id TEXT PRIMARY KEY,
  service_id TEXT NOT NULL,
  region_id TEXT NOT NULL,
  resource_name TEXT NOT NULL,
  default_limit BIGINT NOT NULL,
  description TEXT
);
CREATE UNIQUE INDEX registered_limits_same
  ON registered_limits (service_id, region_id, resource_name);

-- owner_kind: project, domain.
CREATE TABLE limits (
  id TEXT PRIMARY KEY,
  owner_kind TEXT NOT NULL,
  owner_id TEXT NOT NULL,
  registered_limit_id TEXT NOT NULL,
  resource_limit BIGINT NOT NULL,
  description TEXT
);
CREATE UNIQUE INDEX limits_same ON limits (owner_id, registered_limit_id);
CREATE INDEX limits_registered ON limits (registered_limit_id);
