//! Limits: a default for everybody, and what one project or domain has instead.

use nephos_auth::{Resource, Target};
use nephos_types::{DomainId, ProjectId};
use serde::Serialize;
use utoipa::ToSchema;

/// The default limit of a resource of a service.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct RegisteredLimit {
    pub id: String,
    pub service_id: String,
    pub region_id: Option<String>,
    pub resource_name: String,
    pub default_limit: i64,
    pub description: Option<String>,
}

/// What a project or a domain has instead of the default.
#[derive(Clone, Debug, Serialize, ToSchema)]
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

impl Resource for Limit {
    const KIND: &'static str = "limit for";
    fn project_id(&self) -> Option<&str> {
        None
    }
    fn target(&self, target: &mut Target) {
        target.set("target.limit.project_id", self.project_id.as_ref());
        target.set("target.limit.domain.id", self.domain_id.as_ref());
        if self.project_id.is_some() {
            target.set(
                "target.limit.project.domain_id",
                self.project_domain_id.as_ref(),
            );
        }
    }
    fn visible_to(&self, _caller: &nephos_auth::Caller) -> bool {
        true
    }
}
