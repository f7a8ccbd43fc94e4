-- Whether an operator wants no load balancers on a host: those that it has move to others.
ALTER TABLE hosts ADD COLUMN drained BOOLEAN NOT NULL DEFAULT FALSE;
