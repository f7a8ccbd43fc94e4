//! Trusts: a trustor lends roles on a project to a trustee.

use nephos_types::{ProjectId, Timestamp, UserId};

use crate::model::extra::Extra;

/// How many times a trust may be passed on.
pub(crate) const MAX_REDELEGATIONS: i64 = 3;

/// A trust.
#[derive(Clone, Debug)]
pub(crate) struct Trust {
    pub id: String,
    pub trustor_user_id: UserId,
    pub trustee_user_id: UserId,
    pub project_id: Option<ProjectId>,
    pub impersonation: bool,
    pub expires_at: Option<Timestamp>,
    pub remaining_uses: Option<i64>,
    pub redelegated_trust_id: Option<String>,
    pub redelegation_count: i64,
    pub role_ids: Vec<String>,
    pub deleted_at: Option<Timestamp>,
    pub extra: Extra,
}

impl Trust {
    /// Whether its time is over.
    pub(crate) fn expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }
}
