-- What a guest that moves while it runs is known by to its two hosts; empty for other moves.
ALTER TABLE migrations ADD COLUMN session TEXT NOT NULL DEFAULT '';
