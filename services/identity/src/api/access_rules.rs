//! Access rules: the only requests that an application credential may make.

use nephos_api::{Empty, Fault, Json, Loaded, Params, Reply, Req, endpoint};
use nephos_auth::Rule;
use serde::Deserialize;

use super::app_credentials::{OwnerPath, owner};
use super::fault::{not_found, require};
use super::list;
use super::shape::{Many, Named, One};
use crate::model::access::AccessRule;
use crate::{Cx, Svc, rules, store};

impl Named for AccessRule {
    const ONE: &'static str = "access_rule";
    const MANY: &'static str = "access_rules";
    const PATH: &'static str = "/v3/users";
    fn id(&self) -> &str {
        &self.id
    }
    fn path(&self) -> String {
        format!("/v3/users/{}/access_rules/{}", self.user_id, self.id)
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct RulePath {
    user_id: String,
    access_rule_id: String,
}

endpoint! {
    /// List a user's access rules.
    ListAccessRules: GET "/v3/users/{user_id}/access_rules" => 200,
    policy: Loaded<rules::ListAccessRules>,
    path: OwnerPath,
    query: Params,
    reply: Json<Many<AccessRule>>,
    handler: list_access_rules,
}
async fn list_access_rules(cx: Cx, req: Req<ListAccessRules>) -> Reply<ListAccessRules> {
    let user_id = &req.path.user_id;
    require(&cx, rules::ListAccessRules, &owner(user_id))?;
    let found = store::access::rules_of_user(cx.db(), user_id).await?;
    let path = format!("/v3/users/{user_id}/access_rules");
    list::reply(
        &cx,
        (&path, &req.query),
        &["service", "method", "path"],
        found,
    )
}

async fn load_rule<R: Rule>(cx: &Cx, rule: R, path: &RulePath) -> Result<AccessRule, Fault> {
    require(cx, rule, &owner(&path.user_id))?;
    let found = store::access::rule(cx.db(), &path.access_rule_id).await?;
    found
        .filter(|rule| rule.user_id == path.user_id)
        .ok_or_else(|| not_found("Access Rule", &path.access_rule_id))
}

endpoint! {
    /// Show an access rule.
    ShowAccessRule: GET "/v3/users/{user_id}/access_rules/{access_rule_id}" => 200,
    policy: Loaded<rules::GetAccessRule>,
    path: RulePath,
    reply: Json<One<AccessRule>>,
    handler: show_access_rule,
}
async fn show_access_rule(cx: Cx, req: Req<ShowAccessRule>) -> Reply<ShowAccessRule> {
    Ok(Json(One::new(
        &cx,
        load_rule(&cx, rules::GetAccessRule, &req.path).await?,
    )))
}

endpoint! {
    /// Remove an access rule that no application credential uses.
    DeleteAccessRule: DELETE "/v3/users/{user_id}/access_rules/{access_rule_id}" => 204,
    policy: Loaded<rules::DeleteAccessRule>,
    path: RulePath,
    reply: Empty,
    handler: delete_access_rule,
}
async fn delete_access_rule(cx: Cx, req: Req<DeleteAccessRule>) -> Reply<DeleteAccessRule> {
    let rule = load_rule(&cx, rules::DeleteAccessRule, &req.path).await?;
    let mut tx = cx.write().await?;
    if store::access::count_uses(&mut tx, &rule.id).await? > 0 {
        return Err(Fault::forbidden(format!(
            "The access rule {} is used by an application credential; remove that first.",
            rule.id
        )));
    }
    store::access::remove_rule(&mut tx, &rule.id).await?;
    tx.commit().await?;
    Ok(Empty)
}

/// The rows of this file.
pub(super) fn endpoints() -> nephos_api::Endpoints<Svc> {
    nephos_api::routes![ListAccessRules, ShowAccessRule, DeleteAccessRule,]
}
