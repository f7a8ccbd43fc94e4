-- Until when somebody may be reading a file; so long its bytes stay, whatever became of its objects.
ALTER TABLE blobs ADD COLUMN read_until BIGINT NOT NULL DEFAULT 0;
