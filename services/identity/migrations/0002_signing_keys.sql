-- The keys that sign tokens. The newest is staged: published, so that every service knows it before it signs. The one
-- before it signs. Older ones only check, until the last token that they signed has ended. The private half is sealed.
CREATE TABLE signing_keys (
  number BIGINT PRIMARY KEY,
  kid TEXT NOT NULL,
  point TEXT NOT NULL,
  sealed TEXT NOT NULL,
  created_at BIGINT NOT NULL
);
