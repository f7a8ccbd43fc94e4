//! The policy rules, with upstream's names and defaults. Upstream gives each the scope type "project" and enforces it;
//! here the base rules say so themselves.

/// Another service, or the operator.
const ADMIN_OR_SERVICE: &str = "rule:admin_or_service_api";
/// These, or a reader in the project.
const ADMIN_OR_READER_OR_SERVICE: &str = "rule:admin_or_project_reader_or_service_api";

nephos_auth::rules! {
    /// Base rule: the operator.
    pub AdminApi = "admin_api", "role:admin and not system_scope:all";
    /// Base rule: another service.
    pub ServiceApi = "service_api", "role:service and not system_scope:all";
    /// Base rule: most calls.
    pub AdminOrServiceApi = "admin_or_service_api", "(role:admin or role:service) and not system_scope:all";
    /// Base rule: reads in a project.
    pub ProjectReaderApi = "project_reader_api", "role:reader and project_id:%(project_id)s";
    /// Base rule: calls about one project.
    pub AdminOrReaderOrServiceApi = "admin_or_project_reader_or_service_api", "rule:admin_or_service_api or rule:project_reader_api";
    /// List resource providers.
    pub ListProviders = "placement:resource_providers:list", ADMIN_OR_SERVICE;
    /// Create a resource provider.
    pub CreateProvider = "placement:resource_providers:create", ADMIN_OR_SERVICE;
    /// Show a resource provider.
    pub ShowProvider = "placement:resource_providers:show", ADMIN_OR_SERVICE;
    /// Update a resource provider.
    pub UpdateProvider = "placement:resource_providers:update", ADMIN_OR_SERVICE;
    /// Delete a resource provider.
    pub DeleteProvider = "placement:resource_providers:delete", ADMIN_OR_SERVICE;
    /// List resource classes.
    pub ListClasses = "placement:resource_classes:list", ADMIN_OR_SERVICE;
    /// Create a resource class.
    pub CreateClass = "placement:resource_classes:create", ADMIN_OR_SERVICE;
    /// Show a resource class.
    pub ShowClass = "placement:resource_classes:show", ADMIN_OR_SERVICE;
    /// Update a resource class.
    pub UpdateClass = "placement:resource_classes:update", ADMIN_OR_SERVICE;
    /// Delete a resource class.
    pub DeleteClass = "placement:resource_classes:delete", ADMIN_OR_SERVICE;
    /// List the inventories of a provider.
    pub ListInventories = "placement:resource_providers:inventories:list", ADMIN_OR_SERVICE;
    /// Create an inventory.
    pub CreateInventory = "placement:resource_providers:inventories:create", ADMIN_OR_SERVICE;
    /// Show an inventory.
    pub ShowInventory = "placement:resource_providers:inventories:show", ADMIN_OR_SERVICE;
    /// Update inventories.
    pub UpdateInventories = "placement:resource_providers:inventories:update", ADMIN_OR_SERVICE;
    /// Delete inventories.
    pub DeleteInventories = "placement:resource_providers:inventories:delete", ADMIN_OR_SERVICE;
    /// List the aggregates of a provider.
    pub ListAggregates = "placement:resource_providers:aggregates:list", ADMIN_OR_SERVICE;
    /// Set the aggregates of a provider.
    pub UpdateAggregates = "placement:resource_providers:aggregates:update", ADMIN_OR_SERVICE;
    /// List the usages of a provider.
    pub ProviderUsages = "placement:resource_providers:usages", ADMIN_OR_SERVICE;
    /// List the usages of a project.
    pub TotalUsages = "placement:usages", ADMIN_OR_READER_OR_SERVICE;
    /// List traits.
    pub ListTraits = "placement:traits:list", ADMIN_OR_SERVICE;
    /// Show a trait.
    pub ShowTrait = "placement:traits:show", ADMIN_OR_SERVICE;
    /// Create a trait.
    pub UpdateTrait = "placement:traits:update", ADMIN_OR_SERVICE;
    /// Delete a trait.
    pub DeleteTrait = "placement:traits:delete", ADMIN_OR_SERVICE;
    /// List the traits of a provider.
    pub ListProviderTraits = "placement:resource_providers:traits:list", ADMIN_OR_SERVICE;
    /// Set the traits of a provider.
    pub UpdateProviderTraits = "placement:resource_providers:traits:update", ADMIN_OR_SERVICE;
    /// Remove the traits of a provider.
    pub DeleteProviderTraits = "placement:resource_providers:traits:delete", ADMIN_OR_SERVICE;
    /// Set the allocations of several consumers.
    pub ManageAllocations = "placement:allocations:manage", ADMIN_OR_SERVICE;
    /// List the allocations of a consumer.
    pub ListAllocations = "placement:allocations:list", ADMIN_OR_SERVICE;
    /// Set the allocations of a consumer.
    pub UpdateAllocations = "placement:allocations:update", ADMIN_OR_SERVICE;
    /// Delete the allocations of a consumer.
    pub DeleteAllocations = "placement:allocations:delete", ADMIN_OR_SERVICE;
    /// List the allocations on a provider.
    pub ListProviderAllocations = "placement:resource_providers:allocations:list", ADMIN_OR_SERVICE;
    /// List allocation candidates.
    pub ListCandidates = "placement:allocation_candidates:list", ADMIN_OR_SERVICE;
    /// Move inventories and allocations between providers.
    pub Reshape = "placement:reshaper:reshape", "rule:service_api";
    /// Explain why a request has the candidates it has (not in upstream).
    pub Explain = "placement:explain", ADMIN_OR_SERVICE;
    /// See the names of providers in an explanation (not in upstream).
    pub ExplainProviders = "placement:explain:providers", "rule:admin_api";
}
