-- What hosts should have and what they have seen.
CREATE TABLE feed_hosts (
  host TEXT PRIMARY KEY,
  revision BIGINT NOT NULL,
  seen_at BIGINT NOT NULL
);
CREATE TABLE feed_items (
  host TEXT NOT NULL,
  kind TEXT NOT NULL,
  id TEXT NOT NULL,
  generation BIGINT NOT NULL,
  revision BIGINT NOT NULL,
  spec TEXT,
  changed_at BIGINT NOT NULL,
  PRIMARY KEY (host, kind, id)
);
CREATE INDEX feed_items_revision ON feed_items (host, revision);
CREATE INDEX feed_items_id ON feed_items (kind, id);
CREATE TABLE feed_observed (
  host TEXT NOT NULL,
  kind TEXT NOT NULL,
  id TEXT NOT NULL,
  generation_seen BIGINT NOT NULL,
  state TEXT NOT NULL,
  detail TEXT NOT NULL,
  at BIGINT NOT NULL,
  PRIMARY KEY (host, kind, id)
);
CREATE INDEX feed_observed_id ON feed_observed (kind, id);
