-- A mark is a row of its own, so that those who leave one for the same thing are not in each other's way.
DROP TABLE stale;
CREATE TABLE stale (
  mark TEXT PRIMARY KEY,
  kind TEXT NOT NULL,
  id TEXT NOT NULL,
  since BIGINT NOT NULL
);
CREATE INDEX stale_thing ON stale (kind, id);
-- Where ports are, and who is in a group, are entries of lists from now on: hosts read the lists of what they know, from
-- a revision that they have not seen yet, and every port is looked at once.
UPDATE feed_hosts SET revision = revision + 1;
INSERT INTO feed_readers (host, kind, list, revision)
  SELECT i.host, 'remote_port', i.id, h.revision FROM feed_items i JOIN feed_hosts h ON h.host = i.host
  WHERE i.kind = 'network' AND i.spec IS NOT NULL;
INSERT INTO feed_readers (host, kind, list, revision)
  SELECT i.host, 'member', i.id, h.revision FROM feed_items i JOIN feed_hosts h ON h.host = i.host
  WHERE i.kind = 'security_group' AND i.spec IS NOT NULL;
INSERT INTO stale (mark, kind, id, since) SELECT 'port/' || id, 'port', id, 0 FROM ports;
-- What a project has is the sum of several rows, even at the beginning.
ALTER TABLE quota_usage RENAME TO quota_usage_whole;
CREATE TABLE quota_usage (
  project_id TEXT NOT NULL,
  resource TEXT NOT NULL,
  shard BIGINT NOT NULL,
  used BIGINT NOT NULL,
  PRIMARY KEY (project_id, resource, shard)
);
INSERT INTO quota_usage (project_id, resource, shard, used)
  SELECT w.project_id, w.resource, s.shard, w.used / 16 + CASE WHEN s.shard < w.used % 16 THEN 1 ELSE 0 END
  FROM quota_usage_whole w CROSS JOIN (
    SELECT 0 AS shard UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 UNION ALL SELECT 5
    UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9 UNION ALL SELECT 10 UNION ALL SELECT 11
    UNION ALL SELECT 12 UNION ALL SELECT 13 UNION ALL SELECT 14 UNION ALL SELECT 15) s;
DROP TABLE quota_usage_whole;
