-- How moving a volume to another back end came out, in Cinder's words.
ALTER TABLE volumes ADD COLUMN migration TEXT;
