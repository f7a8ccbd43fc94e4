//! The rules of L7 policies.

use nephos_api::{Empty, Json, Loaded, Params, Reply, Req, endpoint};
use serde_json::Value;

use super::{
    Change, ChildPath, ParentPath, child, list_parts, listing, part, relabel, show_part, shown,
};
use crate::model::body::{Fields, Label};
use crate::model::l7::RULE;
use crate::model::tree::Kind;
use crate::store::listing::Of;
use crate::{Cx, rules};

const KIND: Kind = Kind::Rule;

endpoint! {
    /// Add a rule to an L7 policy.
    CreateRule: POST "/v2/lbaas/l7policies/{parent}/rules" => 201,
    policy: Loaded<rules::CreateRule>,
    path: ParentPath,
    body: Json<Value>,
    reply: Json<Value>,
    handler: create_rule,
}
async fn create_rule(cx: Cx, req: Req<CreateRule>) -> Reply<CreateRule> {
    let parent = req.path.parent.as_str();
    let policy = part(&cx, rules::CreateRule, (Kind::Policy, parent)).await?;
    let fields = Fields::inside(&req.body.0, "rule")?;
    let mut change = Change::begin(&cx, &policy.balancer_id).await?;
    change.part(Kind::Policy, parent)?;
    let id = change.make(&cx, |graph| graph.rule(parent, fields)).await?;
    let tree = change.done(&cx).await?;
    Ok(Json(shown(&tree, KIND, id.as_str(), "rule")?))
}

endpoint! {
    /// List the rules of an L7 policy.
    ListRules: GET "/v2/lbaas/l7policies/{parent}/rules" => 200,
    policy: Loaded<rules::ListRules>,
    path: ParentPath,
    query: Params,
    reply: Json<Value>,
    handler: list_rules,
}
async fn list_rules(cx: Cx, req: Req<ListRules>) -> Reply<ListRules> {
    let parent = req.path.parent.as_str();
    let _seen = part(&cx, rules::ListRules, (Kind::Policy, parent)).await?;
    let asked = listing::read_below(req.query, Of::Parts(KIND), parent)?;
    let path = format!("l7policies/{parent}/rules");
    Ok(Json(
        list_parts(&cx, (KIND, asked), (&path, "rules")).await?,
    ))
}

endpoint! {
    /// Show an L7 rule.
    ShowRule: GET "/v2/lbaas/l7policies/{parent}/rules/{id}" => 200,
    policy: Loaded<rules::GetRule>,
    path: ChildPath,
    query: Params,
    reply: Json<Value>,
    handler: show_rule,
}
async fn show_rule(cx: Cx, req: Req<ShowRule>) -> Reply<ShowRule> {
    let one = child(&cx, rules::GetRule, (KIND, &req.path)).await?;
    Ok(Json(show_part(&cx, &one, ("rule", &req.query)).await?))
}

endpoint! {
    /// Change an L7 rule.
    UpdateRule: PUT "/v2/lbaas/l7policies/{parent}/rules/{id}" => 200,
    policy: Loaded<rules::UpdateRule>,
    path: ChildPath,
    body: Json<Value>,
    reply: Json<Value>,
    handler: update_rule,
}
async fn update_rule(cx: Cx, req: Req<UpdateRule>) -> Reply<UpdateRule> {
    let one = child(&cx, rules::UpdateRule, (KIND, &req.path)).await?;
    let fields = Fields::inside(&req.body.0, "rule")?.only(&[RULE])?;
    let mut change = Change::begin(&cx, &one.balancer_id).await?;
    let mut now = change.part(KIND, &req.path.id)?;
    let label = Label {
        enabled: fields.flag("admin_state_up")?,
        tags: fields.tags()?,
        ..Label::default()
    };
    relabel(&mut now, label);
    if let Some(rule) = now.rule_mut() {
        rule.change(fields)?;
    }
    change.update(&cx, now).await?;
    let tree = change.done(&cx).await?;
    Ok(Json(shown(&tree, KIND, &req.path.id, "rule")?))
}

endpoint! {
    /// Remove a rule from its L7 policy.
    DeleteRule: DELETE "/v2/lbaas/l7policies/{parent}/rules/{id}" => 204,
    policy: Loaded<rules::DeleteRule>,
    path: ChildPath,
    reply: Empty,
    handler: delete_rule,
}
async fn delete_rule(cx: Cx, req: Req<DeleteRule>) -> Reply<DeleteRule> {
    let one = child(&cx, rules::DeleteRule, (KIND, &req.path)).await?;
    let mut change = Change::begin(&cx, &one.balancer_id).await?;
    change.part(KIND, &req.path.id)?;
    change.remove(&cx, &req.path.id).await?;
    change.done(&cx).await?;
    Ok(Empty)
}
