//! The rows of grants: users and groups × projects, domains and the system, inherited or not.

use nephos_api::{Empty, Json, Loaded, Params, endpoint};

use super::grants::{self, GrantPath};
use super::shape::Many;
use crate::model::directory::Role;
use crate::{Svc, rules};

endpoint! {
    /// List the roles of a user on a project.
    ListUserRolesOnProject: GET "/v3/projects/{project_id}/users/{user_id}/roles" => 200,
    policy: Loaded<rules::ListGrants>,
    path: GrantPath,
    query: Params,
    reply: Json<Many<Role>>,
    handler: grants::list,
}
endpoint! {
    /// Give a role to a user on a project.
    AssignUserRoleOnProject: PUT "/v3/projects/{project_id}/users/{user_id}/roles/{role_id}" => 204,
    policy: Loaded<rules::CreateGrant>,
    path: GrantPath,
    reply: Empty,
    handler: grants::create,
}
endpoint! {
    /// Say whether a user on a project has a role.
    CheckUserRoleOnProject: GET "/v3/projects/{project_id}/users/{user_id}/roles/{role_id}" => 204,
    policy: Loaded<rules::CheckGrant>,
    path: GrantPath,
    reply: Empty,
    handler: grants::check,
}
endpoint! {
    /// Take a role from a user on a project.
    RemoveUserRoleOnProject: DELETE "/v3/projects/{project_id}/users/{user_id}/roles/{role_id}" => 204,
    policy: Loaded<rules::RevokeGrant>,
    path: GrantPath,
    reply: Empty,
    handler: grants::revoke,
}
endpoint! {
    /// List the roles of a user below a project.
    ListUserRolesBelowProject: GET "/v3/OS-INHERIT/projects/{project_id}/users/{user_id}/roles/inherited_to_projects" => 200,
    policy: Loaded<rules::ListGrants>,
    path: GrantPath,
    query: Params,
    reply: Json<Many<Role>>,
    handler: grants::list,
}
endpoint! {
    /// Give a role to a user below a project.
    AssignUserRoleBelowProject: PUT "/v3/OS-INHERIT/projects/{project_id}/users/{user_id}/roles/{role_id}/inherited_to_projects" => 204,
    policy: Loaded<rules::CreateGrant>,
    path: GrantPath,
    reply: Empty,
    handler: grants::create,
}
endpoint! {
    /// Say whether a user below a project has a role.
    CheckUserRoleBelowProject: GET "/v3/OS-INHERIT/projects/{project_id}/users/{user_id}/roles/{role_id}/inherited_to_projects" => 204,
    policy: Loaded<rules::CheckGrant>,
    path: GrantPath,
    reply: Empty,
    handler: grants::check,
}
endpoint! {
    /// Take a role from a user below a project.
    RemoveUserRoleBelowProject: DELETE "/v3/OS-INHERIT/projects/{project_id}/users/{user_id}/roles/{role_id}/inherited_to_projects" => 204,
    policy: Loaded<rules::RevokeGrant>,
    path: GrantPath,
    reply: Empty,
    handler: grants::revoke,
}
endpoint! {
    /// List the roles of a group on a project.
    ListGroupRolesOnProject: GET "/v3/projects/{project_id}/groups/{group_id}/roles" => 200,
    policy: Loaded<rules::ListGrants>,
    path: GrantPath,
    query: Params,
    reply: Json<Many<Role>>,
    handler: grants::list,
}
endpoint! {
    /// Give a role to a group on a project.
    AssignGroupRoleOnProject: PUT "/v3/projects/{project_id}/groups/{group_id}/roles/{role_id}" => 204,
    policy: Loaded<rules::CreateGrant>,
    path: GrantPath,
    reply: Empty,
    handler: grants::create,
}
endpoint! {
    /// Say whether a group on a project has a role.
    CheckGroupRoleOnProject: GET "/v3/projects/{project_id}/groups/{group_id}/roles/{role_id}" => 204,
    policy: Loaded<rules::CheckGrant>,
    path: GrantPath,
    reply: Empty,
    handler: grants::check,
}
endpoint! {
    /// Take a role from a group on a project.
    RemoveGroupRoleOnProject: DELETE "/v3/projects/{project_id}/groups/{group_id}/roles/{role_id}" => 204,
    policy: Loaded<rules::RevokeGrant>,
    path: GrantPath,
    reply: Empty,
    handler: grants::revoke,
}
endpoint! {
    /// List the roles of a group below a project.
    ListGroupRolesBelowProject: GET "/v3/OS-INHERIT/projects/{project_id}/groups/{group_id}/roles/inherited_to_projects" => 200,
    policy: Loaded<rules::ListGrants>,
    path: GrantPath,
    query: Params,
    reply: Json<Many<Role>>,
    handler: grants::list,
}
endpoint! {
    /// Give a role to a group below a project.
    AssignGroupRoleBelowProject: PUT "/v3/OS-INHERIT/projects/{project_id}/groups/{group_id}/roles/{role_id}/inherited_to_projects" => 204,
    policy: Loaded<rules::CreateGrant>,
    path: GrantPath,
    reply: Empty,
    handler: grants::create,
}
endpoint! {
    /// Say whether a group below a project has a role.
    CheckGroupRoleBelowProject: GET "/v3/OS-INHERIT/projects/{project_id}/groups/{group_id}/roles/{role_id}/inherited_to_projects" => 204,
    policy: Loaded<rules::CheckGrant>,
    path: GrantPath,
    reply: Empty,
    handler: grants::check,
}
endpoint! {
    /// Take a role from a group below a project.
    RemoveGroupRoleBelowProject: DELETE "/v3/OS-INHERIT/projects/{project_id}/groups/{group_id}/roles/{role_id}/inherited_to_projects" => 204,
    policy: Loaded<rules::RevokeGrant>,
    path: GrantPath,
    reply: Empty,
    handler: grants::revoke,
}
endpoint! {
    /// List the roles of a user on a domain.
    ListUserRolesOnDomain: GET "/v3/domains/{domain_id}/users/{user_id}/roles" => 200,
    policy: Loaded<rules::ListGrants>,
    path: GrantPath,
    query: Params,
    reply: Json<Many<Role>>,
    handler: grants::list,
}
endpoint! {
    /// Give a role to a user on a domain.
    AssignUserRoleOnDomain: PUT "/v3/domains/{domain_id}/users/{user_id}/roles/{role_id}" => 204,
    policy: Loaded<rules::CreateGrant>,
    path: GrantPath,
    reply: Empty,
    handler: grants::create,
}
endpoint! {
    /// Say whether a user on a domain has a role.
    CheckUserRoleOnDomain: GET "/v3/domains/{domain_id}/users/{user_id}/roles/{role_id}" => 204,
    policy: Loaded<rules::CheckGrant>,
    path: GrantPath,
    reply: Empty,
    handler: grants::check,
}
endpoint! {
    /// Take a role from a user on a domain.
    RemoveUserRoleOnDomain: DELETE "/v3/domains/{domain_id}/users/{user_id}/roles/{role_id}" => 204,
    policy: Loaded<rules::RevokeGrant>,
    path: GrantPath,
    reply: Empty,
    handler: grants::revoke,
}
endpoint! {
    /// List the roles of a user below a domain.
    ListUserRolesBelowDomain: GET "/v3/OS-INHERIT/domains/{domain_id}/users/{user_id}/roles/inherited_to_projects" => 200,
    policy: Loaded<rules::ListGrants>,
    path: GrantPath,
    query: Params,
    reply: Json<Many<Role>>,
    handler: grants::list,
}
endpoint! {
    /// Give a role to a user below a domain.
    AssignUserRoleBelowDomain: PUT "/v3/OS-INHERIT/domains/{domain_id}/users/{user_id}/roles/{role_id}/inherited_to_projects" => 204,
    policy: Loaded<rules::CreateGrant>,
    path: GrantPath,
    reply: Empty,
    handler: grants::create,
}
endpoint! {
    /// Say whether a user below a domain has a role.
    CheckUserRoleBelowDomain: GET "/v3/OS-INHERIT/domains/{domain_id}/users/{user_id}/roles/{role_id}/inherited_to_projects" => 204,
    policy: Loaded<rules::CheckGrant>,
    path: GrantPath,
    reply: Empty,
    handler: grants::check,
}
endpoint! {
    /// Take a role from a user below a domain.
    RemoveUserRoleBelowDomain: DELETE "/v3/OS-INHERIT/domains/{domain_id}/users/{user_id}/roles/{role_id}/inherited_to_projects" => 204,
    policy: Loaded<rules::RevokeGrant>,
    path: GrantPath,
    reply: Empty,
    handler: grants::revoke,
}
endpoint! {
    /// List the roles of a group on a domain.
    ListGroupRolesOnDomain: GET "/v3/domains/{domain_id}/groups/{group_id}/roles" => 200,
    policy: Loaded<rules::ListGrants>,
    path: GrantPath,
    query: Params,
    reply: Json<Many<Role>>,
    handler: grants::list,
}
endpoint! {
    /// Give a role to a group on a domain.
    AssignGroupRoleOnDomain: PUT "/v3/domains/{domain_id}/groups/{group_id}/roles/{role_id}" => 204,
    policy: Loaded<rules::CreateGrant>,
    path: GrantPath,
    reply: Empty,
    handler: grants::create,
}
endpoint! {
    /// Say whether a group on a domain has a role.
    CheckGroupRoleOnDomain: GET "/v3/domains/{domain_id}/groups/{group_id}/roles/{role_id}" => 204,
    policy: Loaded<rules::CheckGrant>,
    path: GrantPath,
    reply: Empty,
    handler: grants::check,
}
endpoint! {
    /// Take a role from a group on a domain.
    RemoveGroupRoleOnDomain: DELETE "/v3/domains/{domain_id}/groups/{group_id}/roles/{role_id}" => 204,
    policy: Loaded<rules::RevokeGrant>,
    path: GrantPath,
    reply: Empty,
    handler: grants::revoke,
}
endpoint! {
    /// List the roles of a group below a domain.
    ListGroupRolesBelowDomain: GET "/v3/OS-INHERIT/domains/{domain_id}/groups/{group_id}/roles/inherited_to_projects" => 200,
    policy: Loaded<rules::ListGrants>,
    path: GrantPath,
    query: Params,
    reply: Json<Many<Role>>,
    handler: grants::list,
}
endpoint! {
    /// Give a role to a group below a domain.
    AssignGroupRoleBelowDomain: PUT "/v3/OS-INHERIT/domains/{domain_id}/groups/{group_id}/roles/{role_id}/inherited_to_projects" => 204,
    policy: Loaded<rules::CreateGrant>,
    path: GrantPath,
    reply: Empty,
    handler: grants::create,
}
endpoint! {
    /// Say whether a group below a domain has a role.
    CheckGroupRoleBelowDomain: GET "/v3/OS-INHERIT/domains/{domain_id}/groups/{group_id}/roles/{role_id}/inherited_to_projects" => 204,
    policy: Loaded<rules::CheckGrant>,
    path: GrantPath,
    reply: Empty,
    handler: grants::check,
}
endpoint! {
    /// Take a role from a group below a domain.
    RemoveGroupRoleBelowDomain: DELETE "/v3/OS-INHERIT/domains/{domain_id}/groups/{group_id}/roles/{role_id}/inherited_to_projects" => 204,
    policy: Loaded<rules::RevokeGrant>,
    path: GrantPath,
    reply: Empty,
    handler: grants::revoke,
}
endpoint! {
    /// List the roles of a user on the system.
    ListUserRolesOnSystem: GET "/v3/system/users/{user_id}/roles" => 200,
    policy: Loaded<rules::ListSystemGrantsForUser>,
    path: GrantPath,
    query: Params,
    reply: Json<Many<Role>>,
    handler: grants::list,
}
endpoint! {
    /// Give a role to a user on the system.
    AssignUserRoleOnSystem: PUT "/v3/system/users/{user_id}/roles/{role_id}" => 204,
    policy: Loaded<rules::CreateSystemGrantForUser>,
    path: GrantPath,
    reply: Empty,
    handler: grants::create,
}
endpoint! {
    /// Say whether a user on the system has a role.
    CheckUserRoleOnSystem: GET "/v3/system/users/{user_id}/roles/{role_id}" => 204,
    policy: Loaded<rules::CheckSystemGrantForUser>,
    path: GrantPath,
    reply: Empty,
    handler: grants::check,
}
endpoint! {
    /// Take a role from a user on the system.
    RemoveUserRoleOnSystem: DELETE "/v3/system/users/{user_id}/roles/{role_id}" => 204,
    policy: Loaded<rules::RevokeSystemGrantForUser>,
    path: GrantPath,
    reply: Empty,
    handler: grants::revoke,
}
endpoint! {
    /// List the roles of a group on the system.
    ListGroupRolesOnSystem: GET "/v3/system/groups/{group_id}/roles" => 200,
    policy: Loaded<rules::ListSystemGrantsForGroup>,
    path: GrantPath,
    query: Params,
    reply: Json<Many<Role>>,
    handler: grants::list,
}
endpoint! {
    /// Give a role to a group on the system.
    AssignGroupRoleOnSystem: PUT "/v3/system/groups/{group_id}/roles/{role_id}" => 204,
    policy: Loaded<rules::CreateSystemGrantForGroup>,
    path: GrantPath,
    reply: Empty,
    handler: grants::create,
}
endpoint! {
    /// Say whether a group on the system has a role.
    CheckGroupRoleOnSystem: GET "/v3/system/groups/{group_id}/roles/{role_id}" => 204,
    policy: Loaded<rules::CheckSystemGrantForGroup>,
    path: GrantPath,
    reply: Empty,
    handler: grants::check,
}
endpoint! {
    /// Take a role from a group on the system.
    RemoveGroupRoleOnSystem: DELETE "/v3/system/groups/{group_id}/roles/{role_id}" => 204,
    policy: Loaded<rules::RevokeSystemGrantForGroup>,
    path: GrantPath,
    reply: Empty,
    handler: grants::revoke,
}

