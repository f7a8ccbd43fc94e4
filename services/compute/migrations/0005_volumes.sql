-- The volumes of a server, the one it boots from among them (JSON).
ALTER TABLE servers ADD COLUMN volumes TEXT NOT NULL DEFAULT '[]';
