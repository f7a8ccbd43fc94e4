-- What came to any list since.
CREATE INDEX feed_entries_last ON feed_entries (revision);
