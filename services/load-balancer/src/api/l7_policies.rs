//! The L7 policies of listeners.

use nephos_api::{Empty, Fault, Json, Loaded, Params, Reply, Req, endpoint};
use serde_json::Value;

use super::{Change, ItemPath, list_parts, listing, part, relabel, show_part, shown};
use crate::model::body::{Fields, Label};
use crate::model::l7::CHANGE_POLICY;
use crate::model::tree::{Kind, PartId};
use crate::store::listing::Of;
use crate::{Cx, rules};

const KIND: Kind = Kind::Policy;

endpoint! {
    /// Create an L7 policy of a listener.
    CreatePolicy: POST "/v2/lbaas/l7policies" => 201,
    policy: Loaded<rules::CreatePolicy>,
    body: Json<Value>,
    reply: Json<Value>,
    handler: create_policy,
}
async fn create_policy(cx: Cx, req: Req<CreatePolicy>) -> Reply<CreatePolicy> {
    let fields = Fields::inside(&req.body.0, "l7policy")?;
    let parent = fields.needed_uuid("listener_id")?;
    let listener = part(&cx, rules::CreatePolicy, (Kind::Listener, &parent)).await?;
    let mut change = Change::begin(&cx, &listener.balancer_id).await?;
    change.part(Kind::Listener, &parent)?;
    let id = change
        .make(&cx, |graph| graph.policy(&parent, fields))
        .await?;
    let tree = change.done(&cx).await?;
    Ok(Json(shown(&tree, KIND, id.as_str(), "l7policy")?))
}

endpoint! {
    /// List L7 policies.
    ListPolicies: GET "/v2/lbaas/l7policies" => 200,
    policy: Loaded<rules::ListPolicies>,
    query: Params,
    reply: Json<Value>,
    handler: list_policies,
}
async fn list_policies(cx: Cx, req: Req<ListPolicies>) -> Reply<ListPolicies> {
    let by = (rules::ListAllPolicies, rules::ListPolicies);
    let asked = listing::read(&cx, req.query, Of::Parts(KIND), by)?;
    Ok(Json(
        list_parts(&cx, (KIND, asked), ("l7policies", "l7policies")).await?,
    ))
}

endpoint! {
    /// Show an L7 policy.
    ShowPolicy: GET "/v2/lbaas/l7policies/{id}" => 200,
    policy: Loaded<rules::GetPolicy>,
    path: ItemPath,
    query: Params,
    reply: Json<Value>,
    handler: show_policy,
}
async fn show_policy(cx: Cx, req: Req<ShowPolicy>) -> Reply<ShowPolicy> {
    let one = part(&cx, rules::GetPolicy, (KIND, &req.path.id)).await?;
    Ok(Json(show_part(&cx, &one, ("l7policy", &req.query)).await?))
}

endpoint! {
    /// Change an L7 policy.
    UpdatePolicy: PUT "/v2/lbaas/l7policies/{id}" => 200,
    policy: Loaded<rules::UpdatePolicy>,
    path: ItemPath,
    body: Json<Value>,
    reply: Json<Value>,
    handler: update_policy,
}
async fn update_policy(cx: Cx, req: Req<UpdatePolicy>) -> Reply<UpdatePolicy> {
    let one = part(&cx, rules::UpdatePolicy, (KIND, &req.path.id)).await?;
    let fields = Fields::inside(&req.body.0, "l7policy")?.only(&[Label::FIELDS, CHANGE_POLICY])?;
    let mut change = Change::begin(&cx, &one.balancer_id).await?;
    let mut now = change.part(KIND, &req.path.id)?;
    relabel(&mut now, Label::read(fields)?);
    let (id, parent) = (now.id.clone(), now.parent_id.clone());
    let mut position = None;
    if let Some(policy) = now.policy_mut() {
        let before = policy.position;
        policy.change(fields)?;
        position = (policy.position != before).then_some(policy.position);
        policy.position = before;
    }
    change.update(&cx, now).await?;
    if let Some(position) = position {
        reorder(&mut change, &parent, Some((&id, position))).await?;
    }
    let tree = change.done(&cx).await?;
    Ok(Json(shown(&tree, KIND, &req.path.id, "l7policy")?))
}

async fn reorder(
    change: &mut Change,
    listener: &str,
    moved: Option<(&PartId, i64)>,
) -> Result<(), Fault> {
    for id in change.tree.reorder(listener, moved) {
        let part = change.part(KIND, id.as_str())?;
        change.write(part).await?;
    }
    Ok(())
}

endpoint! {
    /// Delete an L7 policy with its rules.
    DeletePolicy: DELETE "/v2/lbaas/l7policies/{id}" => 204,
    policy: Loaded<rules::DeletePolicy>,
    path: ItemPath,
    reply: Empty,
    handler: delete_policy,
}
async fn delete_policy(cx: Cx, req: Req<DeletePolicy>) -> Reply<DeletePolicy> {
    let one = part(&cx, rules::DeletePolicy, (KIND, &req.path.id)).await?;
    let mut change = Change::begin(&cx, &one.balancer_id).await?;
    change.part(KIND, &req.path.id)?;
    change.remove(&cx, &req.path.id).await?;
    reorder(&mut change, &one.parent_id, None).await?;
    change.done(&cx).await?;
    Ok(Empty)
}
