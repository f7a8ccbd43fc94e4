-- What a bucket is told that it belongs to: another database beside it would take all objects for nobody's.
CREATE TABLE owner (
  one BIGINT PRIMARY KEY,
  id TEXT NOT NULL
);
