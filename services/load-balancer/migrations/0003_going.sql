-- Whether it is to go, whatever its status says: a deletion that failed is tried again, and nothing else is.
ALTER TABLE balancers ADD COLUMN going BOOLEAN NOT NULL DEFAULT FALSE;
UPDATE balancers SET going = TRUE WHERE provisioning_status = 'PENDING_DELETE';
