-- Where a port is made ready beside the host that it is bound to, while what is plugged into it moves there alive.
ALTER TABLE ports ADD COLUMN next_host TEXT NOT NULL DEFAULT '';
CREATE INDEX ports_next_host ON ports (next_host);
