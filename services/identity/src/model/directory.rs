//! Domains, projects, users, groups and roles.

use nephos_types::{DomainId, ProjectId, UserId};
use serde::Serialize;
use utoipa::ToSchema;

use crate::model::extra::Extra;

/// A project, or a domain: a project that acts as one.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct Project {
    pub id: ProjectId,
    pub name: String,
    /// None for a domain.
    pub domain_id: Option<DomainId>,
    /// The domain's id for a project at the top; none for a domain.
    pub parent_id: Option<String>,
    pub is_domain: bool,
    pub enabled: bool,
    pub description: String,
    pub options: Extra,
    pub tags: Vec<String>,
    #[serde(flatten)]
    pub extra: Extra,
}

/// A domain as its own API shows it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Domain {
    pub id: DomainId,
    pub name: String,
    pub enabled: bool,
    pub description: String,
    pub options: Extra,
    pub tags: Vec<String>,
    #[serde(flatten)]
    pub extra: Extra,
}

impl Project {
    /// The domain that this is, if it acts as one.
    pub(crate) fn into_domain(self) -> Option<Domain> {
        self.is_domain.then(|| Domain {
            id: DomainId(self.id.0),
            name: self.name,
            enabled: self.enabled,
            description: self.description,
            options: self.options,
            tags: self.tags,
            extra: self.extra,
        })
    }

    /// Whether it may be neither changed nor removed.
    pub(crate) fn immutable(&self) -> bool {
        self.options.is_true("immutable")
    }
}

/// A user. The password is elsewhere.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct User {
    pub id: UserId,
    pub name: String,
    pub domain_id: DomainId,
    pub enabled: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_project_id: Option<ProjectId>,
    /// Passwords do not expire by themselves.
    pub password_expires_at: Option<String>,
    pub options: Extra,
    #[serde(flatten)]
    pub extra: Extra,
}

/// A group of users of any domain.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct Group {
    pub id: String,
    pub name: String,
    pub domain_id: DomainId,
    pub description: String,
    #[serde(flatten)]
    pub extra: Extra,
}

/// A role; one of a domain never appears in a token, only what it implies does.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct Role {
    pub id: String,
    pub name: String,
    pub domain_id: Option<DomainId>,
    pub description: Option<String>,
    pub options: Extra,
    #[serde(flatten)]
    pub extra: Extra,
}

impl Role {
    /// Whether it may be neither changed nor removed.
    pub(crate) fn immutable(&self) -> bool {
        self.options.is_true("immutable")
    }
}
