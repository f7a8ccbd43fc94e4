//! HTTP. One file per resource.

mod access_rules;
mod app_credentials;
mod assignments;
mod auth;
mod auth_body;
mod catalog;
mod credentials;
mod discovery;
mod documents;
mod domains;
mod fault;
mod federation;
mod grant_rows;
mod grants;
mod groups;
mod hosts;
mod implied_roles;
mod limits;
mod list;
mod login;
mod policies;
mod project_tags;
mod projects;
mod regions;
mod registered_limits;
mod revocations;
mod roles;
mod s3_tokens;
mod scope;
mod shape;
mod targets;
mod token_view;
mod trusts;
mod users;

pub(crate) use fault::DIALECT;
pub(crate) use token_view::TokenBodies;

use crate::Svc;

/// Every call there is.
pub(crate) fn endpoints() -> nephos_api::Endpoints<Svc> {
    let files = [
        access_rules::endpoints(),
        app_credentials::endpoints(),
        assignments::endpoints(),
        auth::endpoints(),
        catalog::endpoints(),
        credentials::endpoints(),
        discovery::endpoints(),
        domains::endpoints(),
        federation::endpoints(),
        grant_rows::endpoints(),
        groups::endpoints(),
        hosts::endpoints(),
        implied_roles::endpoints(),
        limits::endpoints(),
        policies::endpoints(),
        project_tags::endpoints(),
        projects::endpoints(),
        regions::endpoints(),
        registered_limits::endpoints(),
        revocations::endpoints(),
        roles::endpoints(),
        s3_tokens::endpoints(),
        trusts::endpoints(),
        users::endpoints(),
    ];
    files.into_iter().flatten().collect()
}