/// The rows of this file.
pub(super) fn endpoints() -> nephos_api::Endpoints<Svc> {
    nephos_api::routes![
        ListUserRolesOnProject,
        AssignUserRoleOnProject,
        CheckUserRoleOnProject,
        RemoveUserRoleOnProject,
        ListUserRolesBelowProject,
        AssignUserRoleBelowProject,
        CheckUserRoleBelowProject,
        RemoveUserRoleBelowProject,
        ListGroupRolesOnProject,
        AssignGroupRoleOnProject,
        CheckGroupRoleOnProject,
        RemoveGroupRoleOnProject,
        ListGroupRolesBelowProject,
        AssignGroupRoleBelowProject,
        CheckGroupRoleBelowProject,
        RemoveGroupRoleBelowProject,
        ListUserRolesOnDomain,
        AssignUserRoleOnDomain,
        CheckUserRoleOnDomain,
        RemoveUserRoleOnDomain,
        ListUserRolesBelowDomain,
        AssignUserRoleBelowDomain,
        CheckUserRoleBelowDomain,
        RemoveUserRoleBelowDomain,
        ListGroupRolesOnDomain,
        AssignGroupRoleOnDomain,
        CheckGroupRoleOnDomain,
        RemoveGroupRoleOnDomain,
        ListGroupRolesBelowDomain,
        AssignGroupRoleBelowDomain,
        CheckGroupRoleBelowDomain,
        RemoveGroupRoleBelowDomain,
        ListUserRolesOnSystem,
        AssignUserRoleOnSystem,
        CheckUserRoleOnSystem,
        RemoveUserRoleOnSystem,
        ListGroupRolesOnSystem,
        AssignGroupRoleOnSystem,
        CheckGroupRoleOnSystem,
        RemoveGroupRoleOnSystem,
    ]
}
