-- On whose behalf a thing was last wanted like this.
ALTER TABLE feed_items ADD COLUMN request_id TEXT;
