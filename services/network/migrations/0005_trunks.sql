-- A trunk leads several networks to one guest: its own port's without a tag, that of every subport with one.
CREATE TABLE trunks (
  id TEXT PRIMARY KEY,
  project_id TEXT NOT NULL,
  name TEXT NOT NULL,
  description TEXT NOT NULL,
  port_id TEXT NOT NULL REFERENCES ports (id),
  admin_state_up BOOLEAN NOT NULL,
  revision BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL
);
CREATE INDEX trunks_project ON trunks (project_id);
CREATE UNIQUE INDEX trunks_port ON trunks (port_id);

CREATE TABLE trunk_subports (
  port_id TEXT PRIMARY KEY REFERENCES ports (id),
  trunk_id TEXT NOT NULL REFERENCES trunks (id),
  segmentation_id BIGINT NOT NULL
);
CREATE UNIQUE INDEX trunk_subports_tag ON trunk_subports (trunk_id, segmentation_id);
