//! The policy rules of identity: upstream's names, defaults and scope types.

use nephos_auth::{Caller, Scope};

const ANYBODY: &str = "";
const ADMIN_REQUIRED: &str = "rule:admin_required";
const ADMIN_OR_SYSTEM_READER: &str = "rule:admin_required or (role:reader and system_scope:all)";

nephos_auth::rules! {
    /// Base rule.
    pub AdminRequired = "admin_required", "role:admin or is_admin:1";
    /// Base rule.
    pub ServiceRole = "service_role", "role:service";
    /// Base rule.
    pub ServiceOrAdmin = "service_or_admin", "rule:admin_required or rule:service_role";
    /// Base rule.
    pub Owner = "owner", "user_id:%(user_id)s";
    /// Base rule.
    pub AdminOrOwner = "admin_or_owner", "rule:admin_required or rule:owner";
    /// Base rule.
    pub TokenSubject = "token_subject", "user_id:%(target.token.user_id)s";
    /// Base rule.
    pub AdminOrTokenSubject = "admin_or_token_subject", "rule:admin_required or rule:token_subject";
    /// Base rule.
    pub ServiceAdminOrTokenSubject = "service_admin_or_token_subject", "rule:service_or_admin or rule:token_subject";
    /// Base rule.
    pub DomainManagedTargetRole = "domain_managed_target_role", "'manager':%(target.role.name)s or 'member':%(target.role.name)s or 'reader':%(target.role.name)s";
    /// Get access rule.
    pub GetAccessRule = "identity:get_access_rule", "(role:reader and system_scope:all) or user_id:%(target.user.id)s";
    /// List access rules.
    pub ListAccessRules = "identity:list_access_rules", "(role:reader and system_scope:all) or user_id:%(target.user.id)s";
    /// Delete access rule.
    pub DeleteAccessRule = "identity:delete_access_rule", "(role:admin and system_scope:all) or user_id:%(target.user.id)s";
    /// Get application credential.
    pub GetApplicationCredential = "identity:get_application_credential", "(rule:admin_required) or (role:reader and system_scope:all) or rule:owner";
    /// List application credentials.
    pub ListApplicationCredentials = "identity:list_application_credentials", "(rule:admin_required) or (role:reader and system_scope:all) or rule:owner";
    /// Create application credential.
    pub CreateApplicationCredential = "identity:create_application_credential", "user_id:%(user_id)s";
    /// Delete application credential.
    pub DeleteApplicationCredential = "identity:delete_application_credential", "rule:admin_or_owner";
    /// Get auth catalog.
    pub GetAuthCatalog = "identity:get_auth_catalog", ANYBODY;
    /// Get auth projects.
    pub GetAuthProjects = "identity:get_auth_projects", ANYBODY;
    /// Get auth domains.
    pub GetAuthDomains = "identity:get_auth_domains", ANYBODY;
    /// Get auth system.
    pub GetAuthSystem = "identity:get_auth_system", ANYBODY;
    /// Get credential.
    pub GetCredential = "identity:get_credential", "(rule:admin_required) or (role:reader and system_scope:all) or user_id:%(target.credential.user_id)s";
    /// List credentials.
    pub ListCredentials = "identity:list_credentials", "(rule:admin_required) or (role:reader and system_scope:all) or user_id:%(target.credential.user_id)s";
    /// Create credential.
    pub CreateCredential = "identity:create_credential", "(rule:admin_required) or user_id:%(target.credential.user_id)s";
    /// Update credential.
    pub UpdateCredential = "identity:update_credential", "(rule:admin_required) or user_id:%(target.credential.user_id)s";
    /// Delete credential.
    pub DeleteCredential = "identity:delete_credential", "(rule:admin_required) or user_id:%(target.credential.user_id)s";
    /// Get domain.
    pub GetDomain = "identity:get_domain", "rule:admin_required or (role:reader and system_scope:all) or token.domain.id:%(target.domain.id)s or token.project.domain.id:%(target.domain.id)s";
    /// List domains.
    pub ListDomains = "identity:list_domains", "rule:admin_required or (role:reader and system_scope:all) or (role:reader and domain_id:%(target.domain.id)s)";
    /// Create domain.
    pub CreateDomain = "identity:create_domain", ADMIN_REQUIRED;
    /// Update domain.
    pub UpdateDomain = "identity:update_domain", ADMIN_REQUIRED;
    /// Delete domain.
    pub DeleteDomain = "identity:delete_domain", ADMIN_REQUIRED;
    /// Ec2 get credential. One widening: services check with it what it signed.
    pub Ec2GetCredential = "identity:ec2_get_credential", "(rule:admin_required) or (role:reader and system_scope:all) or rule:service_role or user_id:%(target.credential.user_id)s";
    /// Ec2 list credentials.
    pub Ec2ListCredentials = "identity:ec2_list_credentials", "(rule:admin_required) or (role:reader and system_scope:all) or rule:owner";
    /// Ec2 create credential.
    pub Ec2CreateCredential = "identity:ec2_create_credential", "(rule:admin_required) or (role:member and user_id:%(target.credential.user_id)s)";
    /// Ec2 delete credential.
    pub Ec2DeleteCredential = "identity:ec2_delete_credential", "(rule:admin_required) or (role:member and user_id:%(target.credential.user_id)s)";
    /// Get endpoint.
    pub GetEndpoint = "identity:get_endpoint", ADMIN_OR_SYSTEM_READER;
    /// List endpoints.
    pub ListEndpoints = "identity:list_endpoints", ADMIN_OR_SYSTEM_READER;
    /// Create endpoint.
    pub CreateEndpoint = "identity:create_endpoint", ADMIN_REQUIRED;
    /// Update endpoint.
    pub UpdateEndpoint = "identity:update_endpoint", ADMIN_REQUIRED;
    /// Delete endpoint.
    pub DeleteEndpoint = "identity:delete_endpoint", ADMIN_REQUIRED;
    /// Check grant.
    pub CheckGrant = "identity:check_grant", "(rule:admin_required) or ((role:reader and system_scope:all) or ((role:reader and domain_id:%(target.user.domain_id)s and domain_id:%(target.project.domain_id)s) or (role:reader and domain_id:%(target.user.domain_id)s and domain_id:%(target.domain.id)s) or (role:reader and domain_id:%(target.group.domain_id)s and domain_id:%(target.project.domain_id)s) or (role:reader and domain_id:%(target.group.domain_id)s and domain_id:%(target.domain.id)s)) and (domain_id:%(target.role.domain_id)s or None:%(target.role.domain_id)s))";
    /// List grants.
    pub ListGrants = "identity:list_grants", "(rule:admin_required) or ((role:reader and system_scope:all) or (role:reader and domain_id:%(target.user.domain_id)s and domain_id:%(target.project.domain_id)s) or (role:reader and domain_id:%(target.user.domain_id)s and domain_id:%(target.domain.id)s) or (role:reader and domain_id:%(target.group.domain_id)s and domain_id:%(target.project.domain_id)s) or (role:reader and domain_id:%(target.group.domain_id)s and domain_id:%(target.domain.id)s))";
    /// Create grant.
    pub CreateGrant = "identity:create_grant", "(rule:admin_required) or ((role:admin and domain_id:%(target.user.domain_id)s and domain_id:%(target.project.domain_id)s) or (role:admin and domain_id:%(target.user.domain_id)s and domain_id:%(target.domain.id)s) or (role:admin and domain_id:%(target.group.domain_id)s and domain_id:%(target.project.domain_id)s) or (role:admin and domain_id:%(target.group.domain_id)s and domain_id:%(target.domain.id)s)) and (domain_id:%(target.role.domain_id)s or None:%(target.role.domain_id)s) or ((role:manager and domain_id:%(target.user.domain_id)s and domain_id:%(target.project.domain_id)s) or (role:manager and domain_id:%(target.user.domain_id)s and domain_id:%(target.domain.id)s) or (role:manager and domain_id:%(target.group.domain_id)s and domain_id:%(target.project.domain_id)s) or (role:manager and domain_id:%(target.group.domain_id)s and domain_id:%(target.domain.id)s)) and rule:domain_managed_target_role";
    /// Revoke grant.
    pub RevokeGrant = "identity:revoke_grant", "(rule:admin_required) or ((role:admin and domain_id:%(target.user.domain_id)s and domain_id:%(target.project.domain_id)s) or (role:admin and domain_id:%(target.user.domain_id)s and domain_id:%(target.domain.id)s) or (role:admin and domain_id:%(target.group.domain_id)s and domain_id:%(target.project.domain_id)s) or (role:admin and domain_id:%(target.group.domain_id)s and domain_id:%(target.domain.id)s)) and (domain_id:%(target.role.domain_id)s or None:%(target.role.domain_id)s) or ((role:manager and domain_id:%(target.user.domain_id)s and domain_id:%(target.project.domain_id)s) or (role:manager and domain_id:%(target.user.domain_id)s and domain_id:%(target.domain.id)s) or (role:manager and domain_id:%(target.group.domain_id)s and domain_id:%(target.project.domain_id)s) or (role:manager and domain_id:%(target.group.domain_id)s and domain_id:%(target.domain.id)s)) and rule:domain_managed_target_role";
    /// List system grants for user.
    pub ListSystemGrantsForUser = "identity:list_system_grants_for_user", ADMIN_OR_SYSTEM_READER;
    /// Check system grant for user.
    pub CheckSystemGrantForUser = "identity:check_system_grant_for_user", ADMIN_OR_SYSTEM_READER;
    /// Create system grant for user.
    pub CreateSystemGrantForUser = "identity:create_system_grant_for_user", ADMIN_REQUIRED;
    /// Revoke system grant for user.
    pub RevokeSystemGrantForUser = "identity:revoke_system_grant_for_user", ADMIN_REQUIRED;
    /// List system grants for group.
    pub ListSystemGrantsForGroup = "identity:list_system_grants_for_group", ADMIN_OR_SYSTEM_READER;
    /// Check system grant for group.
    pub CheckSystemGrantForGroup = "identity:check_system_grant_for_group", ADMIN_OR_SYSTEM_READER;
    /// Create system grant for group.
    pub CreateSystemGrantForGroup = "identity:create_system_grant_for_group", ADMIN_REQUIRED;
    /// Revoke system grant for group.
    pub RevokeSystemGrantForGroup = "identity:revoke_system_grant_for_group", ADMIN_REQUIRED;
    /// Get group.
    pub GetGroup = "identity:get_group", "(rule:admin_required) or (role:reader and system_scope:all) or (role:reader and domain_id:%(target.group.domain_id)s)";
    /// List groups.
    pub ListGroups = "identity:list_groups", "(rule:admin_required) or (role:reader and system_scope:all) or (role:reader and domain_id:%(target.group.domain_id)s)";
    /// List groups for user.
    pub ListGroupsForUser = "identity:list_groups_for_user", "(rule:admin_required) or (role:reader and system_scope:all) or (role:reader and domain_id:%(target.user.domain_id)s) or user_id:%(user_id)s";
    /// Create group.
    pub CreateGroup = "identity:create_group", "(rule:admin_required) or (role:manager and domain_id:%(target.group.domain_id)s)";
    /// Update group.
    pub UpdateGroup = "identity:update_group", "(rule:admin_required) or (role:manager and domain_id:%(target.group.domain_id)s)";
    /// Delete group.
    pub DeleteGroup = "identity:delete_group", "(rule:admin_required) or (role:manager and domain_id:%(target.group.domain_id)s)";
    /// List users in group.
    pub ListUsersInGroup = "identity:list_users_in_group", "(rule:admin_required) or (role:reader and system_scope:all) or (role:reader and domain_id:%(target.group.domain_id)s)";
    /// Remove user from group.
    pub RemoveUserFromGroup = "identity:remove_user_from_group", "(rule:admin_required) or (role:manager and domain_id:%(target.group.domain_id)s and domain_id:%(target.user.domain_id)s)";
    /// Check user in group.
    pub CheckUserInGroup = "identity:check_user_in_group", "(rule:admin_required) or (role:reader and system_scope:all) or (role:reader and domain_id:%(target.group.domain_id)s and domain_id:%(target.user.domain_id)s)";
    /// Add user to group.
    pub AddUserToGroup = "identity:add_user_to_group", "(rule:admin_required) or (role:manager and domain_id:%(target.group.domain_id)s and domain_id:%(target.user.domain_id)s)";
    /// Create identity provider.
    pub CreateIdentityProvider = "identity:create_identity_provider", ADMIN_REQUIRED;
    /// List identity providers.
    pub ListIdentityProviders = "identity:list_identity_providers", ADMIN_OR_SYSTEM_READER;
    /// Get identity provider.
    pub GetIdentityProvider = "identity:get_identity_provider", ADMIN_OR_SYSTEM_READER;
    /// Update identity provider.
    pub UpdateIdentityProvider = "identity:update_identity_provider", ADMIN_REQUIRED;
    /// Delete identity provider.
    pub DeleteIdentityProvider = "identity:delete_identity_provider", ADMIN_REQUIRED;
    /// Get implied role.
    pub GetImpliedRole = "identity:get_implied_role", ADMIN_OR_SYSTEM_READER;
    /// List implied roles.
    pub ListImpliedRoles = "identity:list_implied_roles", ADMIN_OR_SYSTEM_READER;
    /// Create implied role.
    pub CreateImpliedRole = "identity:create_implied_role", ADMIN_REQUIRED;
    /// Delete implied role.
    pub DeleteImpliedRole = "identity:delete_implied_role", ADMIN_REQUIRED;
    /// List role inference rules.
    pub ListRoleInferenceRules = "identity:list_role_inference_rules", ADMIN_OR_SYSTEM_READER;
    /// Check implied role.
    pub CheckImpliedRole = "identity:check_implied_role", ADMIN_OR_SYSTEM_READER;
    /// Get limit model.
    pub GetLimitModel = "identity:get_limit_model", ANYBODY;
    /// Get limit.
    pub GetLimit = "identity:get_limit", "rule:admin_required or (role:reader and system_scope:all) or (domain_id:%(target.limit.domain.id)s or domain_id:%(target.limit.project.domain_id)s) or (project_id:%(target.limit.project_id)s and not None:%(target.limit.project_id)s)";
    /// List limits.
    pub ListLimits = "identity:list_limits", ANYBODY;
    /// Create limits.
    pub CreateLimits = "identity:create_limits", ADMIN_REQUIRED;
    /// Update limit.
    pub UpdateLimit = "identity:update_limit", ADMIN_REQUIRED;
    /// Delete limit.
    pub DeleteLimit = "identity:delete_limit", ADMIN_REQUIRED;
    /// Create mapping.
    pub CreateMapping = "identity:create_mapping", ADMIN_REQUIRED;
    /// Get mapping.
    pub GetMapping = "identity:get_mapping", ADMIN_OR_SYSTEM_READER;
    /// List mappings.
    pub ListMappings = "identity:list_mappings", ADMIN_OR_SYSTEM_READER;
    /// Delete mapping.
    pub DeleteMapping = "identity:delete_mapping", ADMIN_REQUIRED;
    /// Update mapping.
    pub UpdateMapping = "identity:update_mapping", ADMIN_REQUIRED;
    /// Get policy.
    pub GetPolicy = "identity:get_policy", ADMIN_OR_SYSTEM_READER;
    /// List policies.
    pub ListPolicies = "identity:list_policies", ADMIN_OR_SYSTEM_READER;
    /// Create policy.
    pub CreatePolicy = "identity:create_policy", ADMIN_REQUIRED;
    /// Update policy.
    pub UpdatePolicy = "identity:update_policy", ADMIN_REQUIRED;
    /// Delete policy.
    pub DeletePolicy = "identity:delete_policy", ADMIN_REQUIRED;
    /// Get project.
    pub GetProject = "identity:get_project", "(rule:admin_required) or (role:reader and system_scope:all) or (role:reader and domain_id:%(target.project.domain_id)s and not None:%(target.project.domain_id)s) or project_id:%(target.project.id)s";
    /// List projects.
    pub ListProjects = "identity:list_projects", "(rule:admin_required) or (role:reader and system_scope:all) or (role:reader and domain_id:%(target.domain_id)s)";
    /// List user projects.
    pub ListUserProjects = "identity:list_user_projects", "(rule:admin_required) or (role:reader and system_scope:all) or (role:reader and domain_id:%(target.user.domain_id)s) or user_id:%(target.user.id)s";
    /// Create project.
    pub CreateProject = "identity:create_project", "(rule:admin_required) or (role:manager and domain_id:%(target.project.domain_id)s and not None:%(target.project.domain_id)s)";
    /// Update project.
    pub UpdateProject = "identity:update_project", "(rule:admin_required) or (role:manager and domain_id:%(target.project.domain_id)s and not None:%(target.project.domain_id)s)";
    /// Delete project.
    pub DeleteProject = "identity:delete_project", "(rule:admin_required) or (role:manager and domain_id:%(target.project.domain_id)s and not None:%(target.project.domain_id)s)";
    /// List project tags.
    pub ListProjectTags = "identity:list_project_tags", "(rule:admin_required) or (role:reader and system_scope:all) or (role:reader and domain_id:%(target.project.domain_id)s and not None:%(target.project.domain_id)s) or project_id:%(target.project.id)s";
    /// Get project tag.
    pub GetProjectTag = "identity:get_project_tag", "(rule:admin_required) or (role:reader and system_scope:all) or (role:reader and domain_id:%(target.project.domain_id)s and not None:%(target.project.domain_id)s) or project_id:%(target.project.id)s";
    /// Update project tags.
    pub UpdateProjectTags = "identity:update_project_tags", "(rule:admin_required) or (role:manager and domain_id:%(target.project.domain_id)s and not None:%(target.project.domain_id)s)";
    /// Create project tag.
    pub CreateProjectTag = "identity:create_project_tag", "(rule:admin_required) or (role:manager and domain_id:%(target.project.domain_id)s and not None:%(target.project.domain_id)s)";
    /// Delete project tags.
    pub DeleteProjectTags = "identity:delete_project_tags", "(rule:admin_required) or (role:manager and domain_id:%(target.project.domain_id)s and not None:%(target.project.domain_id)s)";
    /// Delete project tag.
    pub DeleteProjectTag = "identity:delete_project_tag", "(rule:admin_required) or (role:manager and domain_id:%(target.project.domain_id)s and not None:%(target.project.domain_id)s)";
    /// Create protocol.
    pub CreateProtocol = "identity:create_protocol", ADMIN_REQUIRED;
    /// Update protocol.
    pub UpdateProtocol = "identity:update_protocol", ADMIN_REQUIRED;
    /// Get protocol.
    pub GetProtocol = "identity:get_protocol", ADMIN_OR_SYSTEM_READER;
    /// List protocols.
    pub ListProtocols = "identity:list_protocols", ADMIN_OR_SYSTEM_READER;
    /// Delete protocol.
    pub DeleteProtocol = "identity:delete_protocol", ADMIN_REQUIRED;
    /// Get region.
    pub GetRegion = "identity:get_region", ANYBODY;
    /// List regions.
    pub ListRegions = "identity:list_regions", ANYBODY;
    /// Create region.
    pub CreateRegion = "identity:create_region", ADMIN_REQUIRED;
    /// Update region.
    pub UpdateRegion = "identity:update_region", ADMIN_REQUIRED;
    /// Delete region.
    pub DeleteRegion = "identity:delete_region", ADMIN_REQUIRED;
    /// Get registered limit.
    pub GetRegisteredLimit = "identity:get_registered_limit", ANYBODY;
    /// List registered limits.
    pub ListRegisteredLimits = "identity:list_registered_limits", ANYBODY;
    /// Create registered limits.
    pub CreateRegisteredLimits = "identity:create_registered_limits", ADMIN_REQUIRED;
    /// Update registered limit.
    pub UpdateRegisteredLimit = "identity:update_registered_limit", ADMIN_REQUIRED;
    /// Delete registered limit.
    pub DeleteRegisteredLimit = "identity:delete_registered_limit", ADMIN_REQUIRED;
    /// List revoke events.
    pub ListRevokeEvents = "identity:list_revoke_events", "rule:service_or_admin";
    /// Get role.
    pub GetRole = "identity:get_role", "(rule:admin_required or (role:reader and system_scope:all)) or (role:manager and rule:domain_managed_target_role)";
    /// List roles.
    pub ListRoles = "identity:list_roles", "(rule:admin_required or (role:reader and system_scope:all)) or (role:manager and not domain_id:None)";
    /// Create role.
    pub CreateRole = "identity:create_role", ADMIN_REQUIRED;
    /// Update role.
    pub UpdateRole = "identity:update_role", ADMIN_REQUIRED;
    /// Delete role.
    pub DeleteRole = "identity:delete_role", ADMIN_REQUIRED;
    /// Get domain role.
    pub GetDomainRole = "identity:get_domain_role", ADMIN_OR_SYSTEM_READER;
    /// List domain roles.
    pub ListDomainRoles = "identity:list_domain_roles", ADMIN_OR_SYSTEM_READER;
    /// Create domain role.
    pub CreateDomainRole = "identity:create_domain_role", ADMIN_REQUIRED;
    /// Update domain role.
    pub UpdateDomainRole = "identity:update_domain_role", ADMIN_REQUIRED;
    /// Delete domain role.
    pub DeleteDomainRole = "identity:delete_domain_role", ADMIN_REQUIRED;
    /// List role assignments.
    pub ListRoleAssignments = "identity:list_role_assignments", "(rule:admin_required) or (role:reader and system_scope:all) or (role:reader and domain_id:%(target.domain_id)s)";
    /// List role assignments for tree.
    pub ListRoleAssignmentsForTree = "identity:list_role_assignments_for_tree", "(rule:admin_required) or (role:reader and system_scope:all) or (role:reader and domain_id:%(target.domain_id)s)";
    /// Get service.
    pub GetService = "identity:get_service", ADMIN_OR_SYSTEM_READER;
    /// List services.
    pub ListServices = "identity:list_services", ADMIN_OR_SYSTEM_READER;
    /// Create service.
    pub CreateService = "identity:create_service", ADMIN_REQUIRED;
    /// Update service.
    pub UpdateService = "identity:update_service", ADMIN_REQUIRED;
    /// Delete service.
    pub DeleteService = "identity:delete_service", ADMIN_REQUIRED;
    /// Create service provider.
    pub CreateServiceProvider = "identity:create_service_provider", ADMIN_REQUIRED;
    /// List service providers.
    pub ListServiceProviders = "identity:list_service_providers", ADMIN_OR_SYSTEM_READER;
    /// Get service provider.
    pub GetServiceProvider = "identity:get_service_provider", ADMIN_OR_SYSTEM_READER;
    /// Update service provider.
    pub UpdateServiceProvider = "identity:update_service_provider", ADMIN_REQUIRED;
    /// Delete service provider.
    pub DeleteServiceProvider = "identity:delete_service_provider", ADMIN_REQUIRED;
    /// Check token.
    pub CheckToken = "identity:check_token", "rule:admin_required or (role:reader and system_scope:all) or rule:token_subject";
    /// Validate token.
    pub ValidateToken = "identity:validate_token", "rule:admin_required or (role:reader and system_scope:all) or rule:service_role or rule:token_subject";
    /// Revoke token.
    pub RevokeToken = "identity:revoke_token", "rule:admin_required or rule:token_subject";
    /// Create trust.
    pub CreateTrust = "identity:create_trust", "user_id:%(target.trust.trustor_user_id)s";
    /// List trusts.
    pub ListTrusts = "identity:list_trusts", ADMIN_OR_SYSTEM_READER;
    /// List trusts for trustor.
    pub ListTrustsForTrustor = "identity:list_trusts_for_trustor", "(rule:admin_required) or (role:reader and system_scope:all or user_id:%(target.trust.trustor_user_id)s)";
    /// List trusts for trustee.
    pub ListTrustsForTrustee = "identity:list_trusts_for_trustee", "(rule:admin_required) or (role:reader and system_scope:all or user_id:%(target.trust.trustee_user_id)s)";
    /// List roles for trust.
    pub ListRolesForTrust = "identity:list_roles_for_trust", "(rule:admin_required) or (role:reader and system_scope:all or user_id:%(target.trust.trustor_user_id)s or user_id:%(target.trust.trustee_user_id)s)";
    /// Get role for trust.
    pub GetRoleForTrust = "identity:get_role_for_trust", "(rule:admin_required) or (role:reader and system_scope:all or user_id:%(target.trust.trustor_user_id)s or user_id:%(target.trust.trustee_user_id)s)";
    /// Delete trust.
    pub DeleteTrust = "identity:delete_trust", "rule:admin_required or user_id:%(target.trust.trustor_user_id)s";
    /// Get trust.
    pub GetTrust = "identity:get_trust", "(rule:admin_required) or (role:reader and system_scope:all or user_id:%(target.trust.trustor_user_id)s or user_id:%(target.trust.trustee_user_id)s)";
    /// Get user.
    pub GetUser = "identity:get_user", "(rule:admin_required) or (role:reader and system_scope:all) or (role:reader and token.domain.id:%(target.user.domain_id)s) or user_id:%(target.user.id)s";
    /// List users.
    pub ListUsers = "identity:list_users", "(rule:admin_required) or (role:reader and system_scope:all) or (role:reader and domain_id:%(target.domain_id)s)";
    /// List domains for user.
    pub ListDomainsForUser = "identity:list_domains_for_user", ANYBODY;
    /// Create user.
    pub CreateUser = "identity:create_user", "(rule:admin_required) or (role:manager and token.domain.id:%(target.user.domain_id)s)";
    /// Update user.
    pub UpdateUser = "identity:update_user", "(rule:admin_required) or (role:manager and token.domain.id:%(target.user.domain_id)s)";
    /// Delete user.
    pub DeleteUser = "identity:delete_user", "(rule:admin_required) or (role:manager and token.domain.id:%(target.user.domain_id)s)";
    /// Fetch keys and revocations, with which other processes check tokens by themselves.
    pub GetTrustBundle = "nephos:identity:get_trust_bundle", "rule:service_or_admin";
    /// Add a host.
    pub AddHost = "nephos:identity:add_host", ADMIN_REQUIRED;
    /// List hosts.
    pub ListHosts = "nephos:identity:list_hosts", ADMIN_REQUIRED;
    /// Remove a host.
    pub RemoveHost = "nephos:identity:remove_host", ADMIN_REQUIRED;
    /// Say which hosts a process of the cloud runs by itself.
    pub PutHosts = "nephos:identity:put_hosts", ADMIN_REQUIRED;
    /// Let another key sign tokens.
    pub RotateKeys = "nephos:identity:rotate_keys", ADMIN_REQUIRED;
}

