-- Passwords on their way to guests, sealed. A row goes with the operation that brings it.
CREATE TABLE guest_passwords (
  server_id TEXT PRIMARY KEY,
  account TEXT NOT NULL,
  sealed TEXT NOT NULL
);
