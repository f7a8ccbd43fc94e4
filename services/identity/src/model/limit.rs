//! Limits: a default for everybody, and what one project or domain has instead.

use nephos_types::{DomainId, ProjectId};
use serde::Serialize;
use utoipa::ToSchema;

/// The default limit of a resource of a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct RegisteredLimit {
    pub id: String,
    pub service_id: String,
    pub region_id: Option<String>,
    pub resource_name: String,
    pub default_limit: i64,
    pub description: Option<String>,
}

/// What a project or a domain has instead of the default.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Limit {
    pub id: String,
    pub project_id: Option<ProjectId>,
    pub domain_id: Option<DomainId>,
    pub service_id: String,
    pub region_id: Option<String>,
    pub resource_name: String,
    pub resource_limit: i64,
    pub description: Option<String>,
    #[serde(skip)]
    pub registered_limit_id: String,
    /// The domain of the project, for the rule.
    #[serde(skip)]
    pub project_domain_id: Option<String>,
}
