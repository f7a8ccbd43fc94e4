-- Numbers that only grow, each given once.
CREATE TABLE counters (
  name TEXT PRIMARY KEY,
  value BIGINT NOT NULL
);
INSERT INTO counters (name, value) SELECT 'hosts', COALESCE(MAX(number), 0) FROM hosts;
