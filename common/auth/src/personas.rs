//! The secure-RBAC personas as oslo.policy expressions, and the base rules they refer to.
//!
//! The names are upstream's (nova/policies/base.py, neutron/conf/policies/base.py, keystone/common/policies/base.py), so a
//! `policy.yaml` that redefines `context_is_admin` or `project_member_api` does here what it does there. They are part
//! of every [`Policy`](crate::Policy); a service that lists a rule of the same name replaces it.

use crate::rules::RuleInfo;

/// Anybody with a valid token.
pub const ANY: &str = "@";
/// Nobody, whatever their roles.
pub const NOBODY: &str = "!";
/// The operator.
pub const ADMIN: &str = "rule:context_is_admin";
/// Another service of the cloud.
pub const SERVICE: &str = "rule:service_api";
/// The agents of a host.
pub const HOST: &str = "rule:host_api";
/// Another service of the cloud, or the operator.
pub const ADMIN_OR_SERVICE: &str = "rule:service_or_admin";
/// Reads in the thing's project.
pub const PROJECT_READER: &str = "rule:project_reader_api";
/// Works in the thing's project.
pub const PROJECT_MEMBER: &str = "rule:project_member_api";
/// Manages the thing's project.
pub const PROJECT_MANAGER: &str = "rule:project_manager_api";
/// Reads in the thing's project, or the operator.
pub const PROJECT_READER_OR_ADMIN: &str = "rule:project_reader_or_admin";
/// Works in the thing's project, or the operator.
pub const PROJECT_MEMBER_OR_ADMIN: &str = "rule:project_member_or_admin";
/// Manages the thing's project, or the operator.
pub const PROJECT_MANAGER_OR_ADMIN: &str = "rule:project_manager_or_admin";

/// The base rules of every service.
pub(crate) const BASE: &[RuleInfo] = &[
    base("context_is_admin", "role:admin"),
    base("admin_required", "role:admin or is_admin:1"),
    base("admin_api", "is_admin:True"),
    base("admin_only", "rule:context_is_admin"),
    base("owner", "project_id:%(project_id)s"),
    base(
        "admin_or_owner",
        "is_admin:True or project_id:%(project_id)s",
    ),
    base("regular_user", ""),
    base("service_api", "role:service"),
    base("service_role", "role:service"),
    base("host_api", "role:host"),
    base(
        "project_manager_api",
        "role:manager and project_id:%(project_id)s",
    ),
    base(
        "project_member_api",
        "role:member and project_id:%(project_id)s",
    ),
    base(
        "project_reader_api",
        "role:reader and project_id:%(project_id)s",
    ),
    base(
        "project_manager_or_admin",
        "rule:project_manager_api or rule:context_is_admin",
    ),
    base(
        "project_member_or_admin",
        "rule:project_member_api or rule:context_is_admin",
    ),
    base(
        "project_reader_or_admin",
        "rule:project_reader_api or rule:context_is_admin",
    ),
    base(
        "service_or_admin",
        "rule:service_api or rule:context_is_admin",
    ),
];

const fn base(name: &'static str, default: &'static str) -> RuleInfo {
    RuleInfo {
        name,
        default,
        description: "Base rule.",
    }
}
