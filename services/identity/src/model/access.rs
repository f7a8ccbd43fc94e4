//! Application credentials, their access rules, and credentials of other kinds.

use nephos_types::{ProjectId, Timestamp, UserId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::model::extra::Extra;

/// A password of its own for a program: some of a user's roles on one project.
#[derive(Clone, Debug)]
pub(crate) struct AppCredential {
    pub id: String,
    pub name: String,
    pub user_id: UserId,
    pub project_id: ProjectId,
    pub hash: String,
    pub description: Option<String>,
    pub expires_at: Option<Timestamp>,
    pub unrestricted: bool,
    pub role_ids: Vec<String>,
    /// Whether it may make only the requests of its access rules, even when none is left.
    pub has_rules: bool,
}

impl AppCredential {
    /// Whether its time is over.
    pub(crate) fn expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }
}

/// One kind of request that an application credential may make.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct AccessRule {
    pub id: String,
    pub service: String,
    pub method: String,
    pub path: String,
    #[serde(skip)]
    pub user_id: String,
}

/// A credential of any kind that Keystone keeps for others: `ec2`, `cert`, `totp`.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct Credential {
    pub id: String,
    pub user_id: UserId,
    pub project_id: Option<ProjectId>,
    #[serde(rename = "type")]
    pub kind: String,
    pub blob: String,
    #[serde(flatten)]
    pub extra: Extra,
}
