-- One row. Every write transaction begins by raising `number`: writers stand in line behind this row, so what a
-- transaction reads after it is what stands, on both engines. `names_at` and `removed_at` are the numbers at which
-- a class or trait changed last, and at which a provider was removed last.
CREATE TABLE revision (
  id BIGINT PRIMARY KEY,
  number BIGINT NOT NULL,
  names_at BIGINT NOT NULL,
  removed_at BIGINT NOT NULL
);
INSERT INTO revision (id, number, names_at, removed_at) VALUES (1, 1, 1, 1);

-- `revision` is the number of the last write that changed anything of the provider: stock, traits, aggregates, usage
-- or place in its tree. `created_in` is the number of the write that made it: the order of lists.
CREATE TABLE resource_providers (
  uuid TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  generation BIGINT NOT NULL,
  parent_uuid TEXT REFERENCES resource_providers (uuid),
  root_uuid TEXT NOT NULL,
  created_in BIGINT NOT NULL,
  revision BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX resource_providers_name ON resource_providers (name);
CREATE INDEX resource_providers_parent ON resource_providers (parent_uuid);
CREATE INDEX resource_providers_root ON resource_providers (root_uuid);
CREATE INDEX resource_providers_revision ON resource_providers (revision);

-- Only CUSTOM_ names: the standard ones come with the program.
CREATE TABLE resource_classes (
  name TEXT PRIMARY KEY,
  created_in BIGINT NOT NULL,
  created_at BIGINT NOT NULL
);

CREATE TABLE traits (
  name TEXT PRIMARY KEY,
  created_in BIGINT NOT NULL,
  created_at BIGINT NOT NULL
);

-- `used` is the sum of the allocations of this class on this provider, kept by every transaction that changes them.
CREATE TABLE inventories (
  provider_uuid TEXT NOT NULL REFERENCES resource_providers (uuid),
  resource_class TEXT NOT NULL,
  total BIGINT NOT NULL,
  reserved BIGINT NOT NULL,
  min_unit BIGINT NOT NULL,
  max_unit BIGINT NOT NULL,
  step_size BIGINT NOT NULL,
  allocation_ratio DOUBLE PRECISION NOT NULL,
  used BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  PRIMARY KEY (provider_uuid, resource_class)
);
CREATE INDEX inventories_class ON inventories (resource_class);

CREATE TABLE provider_traits (
  provider_uuid TEXT NOT NULL REFERENCES resource_providers (uuid),
  trait TEXT NOT NULL,
  PRIMARY KEY (provider_uuid, trait)
);
CREATE INDEX provider_traits_trait ON provider_traits (trait);

CREATE TABLE provider_aggregates (
  provider_uuid TEXT NOT NULL REFERENCES resource_providers (uuid),
  aggregate_uuid TEXT NOT NULL,
  position BIGINT NOT NULL,
  PRIMARY KEY (provider_uuid, aggregate_uuid)
);

-- A consumer exists as long as it has allocations. No type: made by a version that did not know types.
CREATE TABLE consumers (
  uuid TEXT PRIMARY KEY,
  generation BIGINT NOT NULL,
  project_id TEXT NOT NULL,
  user_id TEXT NOT NULL,
  consumer_type TEXT,
  created_at BIGINT NOT NULL
);
CREATE INDEX consumers_project ON consumers (project_id);

CREATE TABLE allocations (
  consumer_uuid TEXT NOT NULL REFERENCES consumers (uuid),
  provider_uuid TEXT NOT NULL REFERENCES resource_providers (uuid),
  resource_class TEXT NOT NULL,
  used BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  PRIMARY KEY (consumer_uuid, provider_uuid, resource_class)
);
CREATE INDEX allocations_provider ON allocations (provider_uuid);
