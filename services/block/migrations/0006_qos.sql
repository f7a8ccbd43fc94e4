-- How fast volumes of a type may be read and written.
CREATE TABLE qos_specs (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  consumer TEXT NOT NULL,
  -- An object of texts and nulls.
  specs TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL
);
ALTER TABLE types ADD COLUMN qos_id TEXT REFERENCES qos_specs (id);
CREATE INDEX types_qos ON types (qos_id) WHERE qos_id IS NOT NULL;
