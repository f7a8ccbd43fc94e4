-- Whoever takes something away asks what hangs on it, and must not read whole tables for that.
CREATE INDEX trusts_redelegated ON trusts (redelegated_trust_id);
CREATE INDEX trusts_project ON trusts (project_id);
CREATE INDEX app_credentials_project ON app_credentials (project_id);
CREATE INDEX regions_parent ON regions (parent_region_id);
CREATE INDEX endpoints_region ON endpoints (region_id);
CREATE INDEX registered_limits_region ON registered_limits (region_id);
CREATE INDEX implied_roles_implied ON implied_roles (implied_id);
