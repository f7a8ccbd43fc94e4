-- Servers that went while a port was being asked for: one that is made in spite of that is removed.
CREATE TABLE late_ports (
  server_id TEXT PRIMARY KEY,
  -- The ports that its owner gave it, as a JSON list: they are given back, the others go.
  given TEXT NOT NULL,
  look_at BIGINT NOT NULL,
  looks BIGINT NOT NULL
);
CREATE INDEX late_ports_look ON late_ports (look_at);
