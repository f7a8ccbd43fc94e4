-- Metadata definitions: which properties mean what. A namespace may be renamed; what is in it follows.
CREATE TABLE metadef_namespaces (
  name TEXT PRIMARY KEY,
  display_name TEXT,
  description TEXT,
  visibility TEXT NOT NULL,
  protected BOOLEAN NOT NULL,
  owner TEXT,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL
);
-- Objects, properties and tags: what they say is JSON.
CREATE TABLE metadef_items (
  namespace TEXT NOT NULL REFERENCES metadef_namespaces (name) ON UPDATE CASCADE ON DELETE CASCADE,
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  body TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  PRIMARY KEY (namespace, kind, name)
);
CREATE TABLE metadef_resource_types (
  name TEXT PRIMARY KEY,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL
);
CREATE TABLE metadef_associations (
  namespace TEXT NOT NULL REFERENCES metadef_namespaces (name) ON UPDATE CASCADE ON DELETE CASCADE,
  resource_type TEXT NOT NULL REFERENCES metadef_resource_types (name),
  prefix TEXT,
  properties_target TEXT,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  PRIMARY KEY (namespace, resource_type)
);
CREATE INDEX metadef_associations_type ON metadef_associations (resource_type);
-- The things of this cloud that take properties.
INSERT INTO metadef_resource_types (name, created_at, updated_at) VALUES
  ('OS::Cinder::Volume', 1767225600000000, 1767225600000000),
  ('OS::Glance::Image', 1767225600000000, 1767225600000000),
  ('OS::Nova::Aggregate', 1767225600000000, 1767225600000000),
  ('OS::Nova::Flavor', 1767225600000000, 1767225600000000),
  ('OS::Nova::Server', 1767225600000000, 1767225600000000);
