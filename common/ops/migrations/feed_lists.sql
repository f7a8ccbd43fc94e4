-- What many hosts are told alike: entries of a list, each written once for all hosts that read the list.
CREATE TABLE feed_entries (
  kind TEXT NOT NULL,
  list TEXT NOT NULL,
  name TEXT NOT NULL,
  revision BIGINT NOT NULL,
  spec TEXT,
  changed_at BIGINT NOT NULL,
  PRIMARY KEY (kind, list, name)
);
CREATE INDEX feed_entries_revision ON feed_entries (kind, list, revision);
CREATE INDEX feed_entries_name ON feed_entries (name);
-- Who reads a list, and at which revision of its own it began to.
CREATE TABLE feed_readers (
  host TEXT NOT NULL,
  kind TEXT NOT NULL,
  list TEXT NOT NULL,
  revision BIGINT NOT NULL,
  PRIMARY KEY (host, kind, list)
);
CREATE INDEX feed_readers_list ON feed_readers (kind, list);
-- One row: the revision of all lists, and up to which of them entries that are gone were forgotten.
CREATE TABLE feed_lists (
  revision BIGINT NOT NULL,
  pruned BIGINT NOT NULL
);
INSERT INTO feed_lists (revision, pruned) VALUES (0, 0);