/// Rules that a domain-scoped token may be used for. The others refuse it whatever its roles.
const DOMAIN_TOO: &[&str] = &[
    "identity:add_user_to_group",
    "identity:check_grant",
    "identity:check_token",
    "identity:check_user_in_group",
    "identity:create_credential",
    "identity:create_grant",
    "identity:create_group",
    "identity:create_project",
    "identity:create_project_tag",
    "identity:create_user",
    "identity:delete_credential",
    "identity:delete_group",
    "identity:delete_project",
    "identity:delete_project_tag",
    "identity:delete_project_tags",
    "identity:delete_user",
    "identity:get_auth_catalog",
    "identity:get_auth_domains",
    "identity:get_auth_projects",
    "identity:get_auth_system",
    "identity:get_credential",
    "identity:get_domain",
    "identity:get_group",
    "identity:get_limit",
    "identity:get_limit_model",
    "identity:get_project",
    "identity:get_project_tag",
    "identity:get_region",
    "identity:get_registered_limit",
    "identity:get_role",
    "identity:get_user",
    "identity:list_credentials",
    "identity:list_domains",
    "identity:list_domains_for_user",
    "identity:list_grants",
    "identity:list_groups",
    "identity:list_groups_for_user",
    "identity:list_limits",
    "identity:list_project_tags",
    "identity:list_projects",
    "identity:list_regions",
    "identity:list_registered_limits",
    "identity:list_role_assignments",
    "identity:list_role_assignments_for_tree",
    "identity:list_roles",
    "identity:list_user_projects",
    "identity:list_users",
    "identity:list_users_in_group",
    "identity:remove_user_from_group",
    "identity:revoke_grant",
    "identity:revoke_token",
    "identity:update_credential",
    "identity:update_group",
    "identity:update_project",
    "identity:update_project_tags",
    "identity:update_user",
    "identity:validate_token",
];

/// Rules that only a project-scoped token may be used for.
const PROJECT_ONLY: &[&str] = &[
    "identity:create_application_credential",
    "identity:create_trust",
];

/// Whether upstream's scope types let a token of this scope be used for the rule. An unscoped token counts as a project's.
pub(crate) fn in_scope(rule: &str, caller: &Caller) -> bool {
    match caller.scope {
        Scope::Project { .. } | Scope::Unscoped => true,
        Scope::System => !PROJECT_ONLY.contains(&rule),
        Scope::Domain { .. } => DOMAIN_TOO.contains(&rule),
    }
}
