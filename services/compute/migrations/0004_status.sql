-- Lists of one status, over many servers of other ones.
CREATE INDEX servers_status ON servers (project_id, vm_state, created_at, id);
